"""The waist: everything that measures sees only a Denoiser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.forward import ForwardProcess
from attractor.process.reductions import block_rows


class Frame(NamedTuple):
    """Ids that are no text, at both ends of a row, such as [CLS] and [SEP]."""

    leading: tuple[int, ...] = ()
    trailing: tuple[int, ...] = ()


class Denoiser(ABC):
    """Conditional distributions of clean tokens given a noisy sequence.

    What it holds is the *leave-one-out* distribution, log P(x_0[l] = v | x_t at all positions but
    l). The evidence of the token's own noisy value is added by the process.

    A trained network, somebody else's checkpoint, an exactly solvable model and a mock are all
    Denoisers.
    """

    process: ForwardProcess
    """The token noise that the distributions belong to."""
    seq_len: int | None = None
    """Tokens in a sequence; None if any length will do."""
    device: torch.device = torch.device("cpu")
    """Where token tensors must live."""
    time_conditioned: bool = True
    """Whether its distributions depend on the time. Those of one that sees the tokens alone change
    only when a token does."""
    frame: Frame = Frame()
    """What stands at both ends of every text and never moves; a text that is given shows itself
    which of its tokens never move, see `ForwardProcess.is_fixed`."""

    @abstractmethod
    def log_probs(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """The log-probabilities of clean tokens, in nats, float32 or wider.

        Args:
            x_t: noisy tokens.
            t: time of each row, in [0, 1]; rows may be at different times.
            where: positions that are wanted; all unless given.

        Returns:
            (B, L, V); with `where`, (M, V) at its M true positions in row-major order.
        """

    def blocks(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Iterator[Float[Tensor, "m V"]]:
        """The rows of `log_probs` at the positions of `where`, all unless given, in order and a few
        at a time.

        For `process.reductions`: a denoiser that can make its distributions in parts never holds
        (B, L, V).
        """
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        rows = block_rows(self.process.vocab_size, x_t.device)
        yield from self.log_probs(x_t, t, wanted).split(rows)

"""The waist: everything that measures sees only a Denoiser."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.forward import ForwardProcess


class Denoiser(ABC):
    """Conditional distributions of clean tokens given a noisy sequence.

    What it holds is the *leave-one-out* distribution, log P(x_0[l] = v | x_t at all positions but l). The evidence of
    the token's own noisy value is added by the process.

    A trained network, somebody else's checkpoint, an exactly solvable model and a mock are all Denoisers.
    """

    process: ForwardProcess
    seq_len: int | None = None
    """Tokens in a sequence; None if any length will do."""
    device: torch.device = torch.device("cpu")
    """Where token tensors must live."""

    @abstractmethod
    def log_probs(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], where: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Log-probabilities in nats, float32 or wider; t in [0, 1] may differ from row to row.

        With `where`, only at its M true positions, in row-major order.
        """

"""The waist: everything that measures sees only a Denoiser."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.text import Text
from attractor.notebook import facts_html
from attractor.process.forward import ForwardProcess
from attractor.process.reductions import block_rows
from attractor.types import AttractorError


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
    tokenizer: Text | None = None
    """Text to its tokens and back; None where nobody has said which."""
    time_conditioned: bool = True
    """Whether its distributions depend on the time. Those of one that sees the tokens alone change
    only when a token does, and are kept until then."""
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

    def body(self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]) -> Float[Tensor, "B L H"]:
        """What `head` needs of every position: `log_probs` in two halves, the second of which can
        be run later and at a few positions.

        A denoiser that does not depend on time is asked so while a row does not change (see
        `process.reverse`). Without a half to keep, this is the distributions themselves.
        """
        return self.log_probs(x_t, t)

    def head(self, states: Float[Tensor, "M H"], x_t: Int[Tensor, "M"]) -> Float[Tensor, "M V"]:
        """Log-probabilities at M positions.

        Args:
            states: what `body` made of them.
            x_t: the noisy tokens that are there.
        """
        return states

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

    def encode(self, text: str | Sequence[str], seq_len: int | None = None) -> Int[Tensor, "N L"]:
        """Text as rows that the model knows: cut and marked as its training text was.

        Several texts follow each other, each with its end marker, and are cut into rows of the
        model's length; what does not fill a row at the end is left out.

        Args:
            text: one text, or several.
            seq_len: tokens in a row; the model's own unless given.

        Raises:
            AttractorError: if the model has no tokenizer, or for text that this does not know,
                which is shown, or that fills no row.
        """
        texts = [text] if isinstance(text, str) else list(text)
        if not texts or not all(isinstance(each, str) for each in texts):
            raise AttractorError(f"text = {text!r:.80}: a string, or a list of strings, is wanted")
        length = seq_len or self.seq_len
        if length is None:
            raise AttractorError("the model takes rows of any length: say which, seq_len=...")
        rows = self._text().rows(texts, length)
        return torch.from_numpy(rows.astype(np.int64))

    def decode(self, tokens: Int[Tensor, "*N L"] | np.ndarray) -> list[str]:
        """The text of each row, without markers; masks are shown as [MASK].

        Raises:
            AttractorError: if the model has no tokenizer, or for an id that it does not know.
        """
        rows = np.asarray(tokens)
        return [self._decoded(row) for row in rows.reshape(-1, rows.shape[-1]).tolist()]

    def pieces(self, row: Sequence[int]) -> list[str]:
        """What to show for each token of a row: markers and the mask by name, and by its number an
        id that the model has beyond those of its tokenizer.

        Raises:
            AttractorError: if the model has no tokenizer.
        """
        text = self._text()
        return [text.pieces([i])[0] if self._is_text(i) else self._named(i) for i in row]

    def _decoded(self, row: list[int]) -> str:
        runs = itertools.groupby(row, self._is_text)
        return "".join(
            self._text().decode(list(run)) if is_text else "".join(map(self._named, run))
            for is_text, run in runs
        )

    def _is_text(self, token: int) -> bool:
        return token != self.process.mask_id and token < self._text().vocab_size

    def _named(self, token: int) -> str:
        return "[MASK]" if token == self.process.mask_id else f"[{token}]"

    def _text(self) -> Text:
        if self.tokenizer is None:
            raise AttractorError(
                "this model comes without a tokenizer, so it takes rows of token ids only: "
                "attractor.load(..., tokenizer=PATH) gives it one"
            )
        return self.tokenizer

    def facts(self) -> dict[str, str]:
        """What a person wants to know of it at a glance."""
        length = "any" if self.seq_len is None else f"{self.seq_len:,}"
        has = "none" if self.tokenizer is None else f"{self.tokenizer.vocab_size:,} tokens"
        return {
            "noise": type(self.process).__name__.removesuffix("Process").lower(),
            "vocabulary": f"{self.process.vocab_size:,}",
            "tokens in a row": length,
            "tokenizer": has,
            "device": str(self.device),
        }

    def __repr__(self) -> str:
        said = ", ".join(f"{name}: {value}" for name, value in self.facts().items())
        return f"<{type(self).__name__}: {said}>"

    def _repr_html_(self) -> str:
        return facts_html(type(self).__name__, self.facts())

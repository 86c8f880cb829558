"""Which ids may stand in text: not the mask, not padding, not ids that the tokenizer lacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.types import AttractorError

CPU = torch.device("cpu")


@final
class TextIds:
    """The ids of a vocabulary that are text.

    Noise draws among them, distributions are restricted to them, and a token that is none of them
    stays where it is: [CLS], [SEP] and padding.

    Args:
        vocab_size: number of ids there are.
        ids: which of them are text, in any order; all unless given.
        mask_id: the mask, which is never text.

    Raises:
        AttractorError: for ids outside the vocabulary, or if none is left.
    """

    def __init__(
        self,
        vocab_size: int,
        ids: Iterable[int] | Tensor | None = None,
        mask_id: int | None = None,
    ) -> None:
        # On the CPU whatever the default device: what is looked up here must be known at once.
        is_text = torch.full((vocab_size,), ids is None, device=CPU)
        if ids is not None:
            asked = torch.as_tensor(
                ids if isinstance(ids, Tensor) else list(ids), device=CPU
            ).long()
            outside = asked[(asked < 0) | (asked >= vocab_size)]
            if len(outside):
                raise AttractorError(
                    f"text id {int(outside[0])} is outside the vocabulary of {vocab_size}"
                )
            is_text[asked] = True
        if mask_id is not None:
            is_text[mask_id] = False
        self.ids: Int[Tensor, "T"] = is_text.nonzero()[:, 0]
        """ascending"""
        self.count = len(self.ids)
        if not self.count:
            raise AttractorError(f"no text id is left of a vocabulary of {vocab_size}")
        self.is_all = self.count == vocab_size
        self._tables = {CPU: _Tables(self.ids, is_text, (~is_text).nonzero()[:, 0])}

    def __eq__(self, other: object) -> bool:
        """Whether the same ids of as many are text."""
        return isinstance(other, TextIds) and torch.equal(
            *(x._on(CPU).is_text for x in (self, other))
        )

    def __hash__(self) -> int:
        """Of the number of text ids."""
        return hash(self.count)

    def draw(self, uniform: Float[Tensor, "*n"]) -> Int[Tensor, "*n"]:
        """One of them for each uniform on [0, 1), all equally likely."""
        token = (uniform * self.count).long().clamp(max=self.count - 1)
        return token if self.is_all else self._on(token.device).ids[token]

    def place(self, tokens: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
        """Where in `ids` each token is; what is no text gets any place."""
        if self.is_all:
            return tokens
        return torch.searchsorted(self._on(tokens.device).ids, tokens).clamp(max=self.count - 1)

    def contains(self, tokens: Int[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """Whether each token, of the vocabulary, is text."""
        return self._on(tokens.device).is_text[tokens]

    def restrict(self, logits: Float[Tensor, "*n V"]) -> Float[Tensor, "*n V"]:
        """The logits, with those of ids that are no text at minus infinity."""
        if self.is_all:
            return logits
        # `index_fill` and not an assignment: the logits may be in use by autograd.
        return logits.index_fill(-1, self.others(logits.device), -torch.inf)

    def others(self, device: torch.device) -> Int[Tensor, "O"]:
        """The ids that are no text, ascending."""
        return self._on(device).others

    def _on(self, device: torch.device) -> _Tables:
        # Kept, since these are asked for at every step of a loop that runs on a device.
        if device not in self._tables:
            self._tables[device] = _Tables(*(x.to(device) for x in self._tables[CPU]))
        return self._tables[device]


class _Tables(NamedTuple):
    ids: Tensor
    is_text: Tensor
    others: Tensor

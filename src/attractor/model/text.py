"""What a Denoiser asks of a tokenizer, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int


@runtime_checkable
class Text(Protocol):
    """Text to rows of tokens and back; `data.tokenizer.Tokenizer` is one."""

    vocab_size: int
    """ids it gives are below it"""

    def rows(self, texts: Sequence[str], length: int) -> Int[np.ndarray, "N L"]:
        """Texts as rows of so many tokens, its markers included; raises AttractorError for text
        that it does not know, or that does not fill a row."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, without markers."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """For each token what to show for it, markers by name."""

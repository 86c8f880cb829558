"""What every probe does with the tokens it is handed: check them, split them into batches, make
random ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.process.noise import CountedNoise
from attractor.process.text import TextIds
from attractor.types import AttractorError

Rows = Int[Tensor, "N L"] | np.ndarray | str | Sequence[str]
"""What every probe takes: rows of token ids, or text, for a model that has a tokenizer."""
ENTRIES = 2**26
"""Numbers a (rows, L, V) tensor may have in one batch, 256 MiB in float32, for denoisers that make
it whole."""


def check_tokens(denoiser: Denoiser, tokens: Rows) -> Int[Tensor, "N L"]:
    """The tokens, or those of text, as int64 on the denoiser's device.

    Raises:
        AttractorError: if they are not an (N, L) integer matrix with ids and length the denoiser
            knows; for text as `Denoiser.encode`.
    """
    if _is_text(tokens):
        tokens = denoiser.encode(tokens if isinstance(tokens, str) else list(tokens))
    # Copied, since a memory map is read-only, and torch warns of such memory.
    tokens = torch.as_tensor(np.array(tokens) if isinstance(tokens, np.ndarray) else tokens)
    if tokens.ndim != 2 or tokens.is_floating_point() or not tokens.numel():
        raise AttractorError(
            f"tokens must be an integer (N, L) matrix, not {tuple(tokens.shape)} {tokens.dtype}"
        )
    if denoiser.seq_len is not None and tokens.shape[1] != denoiser.seq_len:
        raise AttractorError(
            f"rows have {tokens.shape[1]} tokens, but the denoiser was made for {denoiser.seq_len}"
        )
    tokens = tokens.long()  # first, since torch compares no uint16
    low, high, vocab = int(tokens.min()), int(tokens.max()), denoiser.process.vocab_size
    if low < 0 or high >= vocab:
        raise AttractorError(
            f"token id {low if low < 0 else high} is outside the denoiser's vocabulary of {vocab}"
        )
    mask = denoiser.process.mask_id
    if mask is not None and (tokens == mask).any():
        raise AttractorError(f"token id {mask} is the denoiser's mask: it is noise and not text")
    return tokens.to(denoiser.device)


def _is_text(tokens: Any) -> TypeGuard[str | Sequence[str]]:
    if isinstance(tokens, np.ndarray):
        return tokens.dtype.kind in "UO"
    is_sequence = not isinstance(tokens, Tensor) and any(isinstance(each, str) for each in tokens)
    return isinstance(tokens, str) or is_sequence


def frozen_tokens(
    denoiser: Denoiser, x_0: Int[Tensor, "N L"], frozen: Tensor | np.ndarray | None = None
) -> Bool[Tensor, "N L"] | None:
    """Tokens that never move and are counted nowhere: those that are no text, such as [CLS] and
    padding, and those that are asked for; None where all may move.

    Args:
        denoiser: whose text it is.
        x_0: what `check_tokens` made of the tokens.
        frozen: Boolean, (N, L), or (L,) for all rows alike.

    Raises:
        AttractorError: for another shape or type, or if no token of all may move.
    """
    found = denoiser.process.is_fixed(x_0)
    if frozen is not None:
        asked = torch.as_tensor(frozen)
        if asked.dtype != torch.bool or asked.shape not in (x_0.shape, x_0.shape[1:]):
            raise AttractorError(
                f"frozen must be Boolean of shape {tuple(x_0.shape)} or ({x_0.shape[1]},), not "
                f"{asked.dtype} {tuple(asked.shape)}"
            )
        found = found | asked.to(x_0.device)
    if found.all():
        raise AttractorError("no token may move: all of these rows are frozen, or are no text")
    return found if found.any() else None


def timeless(denoiser: Denoiser) -> Denoiser | None:
    """The denoiser, if what it says of a row may be kept until the row changes."""
    return None if denoiser.time_conditioned else denoiser


def counted_mean(values: Float[Tensor, "..."], dim: int | None = None) -> Float[Tensor, "..."]:
    """Mean over one axis, or all, of what is not NaN, as frozen tokens are."""
    # Apart, since the two sums may round differently, and numbers are to stay what they were.
    if values.isnan().any():
        return values.nanmean(dim)
    return values.mean(dim)


def batches(denoiser: Denoiser, tokens: Int[Tensor, "N L"]) -> Iterator[slice]:
    """Slices of this process's rows, at most 256, whose (rows, L, V) tensor stays within `ENTRIES`
    numbers."""
    size = max(1, min(256, ENTRIES // (tokens.shape[1] * denoiser.process.vocab_size)))
    mine = processes().share(len(tokens))
    for start in range(mine.start, mine.stop, size):
        yield slice(start, min(start + size, mine.stop))


def random_tokens(
    n: int,
    seq_len: int,
    vocab_size: int,
    seed: int = 0,
    mask_id: int | None = None,
    text: TextIds | None = None,
) -> Int[Tensor, "N L"]:
    """Sequences without any structure: the control that no denoiser should recover. The mask is no
    text, nor is what is not in `text`, where that is given."""
    u = CountedNoise(seed, "random tokens").grid(torch.arange(n), seq_len)[..., 0]
    if text is not None:
        return text.draw(u)
    if mask_id is None:
        return (u * vocab_size).long()
    token = (u * (vocab_size - 1)).long()
    return token + (token >= mask_id)

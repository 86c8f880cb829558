"""Text that is written on from left to right: a token given those before it, then the next."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import Rows, batches, check_tokens
from attractor.process.refused import NEEDS_ORDER
from attractor.process.uniform import categorical
from attractor.types import AttractorError


def continuation(
    denoiser: Denoiser,
    rows: Int[Tensor, "N L"],
    frozen: Bool[Tensor, "N L"] | None,
    uniform: Float[Tensor, "N L"] | None = None,
) -> Int[Tensor, "N L"]:
    """Write every token of rows that is not frozen, each from its law given all before it.

    Args:
        denoiser: an autoregressive model.
        rows: whose frozen tokens are given; all others are overwritten before they are seen.
        frozen: which tokens are given; none if None.
        uniform: numbers on [0, 1) by which tokens are drawn; without them the likeliest is taken.
    """
    free = torch.ones_like(rows, dtype=torch.bool) if frozen is None else ~frozen
    # Each process fills its own rows of zeros, and the sum at the end is all of them.
    written = torch.zeros_like(rows)
    for part in batches(denoiser, rows):
        x = rows[part].clone()
        for i in range(x.shape[1]):
            now = free[part, i]
            if not now.any():
                continue
            # What is behind the position says nothing to it, and costs nothing if left out.
            seen = x[:, : i + 1]
            where = torch.zeros_like(seen, dtype=torch.bool)
            where[:, i] = now
            log_p = denoiser.log_probs(seen, torch.zeros(len(x), device=x.device), where)
            x[now, i] = (
                log_p.argmax(-1)
                if uniform is None
                else categorical(log_p.exp(), uniform[part, i][now])
            )
        written[part] = x
    return processes().total(written)


class PrefixExtraction(NamedTuple):
    """Rows that were written on from their first half."""

    prefix: Bool[Tensor, "N L"]
    """tokens that were given, or are no text: they are counted nowhere"""
    written: Int[Tensor, "N L"]
    """each row, its second half as the model writes it"""
    correct: Float[Tensor, "N L"]
    """1 where a token that was written is that of the row, else 0; NaN in the prefix"""


def prefix_extraction(denoiser: Denoiser, tokens: Rows) -> PrefixExtraction:
    """Give a model the first half of each row, and let it go on by the likeliest token.

    What comes back of rows that it was trained on, and not of unseen ones, it knows by heart
    ("discoverable extraction", arXiv:2202.07646). Half is of the tokens that are text, the longer
    half first; padding stands where it stood.

    Args:
        denoiser: an autoregressive model.
        tokens: rows, (N, L), or text.

    Raises:
        AttractorError: for a model with noise, which restores any tokens and has no direction, for
            tokens the denoiser does not know, or if no row has two tokens of text.
    """
    if denoiser.process.corrupts:
        raise AttractorError(f"prefix extraction: {NEEDS_ORDER}")
    x_0 = check_tokens(denoiser, tokens)
    fixed = denoiser.process.is_fixed(x_0)
    place, text = (~fixed).cumsum(1), (~fixed).sum(1, keepdim=True)
    prefix = fixed | (place <= (text + 1) // 2)
    if prefix.all():
        raise AttractorError("no row has two tokens of text: nothing is left to write")
    written = continuation(denoiser, x_0, prefix)
    correct = (written == x_0).float().masked_fill(prefix, torch.nan)
    return PrefixExtraction(*(x.cpu() for x in (prefix, written, correct)))

"""Extraction as it is attacked: some tokens of a row are given, the others start from noise, and
independent runs of the reverse process try to bring them back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import Rows, check_tokens, frozen_tokens, timeless
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import reverse, time_grid
from attractor.results.geometries import GEOMETRIES
from attractor.types import AttractorError


class TargetedExtraction(NamedTuple):
    """How much of what was wanted came back, in R independent falls of N rows."""

    original: Int[Tensor, "N L"]
    wanted: Bool[Tensor, "N L"]
    """tokens that were not given"""
    right: Float[Tensor, "N R"]
    """share of the wanted tokens that came back in each fall, float64"""

    @property
    def back(self) -> Int[Tensor, "N"]:
        """Falls that brought every wanted token back."""
        return (self.right == 1).sum(1)

    def __repr__(self) -> str:
        n, falls = self.right.shape
        once, ever = (self.right == 1).double().mean(), (self.back > 0).double().mean()
        return (
            f"<Extraction of {n:,} sequences, {falls:,} falls of each: {once.item():.1%} of the "
            f"falls bring all back, {ever.item():.1%} of the sequences come back at least once>"
        )


def extraction(
    denoiser: Denoiser,
    tokens: Rows,
    wanted: Bool[Tensor, "..."] | np.ndarray,
    falls: int = 8,
    steps: int = 32,
    seed: int = 0,
    batch_size: int = 64,
    first: int = 0,
) -> TargetedExtraction:
    """Give a model some tokens of each row and let it write the others, again and again
    (arXiv:2605.24173, arXiv:2603.02333).

    What is given never moves, what is wanted starts at t = 1 from nothing but noise, and is drawn
    to the end, so that with masks and fine steps an exact denoiser brings it back with the
    probability that its law gives it. Other noise does not show a denoiser which tokens were given.

    Args:
        denoiser: what is attacked.
        tokens: sequences, (N, L), or text.
        wanted: tokens to bring back, (N, L) or (L,); those that are no text are given anyhow. See
            `wanted_tokens`.
        falls: independent runs of the reverse process from each row.
        steps: of the grid from 1 to 1e-5.
        seed: of the noise, which depends on (seed, row, fall) only.
        batch_size: sequences in one call of the network.
        first: number of the first row, for whoever measures in parts.

    Raises:
        AttractorError: for no falls, tokens the denoiser does not know, or a row of which nothing
            is wanted.
    """
    if falls < 1:
        raise AttractorError(f"falls = {falls} must be at least 1")
    x_0 = check_tokens(denoiser, tokens)
    asked = torch.as_tensor(wanted)
    if asked.dtype != torch.bool:
        raise AttractorError(f"wanted must be Boolean, not {asked.dtype}")
    given = frozen_tokens(denoiser, x_0, ~asked)
    given = torch.zeros_like(x_0, dtype=torch.bool) if given is None else given
    count = (~given).sum(1)
    if not count.all():
        raise AttractorError(f"of row {int(count.argmin())} no token is wanted that is text")
    rows = row_address(len(x_0), falls, x_0.device) + first
    held, target = given.repeat(falls, 1), x_0.repeat(falls, 1)
    noise = CountedNoise(seed, "extract", 1.0).grid(rows, x_0.shape[1])[..., :2]
    x_1 = torch.where(held, target, denoiser.process.prior(noise))
    mine = processes().share(len(rows))
    end = reverse(
        denoiser.process,
        denoiser.log_probs,
        x_1[mine],
        time_grid(1.0, steps),
        CountedNoise(seed, "extract reverse", 1.0),
        rows[mine],
        batch_size=batch_size,
        frozen=held[mine],
        timeless=timeless(denoiser),
    )
    end = processes().joined(end, len(rows))
    hits = ((end == target) & ~held).sum(1).view(falls, -1)
    right = (hits.double() / count).T.contiguous()
    return TargetedExtraction(x_0.cpu(), ~given.cpu(), right.cpu())


def wanted_part(
    denoiser: Denoiser, tokens: Rows, geometry: str, given: float, seed: int = 0
) -> Bool[Tensor, "N L"]:
    """`wanted_tokens` of rows of which a denoiser knows what is text.

    Raises:
        AttractorError: as that, and for tokens the denoiser does not know.
    """
    text = ~denoiser.process.is_fixed(check_tokens(denoiser, tokens))
    return wanted_tokens(geometry, text.cpu(), given, seed)


def wanted_tokens(
    geometry: str, text: Bool[Tensor, "N L"], given: float, seed: int = 0
) -> Bool[Tensor, "N L"]:
    """Which tokens are wanted back when a share of each row's text is given, at least one.

    Args:
        geometry: what is given: "prefix", the beginning; "suffix", the end; "edge", both ends, so
            that the middle is filled in; "middle", the middle alone; "random", places drawn anew
            for each row and the same in all its falls.
        text: which tokens are text; the others are never wanted.
        given: share of them that is given, in [0, 1).
        seed: of the random places.

    Raises:
        AttractorError: for another geometry or share.
    """
    if geometry not in GEOMETRIES:
        raise AttractorError(f"geometry = {geometry!r}: allowed are {', '.join(GEOMETRIES)}")
    if not 0 <= given < 1:
        raise AttractorError(f"given = {given} is outside [0, 1): something must be wanted")
    rank, n = text.cumsum(1) - 1, text.sum(1, keepdim=True)
    # A share that makes a whole number up to rounding is meant to make that one.
    k = torch.minimum((given * n + 1e-9).long(), (n - 1).clamp(min=0))
    if geometry == "random":
        u = CountedNoise(seed, "extract places").grid(torch.arange(len(text)), text.shape[1])
        rank = u[..., 0].masked_fill(~text, 2.0).argsort(1).argsort(1)
    start = (n - k) // 2
    shown = {
        "prefix": rank < k,
        "random": rank < k,
        "suffix": rank >= n - k,
        "edge": (rank < k - k // 2) | (rank >= n - k // 2),
        "middle": (rank >= start) & (rank < start + k),
    }[geometry]
    return text & ~shown

"""How far each sequence may be corrupted and still come back: its basin radius, by bisection."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import Rows, check_tokens, counted_mean, frozen_tokens, timeless
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import reverse, time_grid
from attractor.results.outcomes import Outcomes
from attractor.results.thresholds import RETURNED
from attractor.types import AttractorError


class Radii(NamedTuple):
    """Basin radius of every sequence, a share of its tokens."""

    per_sequence: Float[Tensor, "N"]
    resolution: float
    """how finely the bisection resolves corruption time, 2^-rounds"""

    def __repr__(self) -> str:
        radii = self.per_sequence
        return (
            f"<Radii of {len(radii):,} sequences: they return from {radii.mean():.1%} of corrupted "
            f"tokens in the mean, {radii.min():.1%} to {radii.max():.1%}>"
        )


def basin_radii(
    denoiser: Denoiser,
    tokens: Rows,
    rounds: int = 5,
    steps: int = 1000,
    seed: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> Radii:
    """The largest corrupted share from which each sequence returns with recovery of at least 0.95.

    The corruption of a sequence grows with t: what is changed at one t is changed at every larger
    one. Bisection takes a sequence that fails at t to fail beyond it, which holds on average and
    not for every draw of the noise.

    Args:
        denoiser: what is probed.
        tokens: clean sequences, (N, L), or text.
        rounds: of the bisection; t is found to 2^-rounds.
        steps: of the reverse grid.
        seed: of the noise, which depends on (seed, row) only.
        frozen: tokens that never move and are counted nowhere, (N, L) or (L,); those that are no
            text are frozen anyhow.

    Raises:
        AttractorError: for rounds < 1, tokens the denoiser does not know, or if none of them may
            move.
    """
    if rounds < 1:
        raise AttractorError(f"rounds = {rounds} must be at least 1")
    x_0 = check_tokens(denoiser, tokens)
    fixed = frozen_tokens(denoiser, x_0, frozen)
    rows = row_address(len(x_0), device=x_0.device)
    # One draw for all times: a larger t corrupts the same tokens, and more.
    noise = CountedNoise(seed, "basin").grid(rows, x_0.shape[1])[..., :2]
    low = torch.zeros(len(x_0), dtype=torch.float64)  # largest t tried from which a row returned
    radius = torch.zeros(len(x_0), dtype=torch.float64)
    for k in range(1, rounds + 1):
        level = low + 2.0**-k
        # Rows that are at the same level run together; in round k there are at most 2^(k-1) levels.
        for t in level.unique().tolist():
            at = (level == t).nonzero()[:, 0].to(x_0.device)
            held = None if fixed is None else fixed[at]
            found = _once(denoiser, x_0[at], t, noise[at], rows[at], steps, seed, held)
            rate = found.rate_per_sequence().cpu()
            # A sequence in which nothing was changed has a rate of NaN, and has returned.
            returned = ~(rate < RETURNED)
            here = at.cpu()[returned]
            low[here] = t
            changed = found.perturbed[0].double()
            if held is not None:
                changed[held] = torch.nan
            radius[here] = counted_mean(changed, 1).cpu()[returned]
    return Radii(radius, 2.0**-rounds)


def _once(
    denoiser: Denoiser,
    x_0: Tensor,
    t: float,
    noise: Tensor,
    rows: Tensor,
    steps: int,
    seed: int,
    frozen: Tensor | None,
) -> Outcomes[Tensor]:
    process = denoiser.process
    x_t = process.corrupt(x_0, noise.new_full((len(x_0),), t), noise, frozen)
    stream, grid = CountedNoise(seed, "basin reverse"), time_grid(t, steps)
    end = reverse(
        process,
        denoiser.log_probs,
        x_t,
        grid,
        stream,
        rows,
        frozen=frozen,
        timeless=timeless(denoiser),
    )
    return Outcomes(x_0, x_t[None], end[None], frozen)

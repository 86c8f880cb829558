"""How different two samples are: Kolmogorov-Smirnov, Wasserstein-1, energy distance, and effect
sizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.detection import auroc
from attractor.analysis.statistics import LEVEL, resampled_counts
from attractor.types import AttractorError

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
RESAMPLES = 400
"""Bootstrap samples behind an interval, and random splits behind `chance`."""
EFFECTS = ("hedges_g", "cliffs_delta")
"""Differences with a sign, which resampling does not move."""


class Distance(NamedTuple):
    """A distance between two samples, and what two samples of one law would show."""

    value: float
    ci: tuple[float, float] | None
    """95%, of the effect sizes only: percentile bootstrap over sequences, and for Cliff's delta
    that of the AUROC, which stays meaningful where the samples are apart"""
    chance: float
    """95% of random splits of the pooled sample stay below this in absolute value"""


def distances(a: Values, b: Values, seed: int = 0) -> dict[str, Distance]:
    """Compare two independent samples, one number a sequence.

    `ks`, `wasserstein` (in the unit of the samples) and `energy` are those of scipy.stats;
    `hedges_g` is the difference of the means in pooled standard deviations, corrected for small
    samples, and left out where neither sample has any spread; `cliffs_delta` is P(a > b) - P(a <
    b). The first three are never negative and too large in finite samples; resampling adds to that,
    so that percentiles of 64 and 64 sequences can lie wholly above the truth. They have no
    interval: it is their comparison with `chance` that says whether the samples differ.

    Raises:
        AttractorError: for fewer than two numbers in either, or one that is not finite.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for sample in (a, b):
        if len(sample) < 2 or not np.isfinite(sample).all():
            raise AttractorError(
                f"{len(sample)} numbers, {np.isfinite(sample).sum()} finite: at least 2 are needed"
            )
    # A sample, a bootstrap sample and half of a random split all have the same values, only each a
    # different number of times. So all statistics are computed from counts on one sorted grid of
    # values, hundreds of samples in one matrix product.
    points, place = np.unique(np.concatenate([a, b]), return_inverse=True)

    def compared(first: Counts, second: Counts) -> dict[str, Values]:
        return _compared(points, _counts(first, len(points)), _counts(second, len(points)))

    first, second = np.split(place, [len(a)])
    value = compared(first[None], second[None])
    samples = compared(_drawn(first, seed), _drawn(second, seed + 1))
    shuffled = np.random.default_rng(seed).permuted(np.tile(place, (RESAMPLES, 1)), axis=1)
    chance = compared(*np.split(shuffled, [len(a)], axis=1))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    found = {}
    for name, (number,) in value.items():
        # Hedges' g has no value where neither sample has any spread.
        if np.isfinite([number, *samples[name], *chance[name]]).all():
            low, high = np.quantile(samples[name], tails).tolist()
            below = float(np.quantile(np.abs(chance[name]), LEVEL))
            found[name] = Distance(float(number), (low, high) if name in EFFECTS else None, below)
    delta = auroc(a, b).scaled(lambda area: 2 * area - 1)
    found["cliffs_delta"] = found["cliffs_delta"]._replace(value=delta.value, ci=delta.interval)
    return found


def _drawn(place: Counts, seed: int) -> Counts:
    """Bootstrap samples, (resamples, n)."""
    return np.stack(
        [np.repeat(place, times) for times in resampled_counts(len(place), seed, RESAMPLES)]
    )


def _counts(places: Counts, points: int) -> Counts:
    """How often each of R samples, (R, n), has each point, (R, points)."""
    # One count over all samples, each with a range of numbers of its own.
    row = np.arange(len(places))[:, None] * points
    counts = np.bincount((row + places).ravel(), minlength=len(places) * points)
    return counts.reshape(len(places), points)


def _compared(points: Values, a: Counts, b: Counts) -> dict[str, Values]:
    """Statistics of R pairs of samples, given by how often each has each of the sorted points, (R,
    P)."""
    # KS, Wasserstein and energy are the largest, the absolute and the squared difference of the two
    # distribution functions, which are steps between neighbouring points.
    size_a, size_b = int(a[0].sum()), int(b[0].sum())
    share_a, share_b = a / size_a, b / size_b
    below_a, below_b = share_a.cumsum(1), share_b.cumsum(1)
    apart, steps = below_a - below_b, np.diff(points)
    mean_a, mean_b = share_a @ points, share_b @ points
    squares = a @ points**2 - size_a * mean_a**2 + b @ points**2 - size_b * mean_b**2
    freedom = size_a + size_b - 2
    spread = np.sqrt(np.maximum(squares, 0) / freedom)
    spread[spread <= 1e-7 * np.abs(points).max()] = np.nan  # rounding, not spread
    # P(b < x) is below_b - share_b and P(b > x) is 1 - below_b: their difference, averaged over a,
    # is Cliff's delta.
    return {
        "ks": np.abs(apart).max(1),
        "wasserstein": np.abs(apart[:, :-1]) @ steps,
        "energy": np.sqrt(2 * apart[:, :-1] ** 2 @ steps),
        "hedges_g": (mean_a - mean_b) / spread * (1 - 3 / (4 * freedom - 1)),
        "cliffs_delta": (share_a * (2 * below_b - share_b)).sum(1) - 1,
    }

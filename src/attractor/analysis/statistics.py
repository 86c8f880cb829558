"""Intervals over sequences: tokens of one sequence are not independent and are never resampled by themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attractor.types import AttractorError

Values = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean with its interval."""

    value: float
    low: float
    high: float
    n: int
    """sequences behind it"""


def mean_interval(values: Values, *, share: bool = False, seed: int = 0) -> Estimate:
    """Mean over sequences with a 95% bootstrap interval (percentile).

    Args:
        values: one number for each sequence; NaN where a sequence has none.
        share: the numbers lie in [0, 1]. Where all are 0 or all are 1 the bootstrap has no width; the exact binomial
            interval of "n sequences of n" stands in for it.
        seed: of the resampling.

    Raises:
        AttractorError: for fewer than two sequences.
    """
    values = _finite(values)
    n, mean = len(values), float(values.mean())
    if share and np.ptp(values) == 0 and mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(LEVEL, method="exact")
        return Estimate(mean, float(exact.low), float(exact.high), n)
    return Estimate(mean, *_percentiles(resampled_means(values[:, None], seed)[:, 0]), n)


def difference_interval(a: Values, b: Values, seed: int = 0) -> Estimate:
    """Mean of `a` minus mean of `b`, independent samples, with a 95% bootstrap interval."""
    a, b = _finite(a), _finite(b)
    means_a, means_b = resampled_means(a[:, None], seed), resampled_means(b[:, None], seed + 1)
    return Estimate(float(a.mean() - b.mean()), *_percentiles((means_a - means_b)[:, 0]), min(len(a), len(b)))


def resampled_means(curves: NDArray[np.float64], seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Means over resampled sequences, (resamples, points), of (sequences, points): whole curves at a time.

    NaN entries (a sequence in which nothing was perturbed) are left out of the mean of their point.
    """
    known = ~np.isnan(curves)
    counts = _resampled_counts(len(curves), seed, resamples)
    with np.errstate(invalid="ignore"):
        return (counts @ np.where(known, curves, 0.0)) / (counts @ known)


def ratio_interval(part: Values, whole: Values, seed: int = 0) -> Estimate:
    """Sum of `part` over sum of `whole`, such as tokens of all sequences together, with a 95% bootstrap interval.

    Raises:
        AttractorError: for fewer than two sequences, or if `whole` is zero everywhere.
    """
    if len(part) < 2 or whole.sum() == 0:
        raise AttractorError(f"{len(part)} sequences with {whole.sum():g} tokens: no interval")
    counts = _resampled_counts(len(part), seed, RESAMPLES)
    with np.errstate(invalid="ignore"):
        samples = (counts @ part) / (counts @ whole)
    return Estimate(float(part.sum() / whole.sum()), *_percentiles(samples), len(part))


def _resampled_counts(n: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """How often each of n sequences is drawn in each resample, (resamples, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)


def _percentiles(samples: Values) -> tuple[float, float]:
    low, high = np.nanquantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _finite(values: Values) -> Values:
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        raise AttractorError(f"{len(values)} sequences with a value: an interval needs at least 2")
    return values

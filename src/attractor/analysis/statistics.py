"""Intervals over sequences: tokens of one sequence are not independent and are never resampled by themselves."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from attractor.types import AttractorError

Values = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 2000
FEW = 30
"""Sequences below which an interval is only a rough one."""


class Estimate(NamedTuple):
    """A number with its 95% interval."""

    value: float
    low: float
    high: float
    n: int
    """sequences behind it"""

    @property
    def warning(self) -> str | None:
        """What to say beside an interval over few sequences."""
        return f"the interval rests on {self.n} sequences, fewer than {FEW}" if self.n < FEW else None


def mean_interval(values: Values, *, share: bool = False, missing: bool = False, seed: int = 0) -> Estimate:
    """Mean over sequences with a 95% bootstrap interval, see `bca`.

    Args:
        values: one number for each sequence.
        share: the numbers lie in [0, 1]. Where all are 0 or all are 1 the bootstrap has no width; the exact binomial
            interval of "n sequences of n" stands in for it.
        missing: NaN marks a sequence that has no value, such as recovery where nothing was corrupted; it is left out.
        seed: of the resampling.

    Raises:
        AttractorError: for fewer than two sequences, and for a number that is not finite.
    """
    values = _checked(values, missing)
    n, mean = len(values), float(values.mean())
    if share and np.ptp(values) == 0 and mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(LEVEL, method="exact")
        return Estimate(mean, float(exact.low), float(exact.high), n)
    return Estimate(mean, *bca(mean, resampled_means(values[:, None], seed)[:, 0], values - mean, n), n)


def difference_interval(a: Values, b: Values, seed: int = 0) -> Estimate:
    """Mean of `a` minus mean of `b`, independent samples, with a 95% bootstrap interval.

    Raises:
        AttractorError: for fewer than two sequences in either, and for a number that is not finite.
    """
    a, b = _checked(a), _checked(b)
    n, value = min(len(a), len(b)), float(a.mean() - b.mean())
    means_a, means_b = resampled_means(a[:, None], seed), resampled_means(b[:, None], seed + 1)
    influence = np.concatenate([(a - a.mean()) / len(a), (b.mean() - b) / len(b)])
    return Estimate(value, *bca(value, (means_a - means_b)[:, 0], influence, n), n)


def ratio_interval(part: Values, whole: Values, seed: int = 0) -> Estimate:
    """Sum of `part` over sum of `whole`, such as tokens of all sequences together, with a 95% bootstrap interval.

    Raises:
        AttractorError: for fewer than two sequences, or if `whole` is zero everywhere.
    """
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    n = len(part)
    if n < 2 or whole.sum() == 0:
        raise AttractorError(f"{n} sequences with {whole.sum():g} tokens: an interval needs at least 2 and 1")
    value = float(part.sum() / whole.sum())
    counts = _weights(n, seed, RESAMPLES, 0)
    with np.errstate(invalid="ignore"):
        samples = (counts @ part) / (counts @ whole)
    return Estimate(value, *bca(value, samples[~np.isnan(samples)], part - value * whole, n), n)


def bca(value: float, samples: Values, influence: Values, n: int) -> tuple[float, float]:
    """Bias-corrected and accelerated 95% interval from bootstrap samples (Efron, JASA 82, 171).

    The tails are widened to those of Student's t with the n - 1 factor that resampling leaves out (Hesterberg,
    American Statistician 69, 371), without which 30 sequences give intervals that are too short.

    Args:
        value: the estimate itself.
        samples: its bootstrap samples.
        influence: of each sequence on the estimate, up to one common factor; for a mean its deviation.
        n: sequences behind it.
    """
    below = (np.mean(samples < value) + np.mean(samples <= value)) / 2
    tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf((1 + LEVEL) / 2, n - 1))
    levels = np.clip([tail, 1 - tail], 1e-12, 1 - 1e-12)  # two sequences have tails of 1e-71
    spread = np.sum(influence**2)
    if 0 < below < 1 and spread > 0:  # otherwise bias and acceleration are not defined: percentiles
        bias = stats.norm.ppf(below)
        acceleration = np.sum(influence**3) / (6 * spread**1.5)
        shifted = bias + stats.norm.ppf(levels)
        levels = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(samples, np.clip(levels, 0, 1))
    return float(low), float(high)


def resampled_means(
    curves: NDArray[np.float64], seed: int, resamples: int = RESAMPLES, stream: int = 0
) -> NDArray[np.float64]:
    """Means over resampled training seeds and sequences, (resamples, points): whole curves at a time.

    Seeds are drawn first, then sequences; all seeds are probed on the same sequences, so both draws hold for the whole
    table. Of K seeds K - 1 are drawn, which makes the variance of the mean unbiased (Rao and Wu, JASA 83, 231); a
    single seed says nothing about the spread between seeds.

    Args:
        curves: (sequences, points), or (seeds, sequences, points). NaN, a sequence in which nothing was perturbed, is
            left out of the mean of its point.
        seed: of the draws.
        resamples: how many.
        stream: curves of the same sequences share the stream, and with it the draws.
    """
    stacked = curves[None] if curves.ndim == 2 else curves
    known = ~np.isnan(stacked)
    sequences = _weights(stacked.shape[1], seed, resamples, stream)
    seeds = resampled_seeds(len(stacked), seed, resamples)
    total = np.zeros((resamples, stacked.shape[2]))
    count = np.zeros_like(total)
    for weight, values, there in zip(seeds.T, stacked, known, strict=True):
        total += weight[:, None] * (sequences @ np.where(there, values, 0.0))
        count += weight[:, None] * (sequences @ there)
    with np.errstate(invalid="ignore"):
        return total / count


def resampled_counts(n: int, seed: int, resamples: int = RESAMPLES, stream: int = 0) -> NDArray[np.int64]:
    """How often each of n sequences is drawn in each resample, (resamples, n)."""
    return np.random.default_rng([seed, stream]).multinomial(n, np.full(n, 1 / n), size=resamples)


@functools.lru_cache(maxsize=2)
def _weights(n: int, seed: int, resamples: int, stream: int) -> Values:
    """The same counts as floats, kept: one model asks for them hundreds of times."""
    counts = resampled_counts(n, seed, resamples, stream).astype(np.float64)
    counts.flags.writeable = False
    return counts


def resampled_seeds(k: int, seed: int, resamples: int) -> NDArray[np.float64]:
    """Weight of each of k training seeds in each resample, (resamples, k), summing to one."""
    drawn = max(k - 1, 1)
    return np.random.default_rng([seed, 2**31]).multinomial(drawn, np.full(k, 1 / k), size=resamples) / drawn


def delete_one(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean curves without each sequence in turn, then without each seed, (N or N + K, points)."""
    stacked = curves[None] if curves.ndim == 2 else curves
    known = ~np.isnan(stacked)
    filled = np.where(known, stacked, 0.0)

    def left_out(axis: int) -> NDArray[np.float64]:
        over = tuple(i for i in (0, 1) if i != axis)
        total, count = filled.sum((0, 1)) - filled.sum(over), known.sum((0, 1)) - known.sum(over)
        with np.errstate(invalid="ignore"):
            return total / count

    return left_out(1) if len(stacked) == 1 else np.concatenate([left_out(1), left_out(0)])


def clopper_pearson(hits: int, n: int) -> Estimate:
    """Share of hits in n independent trials with its exact 95% interval.

    Raises:
        AttractorError: for no trials.
    """
    if n < 1:
        raise AttractorError("0 trials: a share needs at least 1")
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return Estimate(hits / n, low, high, n)


def _checked(values: Values, missing: bool = False) -> Values:
    values = np.asarray(values, dtype=np.float64)
    if missing:
        values = values[~np.isnan(values)]
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise AttractorError(f"{len(wrong)} of {len(values)} sequences have no finite value, first row {wrong[0]}")
    if len(values) < 2:
        raise AttractorError(f"{len(values)} sequences with a value: an interval needs at least 2")
    return values

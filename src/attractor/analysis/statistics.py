"""Intervals over sequences and groups of sequences; tokens of one sequence are not independent and
are never resampled."""

from __future__ import annotations

import functools

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from attractor.analysis.groups import alike, design, summed
from attractor.results.estimate import Estimate as Estimate
from attractor.results.estimate import Groups
from attractor.types import AttractorError

Values = NDArray[np.float64]
LEVEL = 0.95
"""How often an interval is to cover the truth."""
RESAMPLES = 2000
"""Bootstrap samples behind an interval."""


def mean_interval(
    values: Values,
    *,
    share: bool = False,
    missing: bool = False,
    seed: int = 0,
    groups: Groups | None = None,
) -> Estimate:
    """Mean over sequences with a 95% bootstrap interval, see `bca`.

    Args:
        values: one number for each sequence.
        share: the numbers lie in [0, 1]. Where all are 0 or all are 1 the bootstrap has no width;
            the exact binomial interval of "n sequences of n" stands in for it.
        missing: NaN marks a sequence that has no value, such as recovery where nothing was
            corrupted; it is left out.
        seed: of the resampling.
        groups: which sequences belong together; groups are resampled where `design` says so.

    Raises:
        AttractorError: for fewer than two sequences, and for a number that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if groups is not None and missing:
        groups = groups.chosen(~np.isnan(values))
    values = _checked(values, missing)
    n, mean = len(values), float(values.mean())
    found = None if groups is None else design(values, groups)
    if share and np.ptp(values) == 0 and mean in (0.0, 1.0):
        trials = found.groups if found is not None and found.by_group else n
        exact = scipy.stats.binomtest(round(mean * trials), trials).proportion_ci(
            LEVEL, method="exact"
        )
        return Estimate(mean, float(exact.low), float(exact.high), n, found)
    if groups is not None and found is not None and found.by_group:
        sums = summed(values, groups.of), summed(np.ones(n), groups.of)
        return ratio_interval(sums[0], sums[1], seed)._replace(value=mean, n=n, design=found)
    samples = resampled_means(values[:, None], seed)[:, 0]
    return Estimate(mean, *bca(mean, samples, values - mean, n), n, found)


def difference_interval(
    a: Values,
    b: Values,
    seed: int = 0,
    groups: tuple[Groups | None, Groups | None] = (None, None),
) -> Estimate:
    """Mean of `a` minus mean of `b`, independent samples, with a 95% bootstrap interval; for the
    `groups` of either see `mean_interval`.

    Raises:
        AttractorError: for fewer than two sequences in either, and for a number that is not finite.
    """
    a, b = _checked(a), _checked(b)
    value = float(a.mean() - b.mean())
    # By how much the difference moves when a sequence of either sample gets a little more weight.
    influence = (a - a.mean()) / len(a), (b.mean() - b) / len(b)
    of = [alike(x, known) for x, known in zip(influence, groups, strict=True)]
    means_a, means_b = (
        resampled_means(x[:, None], seed + i, groups=of[i])[:, 0] for i, x in enumerate((a, b))
    )
    units = [x if each is None else summed(x, each) for x, each in zip(influence, of, strict=True)]
    ends = bca(value, means_a - means_b, np.concatenate(units), min(map(len, units)))
    return Estimate(value, *ends, min(len(a), len(b)))


def share_interval(hits: Values, groups: Groups | None = None) -> Estimate:
    """Share of sequences that are a hit, 1 or 0 each, with its exact 95% interval; for `groups` see
    `mean_interval`.

    Raises:
        AttractorError: for no sequences.
    """
    hits = np.asarray(hits, dtype=np.float64)
    plain = clopper_pearson(float(hits.sum()), len(hits))
    if groups is None:
        return plain
    found = design(hits, groups)
    if not found.by_group:
        return plain._replace(design=found)
    sums = summed(hits, groups.of), summed(np.ones(len(hits)), groups.of)
    return clustered_share(*sums)._replace(n=len(hits), design=found)


def ratio_interval(
    part: Values, whole: Values, seed: int = 0, groups: Groups | None = None
) -> Estimate:
    """Sum of `part` over sum of `whole`, such as nats of the tokens of all sequences together, with
    a 95% bootstrap interval. Sequences in which `whole` is zero say nothing and are left out. For
    shares see `clustered_share`, for `groups` see `mean_interval`.

    Raises:
        AttractorError: for fewer than two sequences in which `whole` is not zero.
    """
    known = np.asarray(whole) > 0
    part, whole = (np.asarray(x, dtype=np.float64)[known] for x in (part, whole))
    n = len(part)
    if n < 2:
        raise AttractorError(f"{n} sequences with a token: an interval needs at least 2")
    # The influence of a sequence on a ratio of sums is, up to a factor, what it has of `part`
    # beyond its due.
    value = float(part.sum() / whole.sum())
    if groups is not None:
        chosen = groups.chosen(known)
        found = design(part - value * whole, chosen)
        if found.by_group:
            part, whole = summed(part, chosen.of), summed(whole, chosen.of)
        return ratio_interval(part, whole, seed)._replace(n=n, design=found)
    counts = _weights(n, seed, RESAMPLES, 0)
    samples = (counts @ part) / (counts @ whole)
    return Estimate(value, *bca(value, samples, part - value * whole, n), n)


def bca(
    value: float, samples: Values, influence: Values, n: int, level: float = LEVEL
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval from bootstrap samples (Efron, JASA 82, 171).

    The tails are widened to those of Student's t with the n - 1 factor that resampling leaves out
    (Hesterberg, American Statistician 69, 371), without which 30 sequences give intervals that are
    too short.

    Args:
        value: the estimate itself.
        samples: its bootstrap samples.
        influence: of each sequence on the estimate, up to one common factor; for a mean its
            deviation.
        n: sequences behind it.
        level: how often it is to cover.

    Returns:
        Both ends.
    """
    # Samples equal to the value count half, or a discrete statistic would look biased.
    below = (np.mean(samples < value) + np.mean(samples <= value)) / 2
    tail = student_tail(n, level)
    levels = np.clip([tail, 1 - tail], 1e-12, 1 - 1e-12)  # two sequences have tails of 1e-71
    spread = np.sum(influence**2)
    # Where bias and acceleration are not defined, plain percentiles are left.
    if 0 < below < 1 and spread > 0:
        bias = special.ndtri(below)
        acceleration = np.sum(influence**3) / (6 * spread**1.5)
        shifted = bias + special.ndtri(levels)
        levels = special.ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(samples, np.clip(levels, 0, 1))
    return float(low), float(high)


@functools.lru_cache
def student_tail(n: int, level: float = LEVEL) -> float:
    """The share of bootstrap samples beyond each end, so wide that n sequences give Student's t."""
    student = special.stdtrit(n - 1, (1 + level) / 2)
    return float(special.ndtr(-np.sqrt(n / (n - 1)) * student))


def resampled_means(
    curves: NDArray[np.float64],
    seed: int,
    resamples: int = RESAMPLES,
    stream: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Means over resampled sequences, (resamples, points): whole curves at a time.

    Args:
        curves: (sequences, points), or (training seeds, sequences, points), where a draw of
            sequences holds for all seeds. NaN, a sequence in which nothing was perturbed, is left
            out of the mean of its point.
        seed: of the draws.
        resamples: how many.
        stream: curves of the same sequences share the stream, and with it the draws.
        groups: group of each sequence, (sequences,), where whole groups are to be drawn.
    """
    total, count = _totals(curves, groups)
    weights = _weights(total.shape[-2], seed, resamples, stream)
    # Seeds are summed, not drawn. A point at which no drawn sequence has a value is 0 / 0, NaN.
    with np.errstate(invalid="ignore"):
        return (weights @ total.sum(0)) / (weights @ count.sum(0))


def resampled_counts(
    n: int, seed: int, resamples: int = RESAMPLES, stream: int = 0
) -> NDArray[np.int64]:
    """How often each of n sequences is drawn in each resample, (resamples, n)."""
    return np.random.default_rng([seed, stream]).multinomial(n, np.full(n, 1 / n), size=resamples)


@functools.lru_cache(maxsize=2)
def _weights(n: int, seed: int, resamples: int, stream: int) -> Values:
    """The same counts as floats, kept: one model asks for them hundreds of times."""
    counts = resampled_counts(n, seed, resamples, stream).astype(np.float64)
    counts.flags.writeable = False
    return counts


def delete_one(
    curves: NDArray[np.float64], axis: int = 1, groups: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Mean curves without each sequence in turn, or each group of them, (N, points), or, with
    `axis` 0, without each seed, (K, points).

    Without its only seed nothing is left: (0, points).
    """
    total, count = _totals(curves, groups)
    if axis == 0 and len(total) == 1:
        return np.empty((0, curves.shape[-1]))
    # The sum of all less that of the one: with axis 1, of a sequence over seeds; with 0, of a seed
    # over sequences.
    total, count = (x.sum((0, 1)) - x.sum(1 - axis) for x in (total, count))
    with np.errstate(invalid="ignore"):
        return total / count


def _totals(
    curves: NDArray[np.float64], groups: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values with zero for NaN, and 1 where there is one, both (seeds, sequences, points); of
    groups, their sums."""
    stacked = curves[None] if curves.ndim == 2 else curves
    known = ~np.isnan(stacked)
    both = np.where(known, stacked, 0.0), known.astype(np.float64)
    if groups is None:
        return both
    return summed(both[0], groups, axis=1), summed(both[1], groups, axis=1)


def clopper_pearson(hits: float, n: float, level: float = LEVEL) -> Estimate:
    """Share of hits in n independent trials with its exact interval, of 95% unless another `level`
    is asked for.

    Raises:
        AttractorError: for no trials.
    """
    if n <= 0:
        raise AttractorError("0 trials: a share needs at least 1")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return Estimate(hits / n, low, high, round(n))


def clustered_share(hits: Values, trials: Values, groups: Groups | None = None) -> Estimate:
    """Share of hits in trials that come in clusters, such as tokens in sequences, with a 95%
    interval.

    Clopper-Pearson with the number of independent trials that would know the share as well (Korn
    and Graubard, Survey Methodology 24, 193), which stays an interval where all trials are hits or
    a single sequence holds them all.

    Args:
        hits: in each cluster.
        trials: in each cluster; those without any are left out.
        groups: which clusters belong together; see `mean_interval`.

    Raises:
        AttractorError: for no trials.
    """
    known = np.asarray(trials) > 0
    hits, trials = (np.asarray(x, dtype=np.float64)[known] for x in (hits, trials))
    clusters, total = len(trials), float(trials.sum())
    if not clusters:
        raise AttractorError("0 trials: a share needs at least 1")
    if groups is not None:
        chosen = groups.chosen(known)
        found = design(hits - hits.sum() / total * trials, chosen)
        if found.by_group:
            hits, trials = summed(hits, chosen.of), summed(trials, chosen.of)
        return clustered_share(hits, trials)._replace(n=clusters, design=found)
    share, effective = float(hits.sum()) / total, float(clusters)
    if clusters > 1 and 0 < share < 1:
        # So many independent trials would have the variance that the clusters show, and never more
        # than there are; the ratio of tails is for a variance that is itself known from few
        # clusters.
        squares = float(((hits - share * trials) ** 2).sum())
        variance = clusters / (clusters - 1) * squares / total**2
        tails = special.stdtrit([max(total - 1, 1), clusters - 1], (1 + LEVEL) / 2)
        binomial = share * (1 - share)
        effective = binomial / max(variance, binomial / total) * (tails[0] / tails[1]) ** 2
    return clopper_pearson(share * effective, effective)._replace(n=clusters)


def _checked(values: Values, missing: bool = False) -> Values:
    values = np.asarray(values, dtype=np.float64)
    if missing:
        values = values[~np.isnan(values)]
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise AttractorError(
            f"{len(wrong)} of {len(values)} sequences have no finite value, first row {wrong[0]}"
        )
    if len(values) < 2:
        raise AttractorError(f"{len(values)} sequences with a value: an interval needs at least 2")
    return values

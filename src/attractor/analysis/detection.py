"""Telling two kinds apart by a score: AUROC, true positives at a false-positive rate, thresholds scored elsewhere."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from attractor.analysis.distances import cliffs_delta
from attractor.analysis.statistics import LEVEL, Estimate, clopper_pearson
from attractor.types import AttractorError

Values = NDArray[np.float64]
SHUFFLES = 200


class Detection(NamedTuple):
    """True positives at the largest false-positive rate that is not above a level."""

    rate: Estimate
    """of true positives, Clopper-Pearson"""
    false_positives: float
    """the rate reached; with N negatives it is a multiple of 1/N"""
    threshold: float
    """a score of at least this counts as positive; infinite where even one false positive is too many"""


class Transfer(NamedTuple):
    """Thresholds chosen on all groups but one and scored on that one."""

    accuracy: Estimate
    """share of cases on the right side of a threshold that never saw their group, Clopper-Pearson, as if the cases were
    independent; cases that share training text, such as sizes of one nested series, are less so, and the interval is
    then too narrow"""
    groups: int


def auroc(positive: Values, negative: Values) -> Estimate:
    """P(positive score > negative score), ties counted half, with a 95% interval.

    The interval inverts the score test with the variance of exponential scores (Newcombe, Statistics in Medicine 25,
    559, method 5), which stays meaningful where the samples are perfectly separated.

    Raises:
        AttractorError: for fewer than two of either, or scores that are not numbers.
    """
    positive, negative = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    m, n = len(positive), len(negative)
    if min(m, n) < 2 or np.isnan(positive).any() or np.isnan(negative).any():
        raise AttractorError(f"AUROC of {m} positive and {n} negative scores: at least 2 of each, none NaN, are needed")
    value = (cliffs_delta(positive, negative) + 1) / 2
    z, more = stats.norm.ppf((1 + LEVEL) / 2), (m + n) / 2 - 1

    def excess(area: float) -> float:
        variance = area * (1 - area) / (m * n) * (1 + more * (1 - area) / (2 - area) + more * area / (1 + area))
        return (value - area) ** 2 - z**2 * variance

    low = 0.0 if value == 0 else float(optimize.brentq(excess, 0, value - 1e-12)) if excess(0) > 0 else 0.0
    high = 1.0 if value == 1 else float(optimize.brentq(excess, value + 1e-12, 1)) if excess(1) > 0 else 1.0
    return Estimate(value, low, high, min(m, n))


def auroc_gain(scores: tuple[Values, Values], others: tuple[Values, Values]) -> Estimate:
    """AUROC of one score minus that of another, on the same positive and negative cases in the same order.

    The interval is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 837) for correlated areas, with the tails
    of Student's t.
    """
    parts = [_placements(*scores), _placements(*others)]
    value = float(parts[0][0].mean() - parts[1][0].mean())
    spread = sum(float(np.var(own - other, ddof=1)) / len(own) for own, other in zip(*parts, strict=True))
    n = min(map(len, scores))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * spread**0.5
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach), n)


def _placements(positive: Values, negative: Values) -> tuple[Values, Values]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""

    def below(a: Values, b: Values) -> Values:
        ordered = np.sort(b)
        found: Values = (np.searchsorted(ordered, a, "left") + np.searchsorted(ordered, a, "right")) / 2 / len(b)
        return found

    return below(positive, negative), 1 - below(negative, positive)


def auroc_shuffled(positive: Values, negative: Values, seed: int = 0) -> Estimate:
    """AUROC with labels shuffled: the mean over `SHUFFLES` permutations, and what 95% of them lie between."""
    m, n = len(positive), len(negative)
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    drawn = np.random.default_rng(seed).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)[:, :m]
    areas = (drawn.sum(1) - m * (m + 1) / 2) / (m * n)
    low, high = np.quantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(areas.mean()), float(low), float(high), min(m, n))


def detection_at(positive: Values, negative: Values, level: float) -> Detection:
    """True positives at a false-positive rate of at most `level`.

    Raises:
        AttractorError: for no positives, no negatives, or a level outside [0, 1].
    """
    positive, negative = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    if not len(positive) or not len(negative) or not 0 <= level <= 1:
        raise AttractorError(
            f"{len(positive)} positives, {len(negative)} negatives, level {level}: 1, 1, [0, 1] allowed"
        )
    scores = np.unique(np.concatenate([positive, negative]))
    wrong = (negative[None] >= scores[:, None]).mean(1)
    allowed = np.flatnonzero(wrong <= level + 1e-12)
    if not len(allowed):
        return Detection(clopper_pearson(0, len(positive)), 0.0, float("inf"))
    threshold = scores[allowed[0]]
    hits = int((positive >= threshold).sum())
    return Detection(clopper_pearson(hits, len(positive)), float(wrong[allowed[0]]), float(threshold))


def transfer(scores: Values, positive: NDArray[np.bool_], groups: Sequence[Hashable]) -> Transfer | None:
    """Choose the threshold of highest balanced accuracy on all groups but one; score it on that one, for each in turn.

    Args:
        scores: of each case; high means positive.
        positive: what each case is.
        groups: what each case belongs to, such as a model size.

    Returns:
        None where some other groups do not hold both kinds, so that no threshold can be chosen.
    """
    names = list(dict.fromkeys(groups))
    member = np.array([names.index(group) for group in groups])
    hits = 0
    for i in range(len(names)):
        chosen, held_out = member != i, member == i
        if not (positive[chosen].any() and (~positive[chosen]).any()):
            return None
        threshold = best_threshold(scores[chosen], positive[chosen])
        hits += int(((scores[held_out] >= threshold) == positive[held_out]).sum())
    return Transfer(clopper_pearson(hits, len(scores)), len(names))


def best_threshold(scores: Values, positive: NDArray[np.bool_]) -> float:
    """The middle of the gap between two scores that separates the kinds with the highest balanced accuracy."""
    distinct = np.unique(scores)
    cuts = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
    above = scores[None] >= cuts[:, None]
    balanced = above[:, positive].mean(1) + (~above)[:, ~positive].mean(1)
    return float(cuts[balanced.argmax()])

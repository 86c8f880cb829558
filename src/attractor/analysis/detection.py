"""Telling two kinds apart by a score: AUROC, true positives at a false-positive rate, thresholds
scored elsewhere."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import optimize

from attractor.analysis.groups import design
from attractor.analysis.statistics import LEVEL, clopper_pearson, share_interval
from attractor.results.estimate import Estimate, Groups
from attractor.types import AttractorError

Values = NDArray[np.float64]
SHUFFLES = 200
"""Permutations of the labels behind `auroc_shuffled`."""


class Detection(NamedTuple):
    """True positives at the largest false-positive rate that is not above a level."""

    rate: Estimate
    """the rate of true positives, with Clopper and Pearson's interval"""
    false_positives: float
    """the rate reached; with N negatives it is a multiple of 1/N"""
    threshold: float
    """a score of at least this counts as positive; infinite where even one false positive is too
    many"""


class Transfer(NamedTuple):
    """Thresholds chosen on all groups but one and scored on that one."""

    accuracy: Estimate
    """share of cases on the right side of a threshold that never saw their group, Clopper-Pearson,
    as if the cases were independent; cases that share training text, such as sizes of one nested
    series, are less so, and the interval is then too narrow"""
    groups: int


def auroc(
    positive: Values,
    negative: Values,
    groups: tuple[Groups | None, Groups | None] = (None, None),
) -> Estimate:
    """P(positive score > negative score), ties counted half, with a 95% interval.

    The interval inverts the score test with the variance of exponential scores (Newcombe,
    Statistics in Medicine 25, 559, method 5), which stays meaningful where the samples are
    perfectly separated.

    Args:
        positive: scores of the positive cases, (m,).
        negative: scores of the negative cases, (n,).
        groups: which positive and which negative cases belong together. Where `groups.design` says
            so, the interval is that of as many independent cases as would know the area as well:
            their number over the design effect of their placements.

    Raises:
        AttractorError: for fewer than two of either, or scores that are not numbers.
    """
    positive, negative = _checked(positive, negative, least=2)
    placements = _placements(positive, negative)
    value, cases = float(placements[0].mean()), min(len(positive), len(negative))
    m, n = (_independent(x, known) for x, known in zip(placements, groups, strict=True))
    z, more = scipy.stats.norm.ppf((1 + LEVEL) / 2), (m + n) / 2 - 1

    # The interval is of all areas from which the one found is within z standard deviations, taken
    # at that area and not at the one found, where they may be zero.
    def excess(area: float) -> float:
        inflation = 1 + more * (1 - area) / (2 - area) + more * area / (1 + area)
        variance = area * (1 - area) / (m * n) * inflation
        return (value - area) ** 2 - z**2 * variance

    # `excess` is positive at the ends, where the variance vanishes, but for an end that is the
    # value itself; next to the value it is negative.
    low, high = 0.0, 1.0
    if value > 0 and excess(0) > 0:
        low = float(optimize.brentq(excess, 0, value - 1e-12))
    if value < 1 and excess(1) > 0:
        high = float(optimize.brentq(excess, value + 1e-12, 1))
    return Estimate(value, low, high, cases)


def _independent(placements: Values, groups: Groups | None) -> float:
    """How many independent cases would know the mean of their placements as well."""
    if groups is None:
        return len(placements)
    found = design(placements, groups)
    if not found.by_group:
        return len(placements)
    # Where all are placed alike, a group is one case, as where all of a share are hits.
    effect = len(placements) / found.groups if found.effect is None else max(1.0, found.effect)
    return max(2.0, len(placements) / effect)


def auroc_gain(
    scores: tuple[Values, Values],
    others: tuple[Values, Values],
    groups: tuple[Groups | None, Groups | None] = (None, None),
) -> Estimate:
    """AUROC of one score minus that of another, on the same positive and negative cases in the same
    order.

    The interval adds the squares of the `auroc` intervals of both, less twice their product times
    the correlation of the areas (Zou and Donner, Statistics in Medicine 27, 1693), which is that of
    DeLong, DeLong and Clarke-Pearson (Biometrics 44, 837). DeLong's own interval has no width where
    both scores separate all cases, however few. Simulated with 16 and 24 cases, this covers 95% or
    more also there. For `groups`, of the positive and of the negative cases, see `auroc`.

    Raises:
        AttractorError: as `auroc`, and for scores of different cases.
    """
    a, b = auroc(*scores, groups), auroc(*others, groups)
    if [len(kind) for kind in scores] != [len(kind) for kind in others]:
        raise AttractorError(
            f"scores of {sum(map(len, scores))} and {sum(map(len, others))} cases: give the same "
            "ones"
        )
    # DeLong: an area is the mean of the placements of either kind, so the covariance of two areas
    # is that of their placements, over the positive cases plus over the negative ones.
    parts = zip(_placements(*scores), _placements(*others), strict=True)
    covariance = np.sum([np.cov(x, y) / len(x) for x, y in parts], axis=0)
    scale = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
    correlation = float(covariance[0, 1]) / scale if scale > 0 else 0.0

    def reach(up: float, down: float) -> float:
        """How far the gain may move where one area moves up and the other down."""
        return float(np.sqrt(max(0.0, up**2 + down**2 - 2 * correlation * up * down)))

    value, (a_low, a_high), (b_low, b_high) = a.value - b.value, a.ends(), b.ends()
    low, high = reach(a.value - a_low, b_high - b.value), reach(a_high - a.value, b.value - b_low)
    return Estimate(value, max(-1.0, value - low), min(1.0, value + high), a.n)


def _checked(positive: Values, negative: Values, least: int) -> tuple[Values, Values]:
    positive = np.asarray(positive, dtype=np.float64)
    negative = np.asarray(negative, dtype=np.float64)
    m, n = len(positive), len(negative)
    if min(m, n) < least or np.isnan(positive).any() or np.isnan(negative).any():
        raise AttractorError(
            f"{m} positive and {n} negative scores, "
            f"{int(np.isnan(positive).sum() + np.isnan(negative).sum())} NaN: at least {least} of "
            "each, none NaN, are needed"
        )
    return positive, negative


def _placements(positive: Values, negative: Values) -> tuple[Values, Values]:
    """For each positive the share of negatives below it, for each negative that of positives above
    it; ties half."""

    def below(a: Values, b: Values) -> Values:
        # As many of b lie below as `left` says, as many are below or equal as `right` says: the
        # mean of both counts ties half.
        ordered = np.sort(b)
        left, right = (np.searchsorted(ordered, a, side) for side in ("left", "right"))
        found: Values = (left + right) / 2 / len(b)
        return found

    return below(positive, negative), 1 - below(negative, positive)


def auroc_shuffled(positive: Values, negative: Values, seed: int = 0) -> Estimate:
    """AUROC with labels shuffled: the mean over `SHUFFLES` permutations, and what 95% of them lie
    between."""
    m, n = len(positive), len(negative)
    # The area is Mann and Whitney's U over m n, and U is the sum of the positive ranks less the
    # smallest that it can be: a permutation costs one sum.
    ranks = scipy.stats.rankdata(np.concatenate([positive, negative]))
    drawn = np.random.default_rng(seed).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)[:, :m]
    areas = (drawn.sum(1) - m * (m + 1) / 2) / (m * n)
    low, high = np.quantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(areas.mean()), float(low), float(high), min(m, n))


def detection_at(
    positive: Values, negative: Values, level: float, groups: Groups | None = None
) -> Detection:
    """True positives at a false-positive rate of at most `level`; for the `groups` of the positive
    cases see `statistics.share_interval`.

    Raises:
        AttractorError: for no positives, no negatives, or a level outside [0, 1].
    """
    positive, negative = _checked(positive, negative, least=1)
    if not 0 <= level <= 1:
        raise AttractorError(f"level = {level} is outside [0, 1]")
    # Thresholds ascend and false positives fall with them: the first that is allowed is the lowest,
    # and so the one with the most true positives.
    scores = np.unique(np.concatenate([positive, negative]))
    wrong = (negative[None] >= scores[:, None]).mean(1)
    allowed = np.flatnonzero(wrong <= level + 1e-12)
    if not len(allowed):
        return Detection(clopper_pearson(0, len(positive)), 0.0, float("inf"))
    threshold = scores[allowed[0]]
    rate = share_interval(positive >= threshold, groups)
    return Detection(rate, float(wrong[allowed[0]]), float(threshold))


def transfer(
    scores: Values, positive: NDArray[np.bool_], groups: Sequence[Hashable]
) -> Transfer | None:
    """Choose the threshold of highest balanced accuracy on all groups but one; score it on that
    one, for each in turn.

    Args:
        scores: of each case; high means positive.
        positive: what each case is.
        groups: what each case belongs to, such as a model size.

    Returns:
        None where some other groups do not hold both kinds, so that no threshold can be chosen.

    Raises:
        AttractorError: for a score that is NaN.
    """
    if np.isnan(scores).any():
        raise AttractorError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are NaN")
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
    """The middle of the gap between two scores that separates the kinds with the highest balanced
    accuracy."""
    # Every threshold that tells cases apart differently, with those that call all or none positive.
    distinct = np.unique(scores)
    cuts = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
    above = scores[None] >= cuts[:, None]
    balanced = above[:, positive].mean(1) + (~above)[:, ~positive].mean(1)
    return float(cuts[balanced.argmax()])

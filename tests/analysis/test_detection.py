from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.detection import (
    auroc,
    auroc_gain,
    auroc_shuffled,
    best_threshold,
    detection_at,
    transfer,
)
from attractor.analysis.statistics import clopper_pearson
from attractor.results.estimate import Groups

SHIFT = 1.0
AREA = stats.norm.cdf(SHIFT / math.sqrt(2))


def test_auroc_of_two_gaussians() -> None:
    """P(X > Y) = Phi(d / sqrt 2); 0.02 is four standard errors."""
    rng = np.random.default_rng(0)
    found = auroc(rng.normal(SHIFT, 1, 2000), rng.normal(0, 1, 2000))
    assert found.value == pytest.approx(AREA, abs=0.02)
    assert found.low < AREA < found.high


def test_auroc_interval_covers() -> None:
    """Nominal 95% with 30 and 30 scores: fewer than 174 of 200 has probability below 1e-4 at 95%
    coverage."""
    rng = np.random.default_rng(1)
    found = [auroc(rng.normal(SHIFT, 1, 30), rng.normal(0, 1, 30)) for _ in range(200)]
    assert sum(e.low <= AREA <= e.high for e in found) >= 174


def test_auroc_and_its_gain_cover_where_copies_are_scored() -> None:
    """The same with 40 scores of which each stands there up to nine times: copies are one case.
    Fewer than 174 of 200 has probability below 1e-4 at 95% coverage; counted as cases of their own
    they hold the truth in fewer."""
    rng = np.random.default_rng(2)
    held = {"area": 0, "counted one by one": 0, "gain": 0}
    for _ in range(200):
        copies = rng.choice([1, 1, 1, 3, 9], 40)
        of = np.repeat(np.arange(40), copies)
        sides = rng.normal(SHIFT, 1, 40)[of], rng.normal(0, 1, 60)
        blind = rng.normal(0, 1, 40)[of], rng.normal(0, 1, 60)
        groups = Groups(of, together=True), None
        found = {
            "area": (auroc(*sides, groups), AREA),
            "counted one by one": (auroc(*sides), AREA),
            "gain": (auroc_gain(sides, blind, groups), AREA - 0.5),
        }
        for name, (estimate, truth) in found.items():
            held[name] += estimate.low <= truth <= estimate.high
    assert min(held["area"], held["gain"]) >= 174
    assert held["counted one by one"] < 174


def test_auroc_at_its_ends_and_with_ties() -> None:
    apart = auroc(np.array([3.0, 4.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    assert (apart.value, apart.high) == (1, 1)
    assert 0.2 < apart.low < 0.7
    reversed_ = auroc(np.array([0.0, 1.0, 2.0]), np.array([3.0, 4.0, 5.0]))
    assert (reversed_.value, reversed_.low) == (0, 0)
    assert auroc(np.zeros(9), np.zeros(7)).value == 0.5
    with pytest.raises(AttractorError, match="1 positive and 3 negative scores"):
        auroc(np.zeros(1), np.zeros(3))
    with pytest.raises(AttractorError, match="none NaN"):
        auroc(np.array([0.0, np.nan]), np.zeros(3))


@pytest.mark.parametrize(
    ("cases", "shifts"), [((50, 60), (1, 0.5)), ((16, 24), (3, 2.5))], ids=["apart", "separated"]
)
def test_gain_over_another_score_of_the_same_cases_covers(
    cases: tuple[int, int], shifts: tuple[float, float]
) -> None:
    """Two Gaussian scores with correlated errors, of areas Phi(shift / sqrt 2).

    Nominal 95%: fewer than 178 of 200 has probability below 1e-3 at 95% coverage. DeLong's own
    interval covers 84% where scores separate nearly all of few cases.
    """
    rng, hits, m, n = np.random.default_rng(2), 0, *cases
    truth = np.subtract(*stats.norm.cdf(np.array(shifts) / math.sqrt(2)))
    for _ in range(200):
        common = rng.normal(0, 0.8, m + n)
        strong, weak = (
            common + rng.normal(0, 0.6, m + n) + np.where(np.arange(m + n) < m, s, 0)
            for s in shifts
        )
        found = auroc_gain((strong[:m], strong[m:]), (weak[:m], weak[m:]))
        hits += found.low <= truth <= found.high
    assert hits >= 178
    assert found.value == pytest.approx(
        auroc(strong[:m], strong[m:]).value - auroc(weak[:m], weak[m:]).value
    )


def test_scores_that_rise_and_fall_together_differ_more_surely() -> None:
    rng = np.random.default_rng(0)
    strong = rng.normal([[1], [0]], 1, (2, 50))
    weak = strong + rng.normal(0, 0.3, (2, 50)) - [[0.5], [0]]
    together, alone = (
        auroc_gain(tuple(strong), tuple(w)) for w in (weak, rng.permuted(weak, axis=1))
    )
    assert together.value == alone.value
    assert together.high - together.low < 0.7 * (alone.high - alone.low)


def test_two_scores_that_separate_three_cases_may_still_differ() -> None:
    scores = (np.array([3.0, 4.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    found, area = auroc_gain(scores, scores), auroc(*scores)
    assert (found.value, found.high) == (0, pytest.approx(1 - area.low))


def test_scores_that_are_not_of_the_same_cases_or_no_numbers_are_named() -> None:
    scores, fewer = (np.arange(3.0), np.arange(4.0)), (np.arange(3.0), np.arange(3.0))
    with pytest.raises(AttractorError, match="scores of 7 and 6 cases"):
        auroc_gain(scores, fewer)
    with pytest.raises(AttractorError, match="1 positive and 4 negative scores"):
        auroc_gain((np.zeros(1), np.zeros(4)), (np.zeros(1), np.zeros(4)))
    with pytest.raises(AttractorError, match="1 NaN"):
        detection_at(np.array([np.nan, 1.0]), np.zeros(3), 0.01)
    with pytest.raises(AttractorError, match="level = 2 is outside"):
        detection_at(np.ones(2), np.zeros(3), 2)
    with pytest.raises(AttractorError, match="1 of 2 scores are NaN"):
        transfer(np.array([np.nan, 1.0]), np.array([True, False]), ["a", "b"])


def test_shuffled_labels_are_a_coin_with_a_spread() -> None:
    """The variance of the area under chance is (m + n + 1) / 12mn; 200 permutations know its root
    to 5%."""
    rng = np.random.default_rng(0)
    found = auroc_shuffled(rng.normal(5, 1, 40), rng.normal(0, 1, 60))
    spread = math.sqrt(101 / (12 * 40 * 60))
    assert found.value == pytest.approx(0.5, abs=4 * spread / math.sqrt(200))
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.25)


def test_rate_at_the_largest_false_positive_rate_not_above_the_level() -> None:
    negative = np.arange(100.0)
    positive = np.array([98.5, 97.5, 50.5, 99.5])
    found = detection_at(positive, negative, 0.025)  # 98 and 99 would be two of 100, 97 the third
    assert (found.false_positives, found.threshold) == (pytest.approx(0.02), 97.5)
    assert found.rate.value == 0.75
    exact = clopper_pearson(3, 4)
    assert (found.rate.low, found.rate.high) == (exact.low, exact.high)
    assert detection_at(positive, negative, 0.001).false_positives == 0
    assert detection_at(positive, negative, 0.001).rate.value == 0.25


def test_ties_at_the_threshold_all_count() -> None:
    """Half of the negatives share the top score: no threshold below infinity has a rate of 1%."""
    found = detection_at(np.ones(5), np.array([1.0] * 5 + [0.0] * 5), 0.01)
    assert (found.rate.value, found.false_positives, found.threshold) == (0, 0, math.inf)


def test_clopper_pearson_agrees_with_scipy() -> None:
    for hits in (0, 3, 17, 20):
        exact = stats.binomtest(hits, 20).proportion_ci(0.95, method="exact")
        found = clopper_pearson(hits, 20)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_a_threshold_is_scored_where_it_was_not_chosen() -> None:
    scores = np.array([0.0, 1.0, 0.1, 1.1, 0.2, 1.2])
    positive = scores > 0.5
    assert best_threshold(scores[:2], positive[:2]) == 0.5
    found = transfer(scores, positive, ["a", "a", "b", "b", "c", "c"])
    assert found is not None
    assert (found.accuracy.value, found.groups) == (1, 3)
    # In the last group the score means the opposite.
    wrong = transfer(
        np.array([0.0, 1.0, 0.1, 1.1, 1.2, 0.2]),
        np.array([False, True] * 3),
        ["a", "a", "b", "b", "c", "c"],
    )
    assert wrong is not None
    assert wrong.accuracy.value <= 4 / 6
    assert transfer(scores[:2], positive[:2], ["a", "b"]) is None

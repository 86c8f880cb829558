"""Counting texts by pairs that are alike, rows beyond a quantile, and differences of shares."""

from __future__ import annotations

import numpy as np
import pytest

from attractor import AttractorError
from attractor.analysis.collisions import (
    collisions,
    likely_text,
    p_by_chance,
    representatives,
)
from attractor.analysis.exceedance import beyond
from attractor.analysis.shares import share_difference


def same(labels: np.ndarray) -> np.ndarray:
    return labels[:, None] == labels


def test_pairs_by_hand() -> None:
    found = collisions(same(np.array([0, 0, 0, 1, 1, 2])))
    assert (found.pairs, found.total) == (4, 15)
    assert found.texts.value == pytest.approx(15 / 4)
    none = collisions(same(np.arange(96))).texts
    # No pair of 4,560 with a chance of 5% if there were so many texts.
    assert none.low == pytest.approx(4560 / -np.log(0.05))
    assert none.high == np.inf
    with pytest.raises(AttractorError, match="1 text"):
        collisions(same(np.arange(1)))


@pytest.mark.parametrize("k", [10, 100, 2000])
def test_the_interval_of_the_number_of_texts_covers(k: int) -> None:
    """K equally likely texts: 95% of 300 samples or more hold K; 5 standard errors below 95% is
    88.7%, which a right interval falls under once in a million."""
    rng = np.random.default_rng(k)
    hits = 0
    for _ in range(300):
        low, high = collisions(same(rng.integers(0, k, 96))).texts.ends()
        hits += low <= k <= high
    assert hits >= 300 * 0.887


def test_unequal_texts_are_counted_by_their_collision_entropy() -> None:
    """Weights 1/2 and 50 times 1/100: exp of the collision entropy is 1 / (1/4 + 50 / 100^2)."""
    rng = np.random.default_rng(0)
    truth = 1 / (0.25 + 50 * 0.01**2)
    hits = 0
    for _ in range(200):
        draws = rng.integers(0, 50, 96)
        low, high = collisions(same(np.where(rng.random(96) < 0.5, -1, draws))).texts.ends()
        hits += low <= truth <= high
    assert hits >= 200 * 0.87  # 5 standard errors below 95%


def test_copies_have_one_representative() -> None:
    assert representatives(same(np.array([5, 5, 3, 5, 3]))).tolist() == [0, 2]


def test_text_by_chance_follows_contexts_that_stand_in_two_texts() -> None:
    """After 7 always 8, in both texts; everything that follows stands in one only, so whole texts
    are not replayed."""
    rows = np.array([[7, 8, 1, 2, 3, 4], [7, 8, 5, 6, 9, 0]])
    made = likely_text(rows, 200, np.random.default_rng(0))
    assert (made[:, :2] == [7, 8]).all()
    assert {1, 5} == {*made[:, 2].tolist()}
    assert len(np.unique(made, axis=0)) > 100


def test_chance_is_that_of_a_count_beside_other_counts() -> None:
    """The level that is claimed: of counts of one Poisson law, 1% or less are below p = 1%; the
    mean of 3,000 such is 30, and 55 or more come once in 20,000 runs."""
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(3000):
        counts = rng.poisson(3.0, 5).tolist()
        below += p_by_chance(counts[0], counts[1:]) < 0.01
    assert below < 55
    assert p_by_chance(30, [1, 0, 2, 1]) < 1e-6
    assert p_by_chance(0, [0, 0, 0, 0]) == 1


def test_rows_of_one_law_are_rarely_beyond() -> None:
    """Training and unseen scores of one law: p is uniform or larger, so p < 5% comes in at most 5%
    of 2,000 samples; 5 standard errors more is 7.4%."""
    rng = np.random.default_rng(0)
    found = [
        beyond(rng.standard_normal(3000), rng.standard_normal(500)).p < 0.05 for _ in range(2000)
    ]
    assert 0.02 < np.mean(found) < 0.074


def test_fifty_rows_of_thirty_thousand_are_found() -> None:
    rng = np.random.default_rng(0)
    train = rng.standard_normal(30_000)
    known = rng.choice(30_000, 50, replace=False)
    train[known] += 12
    found = beyond(train, rng.standard_normal(10_000))
    assert {*known.tolist()} == {*found.rows[:50].tolist()}
    assert found.expected == pytest.approx(30, rel=0.01)
    assert found.p < 1e-4
    with pytest.raises(AttractorError, match="none NaN"):
        beyond(np.array([np.nan]), np.ones(3))


def test_newcombe_by_its_paper() -> None:
    """Newcombe (1998), table II, method 10, contrasts (a), (b), (h) and (d)."""
    for counts, low, high in (
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 10), 0.6075, 1.0),
        ((5, 56, 0, 29), -0.0381, 0.1926),
    ):
        found = share_difference(*counts)
        assert found.ends() == pytest.approx((low, high), abs=5e-4)
    with pytest.raises(AttractorError, match="0 and 3 trials"):
        share_difference(0, 0, 1, 3)

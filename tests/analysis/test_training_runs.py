"""Intervals over training runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.statistics import mean_interval
from attractor.analysis.training_runs import (
    over_seeds,
    relative_reach,
    replicate_reach,
    seed_reach,
    student_interval,
)
from attractor.results.estimate import Estimate


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(
    "between", [0.0, 0.125, 10.0], ids=["sequences dominate", "both", "seeds dominate"]
)
def test_intervals_over_training_seeds_cover_the_truth(seeds: int, between: float) -> None:
    """Nominal 95%, 64 sequences with their own means, noise of each pair, and runs that differ by
    `between`.

    The mean of one run is known to 0.14 from its sequences. At 95% coverage fewer than 130 of 150
    have probability below 1e-4.
    """
    rng, covered = np.random.default_rng(seeds), 0
    for _ in range(150):
        own, runs = rng.normal(0, 1, 64), rng.normal(0, between, (seeds, 1))
        found = over_seeds(
            [mean_interval(row) for row in runs + own + rng.normal(0, 0.5, (seeds, 64))]
        )
        covered += found.low <= 0 <= found.high
    assert covered >= 130


def test_one_training_seed_is_left_as_it_is_and_equal_ones_add_nothing() -> None:
    one = Estimate(0.5, 0.4, 0.7, 64)
    assert over_seeds([one]) == one
    assert over_seeds([one, one, one]) == pytest.approx(one)


def test_two_training_seeds_have_one_degree_of_freedom() -> None:
    found = over_seeds([Estimate(1.0, 1.0, 1.0, 64), Estimate(3.0, 3.0, 3.0, 64)])
    exact = stats.ttest_1samp([1.0, 3.0], 0).confidence_interval()
    assert (found.value, found.low, found.high) == pytest.approx((2, *exact))


def test_an_interval_over_seeds_is_students_and_needs_two() -> None:
    found = student_interval([1.0, 2.0, 3.0])
    assert found.interval == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)))
    with pytest.raises(AttractorError, match="1 training seed: an interval over seeds needs at"):
        student_interval([1.0])
    with pytest.raises(AttractorError, match="training seed 2 of 2 has no finite value"):
        student_interval([1.0, np.inf])


def test_runs_of_one_data_seed_or_of_one_seed_are_students() -> None:
    values = [1.0, 2.0, 4.0]
    for pairs in ([(0, 0), (0, 1), (0, 2)], [(0, 0), (1, 0), (2, 0)]):
        assert replicate_reach(values, pairs) == pytest.approx(seed_reach(values))
    assert replicate_reach([3.0], [(0, 0)]) == 0


def test_six_runs_of_two_training_sets_are_not_six() -> None:
    pairs = [(d, s) for d in range(2) for s in range(3)]
    values = [float(d) for d, _ in pairs]  # all the spread is between the training sets
    assert replicate_reach(values, pairs) == pytest.approx(seed_reach([0.0, 1.0]))
    assert replicate_reach(values, pairs) > 5 * seed_reach(values)


@pytest.mark.parametrize("spread", [(1, 0, 0.3), (0, 1, 0.3), (0, 0, 1), (1, 0.5, 1)])
@pytest.mark.parametrize("runs", [(2, 3), (3, 3)])
def test_intervals_over_runs_cover_whatever_the_spread_is_between(
    runs: tuple[int, int], spread: tuple[float, float, float]
) -> None:
    """At least 95%; of 800, three standard errors below are 92.7%."""
    rng = np.random.default_rng(4)
    data, start, both = spread
    pairs = [(d, s) for d in range(runs[0]) for s in range(runs[1])]
    hits = 0
    for _ in range(800):
        values = (
            data * rng.normal(size=(runs[0], 1))
            + start * rng.normal(size=runs)[:1]
            + both * rng.normal(size=runs)
        )
        hits += abs(values.mean()) <= replicate_reach(values.ravel(), pairs)
    assert hits / 800 >= 0.927


def test_what_more_runs_buy() -> None:
    # Student's quantiles with 1, 2 and 4 degrees of freedom: 12.71, 4.303 and 2.776.
    assert relative_reach(1) == np.inf
    for runs, quantile in ((2, 12.706), (3, 4.3027), (5, 2.7764)):
        assert relative_reach(runs) == pytest.approx(quantile / np.sqrt(runs), rel=1e-4)

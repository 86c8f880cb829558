from __future__ import annotations

import numpy as np
import pytest

from attractor.analysis.multiple import holm, p_above
from attractor.analysis.statistics import mean_interval
from attractor.results.estimate import Estimate
from attractor.types import AttractorError


def test_holm_by_hand() -> None:
    """The example of four hypotheses: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be
    smaller than the one before."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"only": 0.04}) == {"only": 0.04}
    assert holm({1: 0.9, 2: 0.8}) == {1: 1.0, 2: 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_p_value_is_below_a_twentieth_where_the_interval_is_above(seeds: int) -> None:
    for low in (0.499, 0.501):
        assert (p_above(Estimate(0.6, low, 0.7), 0.5, seeds) < 0.05) == (low > 0.5)
    assert p_above(Estimate(0.4, 0.3, 0.5), 0.5, seeds) == 1
    assert p_above(Estimate(1.0, 1.0, 1.0), 0.5, seeds) == 0


def test_a_p_value_is_that_of_the_normal_distribution_or_of_student() -> None:
    # Two standard errors above zero: the lower end is 1.96, or 12.7 of them, below the value.
    assert p_above(Estimate(2.0, 2 - 1.959964, 4), 0) == pytest.approx(0.0455, abs=1e-4)
    assert p_above(Estimate(2.0, 2 - 12.7062, 15), 0, seeds=2) == pytest.approx(0.295, abs=1e-3)


def test_without_an_interval_nothing_can_be_said() -> None:
    with pytest.raises(AttractorError, match="has no interval"):
        p_above(Estimate(0.7), 0.5)


def test_of_twenty_true_nulls_none_stands_in_95_of_100() -> None:
    """200 families of 20 means of 40 normal numbers around zero. Unadjusted, half of the families
    or more have a false one above zero; by Holm at most 2.5% should: more than 13 of 200 have a
    probability of 5e-4."""
    rng = np.random.default_rng(0)
    false, unadjusted = 0, 0
    for _ in range(200):
        means = {i: mean_interval(rng.normal(size=40)) for i in range(20)}
        p_values = {i: p_above(mean, 0) for i, mean in means.items()}
        unadjusted += min(p_values.values()) < 0.05
        false += min(holm(p_values).values()) < 0.05
    assert unadjusted > 50
    assert false <= 13

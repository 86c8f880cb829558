from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.statistics import difference_interval, mean_interval, ratio_interval, resampled_means


def test_interval_of_a_mean_agrees_with_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(3, 1, 200)
    found = mean_interval(values)
    exact = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(exact, abs=0.03)


def test_intervals_cover_the_truth() -> None:
    """Nominal 95% with 50 sequences; 300 repeats; at least 270 fails with probability below 1e-4 at 93% coverage."""
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        found = difference_interval(rng.exponential(2, 50), rng.exponential(1, 50), seed)
        covered += found.low <= 1 <= found.high
    assert covered >= 262


def test_a_share_without_spread_still_has_an_interval() -> None:
    found = mean_interval(np.ones(50), share=True)
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 50))
    found = mean_interval(np.zeros(50), share=True)
    assert found.value == found.low == 0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 50))


def test_missing_sequences_are_left_out() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert mean_interval(values).value == 2
    assert mean_interval(values).n == 2
    assert np.nanmean(resampled_means(values[:, None], 0)) == pytest.approx(2, abs=0.05)
    with pytest.raises(AttractorError, match="1 sequences with a value"):
        mean_interval(np.array([1.0, np.nan]))


def test_a_ratio_weighs_sequences_by_their_tokens() -> None:
    found = ratio_interval(np.array([1.0, 9.0]), np.array([10.0, 10.0]))
    assert (found.value, found.low, found.high) == (0.5, 0.1, 0.9)
    with pytest.raises(AttractorError, match="0 tokens"):
        ratio_interval(np.zeros(3), np.zeros(3))


def test_whole_curves_are_resampled() -> None:
    """Two equal columns stay equal in every resample."""
    column = np.random.default_rng(0).normal(size=30)
    means = resampled_means(np.stack([column, column], 1), 0)
    np.testing.assert_allclose(means[:, 0], means[:, 1])

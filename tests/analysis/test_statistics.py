from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.statistics import (
    delete_one,
    difference_interval,
    mean_interval,
    ratio_interval,
    resampled_means,
)


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


def test_intervals_over_32_sequences_cover_the_truth() -> None:
    """Nominal 95%: fewer than 363 of 400 has probability below 1e-3 at 94% coverage. Percentiles alone reach 92%."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(400):
        found = mean_interval(rng.beta(8, 0.8, 32), seed=seed)
        covered += found.low <= 8 / 8.8 <= found.high
    assert covered >= 363


def test_missing_sequences_are_left_out_only_when_asked() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert mean_interval(values, missing=True)[0] == 2
    assert mean_interval(values, missing=True).n == 2
    assert np.nanmean(resampled_means(values[:, None], 0)) == pytest.approx(2, abs=0.05)
    with pytest.raises(AttractorError, match="1 of 3 sequences have no finite value, first row 1"):
        mean_interval(values)
    with pytest.raises(AttractorError, match="1 of 2 sequences have no finite value"):
        mean_interval(np.array([1.0, np.inf]), missing=True)
    with pytest.raises(AttractorError, match="1 sequences with a value"):
        mean_interval(np.array([1.0, np.nan]), missing=True)


def test_few_sequences_give_a_warning() -> None:
    assert mean_interval(np.arange(30.0)).warning is None
    assert mean_interval(np.arange(29.0)).warning == "the interval rests on 29 sequences, fewer than 30"


def test_training_seeds_are_resampled_before_sequences() -> None:
    """Seeds that differ and sequences that do not: the mean has variance s^2 / K, which 2,000 draws know to 5%."""
    offsets = np.random.default_rng(3).normal(0, 1, 5)
    curves = np.broadcast_to(offsets[:, None, None], (5, 40, 2))
    means = resampled_means(curves, 0)
    assert means.var(0) == pytest.approx(offsets.var(ddof=1) / 5, rel=0.15)
    np.testing.assert_allclose(means[:, 0], means[:, 1])  # whole curves
    assert resampled_means(curves[:1], 0).var() == pytest.approx(0)


def test_the_same_stream_draws_the_same_sequences() -> None:
    column = np.random.default_rng(0).normal(size=(30, 1))
    again, other = resampled_means(column, 0, stream=0), resampled_means(column, 0, stream=1)
    assert np.array_equal(resampled_means(column, 0), again)
    assert abs(np.corrcoef(again[:, 0], other[:, 0])[0, 1]) < 0.1


def test_leaving_one_out() -> None:
    curves = np.arange(12.0).reshape(2, 3, 2)
    found = delete_one(curves)
    assert found.shape == (3 + 2, 2)
    np.testing.assert_allclose(found[1], curves[:, [0, 2]].mean((0, 1)))
    np.testing.assert_allclose(found[3], curves[1].mean(0))


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

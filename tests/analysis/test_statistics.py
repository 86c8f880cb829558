from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.statistics import (
    Estimate,
    clopper_pearson,
    clustered_share,
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
    """Nominal 95% with 50 sequences; 300 repeats; at least 270 fails with probability below 1e-4 at
    93% coverage."""
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
    """Nominal 95%: fewer than 363 of 400 has probability below 1e-3 at 94% coverage. Percentiles
    alone reach 92%."""
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
    assert (
        mean_interval(np.arange(29.0)).warning
        == "the interval rests on 29 sequences, fewer than 30"
    )


def test_the_same_stream_draws_the_same_sequences() -> None:
    column = np.random.default_rng(0).normal(size=(30, 1))
    again, other = resampled_means(column, 0, stream=0), resampled_means(column, 0, stream=1)
    assert np.array_equal(resampled_means(column, 0), again)
    assert abs(np.corrcoef(again[:, 0], other[:, 0])[0, 1]) < 0.1


def test_leaving_one_out() -> None:
    curves = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_allclose(delete_one(curves)[1], curves[:, [0, 2]].mean((0, 1)))
    np.testing.assert_allclose(delete_one(curves, axis=0), curves[::-1].mean(1))
    assert delete_one(curves[0], axis=0).shape == (0, 2)


def test_a_ratio_weighs_sequences_by_their_tokens() -> None:
    found = ratio_interval(np.array([1.0, 9.0]), np.array([10.0, 10.0]))
    assert (found.value, found.low, found.high) == (0.5, 0.1, 0.9)
    with pytest.raises(AttractorError, match="0 sequences"):
        ratio_interval(np.zeros(3), np.zeros(3))


def test_sequences_without_a_token_are_not_counted_as_evidence() -> None:
    part, whole = np.zeros(500), np.zeros(500)
    part[:3], whole[:3] = [1, 9, 5], 10
    assert ratio_interval(part, whole) == ratio_interval(part[:3], whole[:3])
    assert ratio_interval(part, whole).n == 3
    with pytest.raises(AttractorError, match="1 sequences"):
        ratio_interval(part[2:], whole[2:])


def test_a_share_of_clustered_trials_covers_the_truth() -> None:
    """Tokens that are certain or not as a whole sequence is, or one by one: 40 sequences with 1 to
    4 of them each.

    Nominal 95%: fewer than 267 of 300 has probability below 1e-4 at 95% coverage.
    """
    rng, covered = np.random.default_rng(0), np.zeros(2)
    for _ in range(300):
        trials = rng.integers(1, 5, 40)
        together, alone = trials * (rng.random(40) < 0.8), rng.binomial(trials, 0.8)
        for i, hits in enumerate((together, alone)):
            found = clustered_share(hits, trials)
            assert found.low <= found.value <= found.high
            covered[i] += found.low <= 0.8 <= found.high
    assert covered.min() >= 267


def test_a_share_without_spread_counts_sequences_not_tokens() -> None:
    exact = clopper_pearson(5, 5)
    found = clustered_share(np.array([9, 9, 9, 9, 9, 0]), np.array([9, 9, 9, 9, 9, 0]))
    assert found == Estimate(1, exact.low, 1, 5)
    assert clustered_share(np.array([3]), np.array([4]))[1:3] == pytest.approx((0.02, 1), abs=0.02)


def test_whole_curves_are_resampled() -> None:
    """Two equal columns stay equal in every resample."""
    column = np.random.default_rng(0).normal(size=30)
    means = resampled_means(np.stack([column, column], 1), 0)
    np.testing.assert_allclose(means[:, 0], means[:, 1])

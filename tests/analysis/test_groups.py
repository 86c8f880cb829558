"""Groups of sequences against cases that are known exactly, and intervals against what they
claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from attractor.analysis.calibration import Surprise, log_kappa_difference
from attractor.analysis.detection import auroc, auroc_gain
from attractor.analysis.groups import DESIGN_EFFECT, design, design_effect, require_groups
from attractor.analysis.statistics import (
    clopper_pearson,
    clustered_share,
    delete_one,
    difference_interval,
    mean_interval,
    ratio_interval,
    resampled_means,
    share_interval,
)
from attractor.results.estimate import Estimate, Groups
from attractor.types import AttractorError


def of(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def test_two_groups_of_two_by_hand() -> None:
    # Means 2 and 6: between 2 ((2 - 4)^2 + (6 - 4)^2) / 1 = 16, within 4 / 2 = 2,
    # icc = (16 - 2) / (16 + 2).
    icc, effect = design_effect(np.array([1.0, 3.0, 5.0, 7.0]), of(2, 2)) or (0.0, 0.0)
    assert icc == pytest.approx(7 / 9)
    assert effect == pytest.approx(1 + 7 / 9)


def test_equal_rows_of_a_group_are_one_row() -> None:
    values = np.repeat([0.1, 0.5, 0.7, 0.2], 5)
    icc, effect = design_effect(values, of(5, 5, 5, 5)) or (0.0, 0.0)
    assert (icc, effect) == (pytest.approx(1.0), pytest.approx(5.0))


def test_groups_of_any_sizes_have_the_correlation_they_were_made_with() -> None:
    """The estimator is nearly unbiased: 400 draws know its mean to 0.007 (one standard error)."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, 40)
    groups, found = of(*sizes), []
    for _ in range(400):
        shared = np.sqrt(0.3) * rng.normal(size=len(sizes))
        values = shared[groups] + np.sqrt(0.7) * rng.normal(size=len(groups))
        found.append((design_effect(values, groups) or (0.0, 0.0))[0])
    assert np.mean(found) == pytest.approx(0.3, abs=0.025)


@pytest.mark.parametrize(
    ("values", "groups"),
    [([1.0, 2.0, 3.0], [0, 0, 0]), ([1.0, 2.0, 3.0], [0, 1, 2]), ([2.0, 2.0, 2.0], [0, 0, 1])],
)
def test_what_groups_cannot_tell_is_left_open(values: list[float], groups: list[int]) -> None:
    assert design_effect(np.array(values), np.array(groups)) is None
    found = mean_interval(np.array(values), groups=Groups(np.array(groups)))
    assert found[:4] == mean_interval(np.array(values))[:4]
    assert found.design is not None
    assert not found.design.by_group


def test_groups_are_resampled_when_asked_or_when_rows_of_one_are_alike() -> None:
    rng = np.random.default_rng(1)
    groups = of(*[6] * 20)
    alone = rng.normal(size=120)
    alike = alone + 3 * rng.normal(size=20)[groups]
    assert (design_effect(alone, groups) or (0, 9))[1] < DESIGN_EFFECT
    for values, together, expected in (
        (alone, None, False), (alike, None, True), (alone, True, True), (alike, False, False),
    ):  # fmt: skip
        assert design(values, Groups(groups, together)).by_group is expected
    single = mean_interval(alike, groups=Groups(groups, False))
    whole = mean_interval(alike, groups=Groups(groups))
    assert single[:4] == mean_interval(alike)[:4]
    width = (whole.ends()[1] - whole.ends()[0]) / (single.ends()[1] - single.ends()[0])
    assert width > np.sqrt(DESIGN_EFFECT)


@pytest.mark.parametrize("groups", [of(5), of(1, 1, 1, 1, 1)], ids=["one", "each row its own"])
def test_what_cannot_be_resampled_is_refused(groups: np.ndarray) -> None:
    with pytest.raises(AttractorError, match=r"resample = 'group': the 5 rows are of [15] groups"):
        require_groups(Groups(groups, True))
    require_groups(Groups(groups))


def test_missing_values_leave_with_their_groups() -> None:
    values = np.array([0.1, np.nan, 0.4, 0.9, np.nan, 0.3])
    groups = of(2, 2, 2)
    known = ~np.isnan(values)
    found = mean_interval(values, missing=True, groups=Groups(groups, True))
    alone = mean_interval(values[known], groups=Groups(groups[known], True))
    assert found == alone


def test_ratios_and_shares_of_groups_are_those_of_their_sums() -> None:
    part, whole = np.array([3.0, 0, 2, 5, 1, 4]), np.array([6.0, 0, 4, 5, 4, 4])
    groups = Groups(of(3, 1, 2), True)
    sums = [np.array([5.0, 5, 5]), np.array([10.0, 5, 8])]
    assert ratio_interval(part, whole, groups=groups)[:3] == ratio_interval(*sums)[:3]
    assert clustered_share(part, whole, groups)[:3] == clustered_share(*sums)[:3]


def test_all_or_none_in_groups_is_as_sure_as_so_many_groups() -> None:
    groups = Groups(of(10, 10, 10), True)
    few = mean_interval(np.ones(3), share=True)
    assert mean_interval(np.ones(30), share=True, groups=groups)[:3] == few[:3]


def test_curves_of_groups_are_drawn_and_left_out_whole() -> None:
    rng = np.random.default_rng(2)
    curves = rng.normal(size=(2, 6, 4))
    curves[0, 1, 2] = np.nan
    alone = np.arange(6)
    np.testing.assert_array_equal(
        resampled_means(curves, 0, 50), resampled_means(curves, 0, 50, groups=alone)
    )
    np.testing.assert_allclose(delete_one(curves), delete_one(curves, groups=alone))
    groups = of(3, 1, 2)
    without = delete_one(curves, groups=groups)
    for g in range(3):
        np.testing.assert_allclose(without[g], np.nanmean(curves[:, groups != g].reshape(-1, 4), 0))
    # Three groups: each resample is one of the 10 ways to draw three of three.
    means = resampled_means(curves, 0, 500, groups=groups)
    assert len(np.unique(means.round(9), axis=0)) == 10


def _covered(correlation: float, together: bool | None, replicates: int = 400) -> float:
    """Share of intervals that hold the true mean, 0, of 40 groups of 1 to 9 rows."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 10, 40)
    groups, hits = of(*sizes), 0
    for _ in range(replicates):
        shared = np.sqrt(correlation) * rng.normal(size=len(sizes))
        own = np.sqrt(1 - correlation) * rng.normal(size=len(groups))
        low, high = mean_interval(shared[groups] + own, groups=Groups(groups, together)).ends()
        hits += low <= 0 <= high
    return hits / replicates


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_intervals_over_groups_cover_what_they_claim(correlation: float) -> None:
    """95% of 400 is known to 1.1% (one standard error): 91.7 to 98.3% are three of them."""
    assert 0.917 <= _covered(correlation, True) <= 0.983


def test_intervals_over_rows_do_not_where_groups_matter_and_the_design_effect_sees_it() -> None:
    assert _covered(0.4, False) < 0.85
    assert 0.917 <= _covered(0.4, None) <= 0.983
    # Without any correlation, taking the decision from the same rows costs nothing.
    assert 0.917 <= _covered(0.0, None) <= 0.983


def _alike_rows(rng: np.random.Generator, mean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 40 groups of 1 to 9, with a correlation of 0.6, and their groups."""
    groups = of(*rng.integers(1, 10, 40))
    shared, own = np.sqrt(0.6) * rng.normal(size=40), np.sqrt(0.4) * rng.normal(size=len(groups))
    return mean + shared[groups] + own, groups


@pytest.mark.parametrize(
    "what",
    [
        "area",
        "gain",
        "share",
        pytest.param("difference", marks=pytest.mark.slow),
        pytest.param("ln kappa", marks=pytest.mark.slow),
    ],
)
def test_comparisons_and_shares_of_groups_cover_what_they_claim_and_of_rows_do_not(
    what: str,
) -> None:
    """150 pairs of samples, one of them of rows that are alike: 95% of 150 is known to 1.8%, so
    89.7% is three standard errors below. The spread of a gain is mostly that of the other score."""

    def found(rng: np.random.Generator, together: bool | None) -> tuple[Estimate, float]:
        (a, groups), b = _alike_rows(rng, 1.0), rng.normal(size=150)
        known = Groups(groups, together), None
        if what == "difference":
            return difference_interval(a, b, groups=known), 1.0
        if what == "area":  # P(a > b) of two normals a standard deviation apart
            return auroc(a, b, known), float(norm.cdf(1 / np.sqrt(2)))
        if what == "gain":  # over a score that says nothing
            blind = rng.normal(size=len(a)), rng.normal(size=150)
            return auroc_gain((a, b), blind, known), float(norm.cdf(1 / np.sqrt(2))) - 0.5
        if what == "share":
            return share_interval(a > 1, known[0]), 0.5
        first, second = (Surprise(np.exp(x / 4), np.ones(len(x))) for x in (a, b))
        return log_kappa_difference(first, second, groups=known), 0.25

    def covered(together: bool | None) -> float:
        rng, hits = np.random.default_rng(5), 0
        for _ in range(150):
            estimate, truth = found(rng, together)
            low, high = estimate.ends()
            hits += low <= truth <= high
        return hits / 150

    assert covered(True) >= 0.897
    if what != "gain":
        assert covered(False) < 0.85


def test_without_a_spread_a_group_is_one_case() -> None:
    groups = Groups(of(10, 10, 10), True), Groups(of(10, 10, 10), True)
    apart = np.ones(30), np.zeros(30)
    assert auroc(*apart, groups)[:3] == auroc(np.ones(3), np.zeros(3))[:3]
    assert share_interval(np.ones(30), groups[0])[:3] == clopper_pearson(3, 3)[:3]

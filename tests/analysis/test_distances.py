from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.detection import auroc
from attractor.analysis.distances import distances

SHIFT = 0.8


def two_gaussians(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(SHIFT, 1, n), rng.normal(0, 1, n)


def test_two_gaussians_have_known_distances() -> None:
    """Unit variances, means 0.8 apart: KS = 2 Phi(d/2) - 1, W1 = d, g = d, Cliff's delta = 2
    Phi(d/sqrt 2) - 1.

    Energy distance: 2 E|X - Y| - E|X - X'| - E|Y - Y'|, a folded normal, and its root. The seed is
    the first one tried, and the tolerance is five times the largest standard error.
    """
    found = distances(*two_gaussians(2000))
    apart = 2 * stats.foldnorm.mean(SHIFT / math.sqrt(2), scale=math.sqrt(2)) - 4 / math.sqrt(
        math.pi
    )
    truth = {
        "ks": 2 * stats.norm.cdf(SHIFT / 2) - 1,
        "wasserstein": SHIFT,
        "energy": math.sqrt(apart),
        "hedges_g": SHIFT,
        "cliffs_delta": 2 * stats.norm.cdf(SHIFT / math.sqrt(2)) - 1,
    }
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        assert found[name].value == pytest.approx(value, abs=5 * 0.032), name
        assert found[name].value > found[name].chance


def test_only_effect_sizes_have_intervals_and_these_cover() -> None:
    """64 and 64 sequences 0.2 apart. Nominal 95%: fewer than 85 of 100 have probability below 1e-3
    at 94% coverage."""
    truth = {"hedges_g": 0.2, "cliffs_delta": 2 * stats.norm.cdf(0.2 / math.sqrt(2)) - 1}
    covered = dict.fromkeys(truth, 0)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        for name, found in distances(rng.normal(0.2, 1, 64), rng.normal(0, 1, 64), seed).items():
            assert (found.ci is not None) == (name in truth)
            if found.ci is not None:
                covered[name] += found.ci[0] <= truth[name] <= found.ci[1]
    assert min(covered.values()) >= 85


def test_one_law_twice_stays_below_chance() -> None:
    """At most 5% by definition: 11 or more of 60 has probability below 1e-4."""
    above = 0
    for seed in range(60):
        a, b = np.random.default_rng(seed).exponential(1, (2, 40))
        found = distances(a, b, seed)["ks"]
        above += found.value > found.chance
    assert above < 11


def test_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 31) * 1.0, rng.normal(4, 2, 17).round(1)
    found = {name: distance.value for name, distance in distances(a, b).items()}
    assert found["ks"] == pytest.approx(stats.ks_2samp(a, b).statistic)
    assert found["wasserstein"] == pytest.approx(stats.wasserstein_distance(a, b))
    assert found["energy"] == pytest.approx(stats.energy_distance(a, b))
    assert found["cliffs_delta"] == pytest.approx(2 * auroc(a, b).value - 1)


def test_effect_sizes_by_hand() -> None:
    a, b = np.array([3.0, 5.0]), np.array([1.0, 3.0])
    assert distances(a, b)["cliffs_delta"].value == pytest.approx((3 + 0.5) / 4 * 2 - 1)
    a, b = np.tile([3.0, 5.0, 4.0], 9), np.tile([1.0, 3.0, 2.0], 9)
    expected = 2 / math.sqrt(36 / 52) * (1 - 3 / 207)
    assert distances(a, b)["hedges_g"].value == pytest.approx(expected)


def test_samples_that_are_apart_may_be_less_so() -> None:
    """A bootstrap never sees an overlap, and would be certain of 1."""
    found = distances(np.arange(10.0, 14.0), np.arange(4.0))["cliffs_delta"]
    assert found.ci is not None
    assert found.value == found.ci[1] == 1
    assert 0 < found.ci[0] < 0.6


def test_constants_have_no_standardised_difference() -> None:
    found = distances(np.ones(5), np.zeros(5))
    assert "hedges_g" not in found
    assert found["ks"].value == found["cliffs_delta"].value == 1
    assert "hedges_g" not in distances(np.zeros(5), np.zeros(5))


@pytest.mark.parametrize("bad", [np.array([1.0]), np.array([1.0, np.nan])])
def test_too_few_numbers_are_named(bad: np.ndarray) -> None:
    with pytest.raises(AttractorError, match="at least 2 are needed"):
        distances(bad, np.array([1.0, 2.0]))

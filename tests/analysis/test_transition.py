from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from attractor.analysis.transition import entropy_transition, fit_logistics, recovery_transition

SIZES = np.array([50, 150, 500, 1500, 5000, 15000, 50000], dtype=float)


def curves(n_star: float, seed: int, sequences: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Train and test recovery whose gap is a logistic with half at `n_star`; each sequence has an offset of its own."""
    rng = np.random.default_rng(seed)
    gap = 0.8 * expit(-(np.log(SIZES) - math.log(n_star)) / 0.7)
    noise = lambda: rng.normal(0, 0.1, (sequences, 1)) + rng.normal(0, 0.1, (sequences, len(SIZES)))  # noqa: E731
    return 0.2 + gap + noise(), 0.2 + noise()


def test_a_clean_logistic_is_found_exactly() -> None:
    curve = 0.8 * expit(-(np.log(SIZES) - math.log(700)) / 0.7)
    fit = fit_logistics(SIZES, np.stack([curve, 2 * curve]))
    assert np.exp(fit.log_n_star) == pytest.approx([700, 700], rel=1e-3)
    assert fit.top == pytest.approx([0.8, 1.6], rel=1e-3)
    assert fit.width == pytest.approx(0.7 * math.log(81) / math.log(10), rel=5e-3)
    assert fit.inside.all()


def test_interval_covers_a_known_transition() -> None:
    """Nominal 95%: fewer than 34 of 40 has probability 2e-3 at 93% coverage."""
    hits = 0
    for seed in range(40):
        found = recovery_transition(SIZES, *curves(700, seed), seed=seed)
        assert found.ci is not None
        hits += found.ci[0] <= 700 <= found.ci[1]
    assert hits >= 34


def test_no_transition_gives_a_reason() -> None:
    flat = np.random.default_rng(0).normal(0.3, 0.1, (50, len(SIZES)))
    found = recovery_transition(SIZES, flat, flat.copy())
    assert found.n_star is None
    assert found.reason == "no gap at the smallest size: the transition is below it, if at all"
    found = recovery_transition(SIZES[:3], flat[:, :3], flat[:, :3])
    assert found.n_star is None
    assert found.reason == "3 sizes are too few for n_star, which needs 4"


def test_a_transition_below_the_smallest_size_is_not_invented() -> None:
    found = recovery_transition(SIZES, *curves(5, 0))
    assert found.n_star is None
    assert "no gap" in found.reason


def test_a_transition_above_the_largest_size_is_not_invented() -> None:
    found = recovery_transition(SIZES, *curves(1e7, 0))
    assert found.n_star is None
    assert found.reason == "no half-way point inside the measured sizes"


def test_an_entropy_that_does_not_rise_has_no_transition() -> None:
    flat = np.random.default_rng(0).normal(3.4, 0.01, (50, len(SIZES)))
    found = entropy_transition(SIZES, flat)
    assert found.n_star is None
    assert "rises by less than 0.1 nats" in found.reason


def test_an_interval_is_never_narrower_than_the_step_it_lies_in() -> None:
    """All at 1,024 and nothing at 32,768 says no more than that it happens in between."""
    sizes = np.array([32, 128, 1024, 32768], dtype=float)
    rng = np.random.default_rng(0)
    train = np.array([1.0, 1.0, 1.0, 0.2]) + rng.normal(0, 0.02, (50, 4))
    found = recovery_transition(sizes, train, 0.2 + rng.normal(0, 0.02, (50, 4)))
    assert found.ci is None or (found.ci[0] <= 1024 and found.ci[1] >= 32768)


def test_entropy_rises_through_its_half() -> None:
    rng = np.random.default_rng(0)
    rise = 1.8 * expit((np.log(SIZES) - math.log(400)) / 0.5)
    found = entropy_transition(SIZES, np.abs(rise + rng.normal(0, 0.05, (50, len(SIZES)))))
    assert found.ci is not None
    assert found.ci[0] <= 400 * 1.1
    assert found.ci[1] >= 400 * 0.9
    assert found.n_star == pytest.approx(400, rel=0.1)

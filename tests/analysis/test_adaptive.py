"""A dense sweep over the paper's 54 sizes, replayed: the adaptive one finds the same transition
with few of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import expit

from attractor.analysis.adaptive import Decision, decide
from attractor.analysis.transition import recovery_transition
from attractor.config.presets import paper_fractions

SIZES = np.array(sorted(round(f * 1_000_000) for f in paper_fractions()), dtype=float)
ROWS = 100


class Dense(NamedTuple):
    train: np.ndarray
    test: np.ndarray


def dense(n_star: float, shape: str, scale: float, seed: int) -> Dense:
    """Recovery of sequences with offsets of their own and independent noise at every size; half gap
    at `n_star`."""
    rng = np.random.default_rng(seed)
    x = (np.log(SIZES) - math.log(n_star)) / scale
    fall = (
        expit(-x) if shape == "logistic" else 1 - np.exp(-math.log(2) * np.exp(-x))
    )  # the other is not symmetric

    def noise() -> np.ndarray:
        return rng.normal(0, 0.1, (ROWS, 1)) + rng.normal(0, 0.15, (ROWS, len(SIZES)))

    return Dense(0.25 + 0.7 * fall + noise(), 0.25 + noise())


def replay(world: Dense, precision: float = 1.5, at_once: int = 1) -> tuple[list[int], Decision]:
    """Train what is asked for, until nothing is; the places of the sizes in the grid."""
    done: list[int] = []
    while (
        decision := decide(
            SIZES[done], world.train[:, done], world.test[:, done], SIZES, precision, at_once
        )
    ).sizes:
        new = [int(np.searchsorted(SIZES, n)) for n in decision.sizes]
        assert not set(new) & set(done)
        done = sorted(done + new)
    return done, decision


def test_a_fifth_of_the_models_finds_the_transition_of_all() -> None:
    """10 noisy curves of two shapes. At 95% coverage fewer than 7 hits have probability 1.1e-3."""
    rng, hits, models = np.random.default_rng(0), 0, []
    for seed in range(10):
        world = dense(
            math.exp(rng.uniform(math.log(1e3), math.log(3e5))),
            "logistic" if seed % 2 else "other",
            0.6,
            seed,
        )
        done, decision = replay(world)
        of_all = recovery_transition(SIZES, *world)
        assert of_all.n_star is not None
        assert decision.found.ci is not None
        models.append(len(done))
        hits += decision.found.ci[0] <= of_all.n_star <= decision.found.ci[1]
    assert max(models) <= 10
    assert hits >= 7


def test_it_stops_at_the_precision_and_not_before() -> None:
    done, decision = replay(dense(100_000, "logistic", 0.6, 0))
    found = decision.found
    assert found.ci is not None
    assert found.ci[1] / found.ci[0] <= 1.5
    assert "n* is known to a factor of" in decision.reason
    loose, _ = replay(dense(100_000, "logistic", 0.6, 0), precision=4)
    assert len(loose) < len(done)


def test_where_the_grid_is_coarse_it_says_so() -> None:
    """Between 10,000 and 20,000 the grid has nothing, so a factor of 1.2 is out of reach."""
    done, decision = replay(dense(14_000, "logistic", 0.3, 0), precision=1.2)
    assert len(done) <= 10
    assert decision.reason == "no size is left to try between 10,000 and 20,000"


@pytest.mark.parametrize("n_star", [1.0, 1e9])
def test_a_transition_outside_is_not_invented(n_star: float) -> None:
    done, decision = replay(dense(n_star, "logistic", 0.5, 1))
    assert decision.found.n_star is None
    assert decision.found.reason
    assert len(done) <= 10


def test_several_at_once_take_fewer_rounds() -> None:
    world = dense(50_000, "logistic", 0.6, 3)
    first = decide(
        SIZES[[0, -1]], world.train[:, [0, -1]], world.test[:, [0, -1]], SIZES, 1.5, at_once=3
    )
    assert len(set(first.sizes)) == 3
    done, decision = replay(world, at_once=3)
    assert "n* is known" in decision.reason
    assert len(done) <= 14

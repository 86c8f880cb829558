from __future__ import annotations

import math

import numpy as np
import pytest

from attractor.analysis.agreement import agreements
from attractor.analysis.transition import Transition


def at(
    n: float,
    sizes: tuple[float, float],
    spread: float = 0.1,
    seeds: tuple[float, ...] = (),
    rng: int = 0,
) -> Transition:
    draws = math.log(n) + np.random.default_rng(rng).normal(0, spread, 2000)
    return Transition(
        n,
        (n / 2, 2 * n),
        None,
        sizes=sizes,
        seed_n_star=seeds or (n,),
        samples=draws,
        sequences=100,
    )


def verdict(a: Transition, b: Transition, margin: float = 2.0) -> tuple[str, str | None]:
    found = agreements({"a": a, "b": b}, margin)[0]
    return found.verdict, found.reason


def test_places_agree_only_within_the_margin() -> None:
    first, second = at(100, (90, 110)), at(105, (90, 110), rng=1)
    assert verdict(first, second) == ("agree", None)
    assert verdict(first, second, 1.2)[0] == "not resolved"
    assert verdict(first, at(250, (240, 260), rng=1)) == ("apart", None)


def test_wide_intervals_resolve_nothing() -> None:
    found = verdict(at(100, (90, 110), 0.5), at(130, (120, 140), 0.5, rng=1))
    assert found == ("not resolved", "its interval is too wide for either")


def test_coarse_sizes_resolve_nothing() -> None:
    """A step of a factor of 32 says nothing of a factor of 2, and nothing of what lies in it."""
    step = (1024.0, 32768.0)
    reason = "the sizes 1,024 and 32,768 are further apart than that"
    assert verdict(at(5000, step), at(5100, step, rng=1)) == ("not resolved", reason)
    reason = "both lie between 1,024 and 32,768"
    assert verdict(at(2000, step), at(20000, step, rng=1)) == ("not resolved", reason)


def test_open_draws_leave_it_open() -> None:
    draws = np.where(np.arange(2000) < 100, np.inf, math.log(100.0))
    open_end = at(100, (90, 110))._replace(samples=draws)
    found = agreements({"a": open_end, "b": at(100, (90, 110))}, 2.0)[0]
    assert (found.ci, found.verdict, found.reason) == (
        None,
        "not resolved",
        "its interval has an open end",
    )


def test_places_of_the_same_sequences_and_runs_move_together() -> None:
    """Draws and seeds that shift both places alike say nothing against their agreement."""
    first = at(100, (90, 110), 1.0, (50, 100, 200))
    second = at(105, (90, 110), 1.0, (52.5, 105, 210))
    assert verdict(first, second)[0] == "agree"
    second = second._replace(seed_n_star=(210, 105, 52.5))
    assert verdict(first, second)[0] == "not resolved"


@pytest.mark.parametrize("ratio", [1.0, 1.5, 1.8])
def test_a_true_ratio_at_the_margin_is_rarely_called_agreement(ratio: float) -> None:
    """Margin = ratio: at most 5% agree. More than 32 of 400 have probability 5e-3. Without any
    difference and a margin of 1.5, at most 5% are called apart."""
    margin, wrong = (ratio, "agree") if ratio > 1 else (1.5, "apart")
    rng, count = np.random.default_rng(0), 0
    for seed in range(400):
        a, b = (100 * math.exp(rng.normal(0, 0.05)) for _ in range(2))
        found = verdict(
            at(a, (99, 101), 0.05, rng=2 * seed),
            at(ratio * b, (100 * ratio, 101 * ratio), 0.05, rng=2 * seed + 1),
            margin,
        )
        count += found[0] == wrong
    assert count <= 32


def test_places_that_are_not_there_are_left_out() -> None:
    missing = Transition(None, None, None, "nothing")
    assert agreements({"a": at(100, (90, 110)), "b": missing}, 2.0) == []


def test_runs_that_share_a_training_set_are_not_independent() -> None:
    """Six runs whose ratio depends on the training set alone, of which there are two."""
    places = (100.0, 101, 102, 100, 101, 102)
    apart = at(100, (90, 110), 0.01, places)
    ratios = np.repeat([1.2, 1.5], 3)
    other = at(134, (120, 140), 0.01, tuple(ratios * places), rng=1)
    assert verdict(apart, other, 1.1)[0] == "apart"
    runs = tuple((order, seed) for order in (0, 1) for seed in (0, 1, 2))
    shared = apart._replace(replicates=runs), other._replace(replicates=runs)
    assert verdict(*shared, 1.1)[0] == "not resolved"


@pytest.mark.slow
def test_many_pairs_are_allowed_for() -> None:
    """Eight places that are one, each known to 10%: of 28 pairs, each tested by itself, some would
    be called apart in most sweeps; by Holm's procedure any is in at most 5%. More than 12 of 120
    have probability 7e-3."""
    rng, wrong, alone = np.random.default_rng(0), 0, 0
    for sweep in range(120):
        found = {
            f"{i}": at(100 * math.exp(rng.normal(0, 0.1)), (i, i + 1), 0.1, rng=100 * sweep + i)
            for i in range(50, 58)
        }
        said = agreements(found, 1.01)
        assert {pair.pairs for pair in said} == {28}
        wrong += any(pair.verdict == "apart" for pair in said)
        alone += any(pair.ci is not None and pair.ci[0] * pair.ci[1] > 0 for pair in said)
    assert wrong <= 12
    assert alone > 40

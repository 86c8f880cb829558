"""Onset over training: crossings that are known, intervals that cover, and orders that stay
undecided."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from trainings import LOG, STEPS, watched

from attractor.analysis.onset import (
    Course,
    Onset,
    Watched,
    courses,
    crossings,
    growth,
    monotone,
    onset,
    order,
    order_over_sizes,
)


def test_monotone_is_isotonic_regression() -> None:
    curves = np.random.default_rng(0).normal(size=(50, 9))
    assert np.allclose(monotone(curves), [isotonic_regression(curve).x for curve in curves])
    rising = np.sort(curves, 1)
    assert np.allclose(monotone(rising), rising)


def test_crossings_are_exact_where_courses_are_straight() -> None:
    log_steps = np.array([0.0, 1.0, 3.0, 4.0])
    curves = np.array(
        [
            [0.0, 0.25, 0.75, 1.0],  # half-way from 1 to 3
            [0.0, 0.5, 0.75, 1.0],  # at a check
            [0.6, 0.7, 0.8, 0.9],  # before the first
            [0.0, 0.1, 0.2, 0.4],  # never
            [0.0, 0.8, 0.0, 1.0],  # down again: made monotone it is 0.4 at both
        ]
    )
    found = crossings(log_steps, curves)
    assert found.tolist() == pytest.approx([2.0, 1.0, -np.inf, np.inf, 3 + 0.1 / 0.6])


def test_quantities_are_those_of_their_formulas() -> None:
    steps = np.array([1.0, 2.0, 4.0])
    flat = np.ones((1, 4, 3))
    rising = np.array([0.2, 0.6, 1.0])
    own = Watched(steps, flat * rising, flat * 0.2, flat * [3, 2, 0.5], flat * [0, 0, 1], flat * 0)
    own = own._replace(copied_test=flat * np.array([[1.0], [0], [0], [0]]))
    largest = own._replace(entropy=flat * [3, 2, 2])
    found = courses(own, largest)
    assert found["advantage"].mean == pytest.approx([0, 0.5, 1])
    assert found["copies"].mean == pytest.approx([-1 / 3, -1 / 3, 1])
    assert found["entropy"].mean == pytest.approx([0, 0, 0.75])
    assert "entropy" not in courses(own)
    place = onset(found["advantage"])
    assert place.step == pytest.approx(2)
    assert place.between == (1, 2)
    assert place.seeds == ()


def test_no_nan_where_unseen_rows_all_come_back_or_are_all_copies() -> None:
    flat = np.ones((1, 4, 3))
    own = Watched(np.array([1.0, 2, 4]), flat, flat, flat, flat, flat)
    assert [course.mean.tolist() for course in courses(own).values()] == [[0, 0, 0], [0, 0, 0]]


def test_an_end_that_is_not_seen_is_open() -> None:
    rng = np.random.default_rng(0)
    late = onset(courses(watched(rng, 32, 1e5, 1e5))["advantage"])
    assert late.step is None
    assert late.between == (STEPS[-1], None)
    assert late.ci == (pytest.approx(STEPS[-1]), None)
    assert late.reason == f"it stays below one half up to the last check, step {STEPS[-1]:g}"
    early = onset(courses(watched(rng, 32, 1.0, 1.0))["advantage"])
    assert early.ci == (None, pytest.approx(STEPS[0]))
    assert early.between == (None, STEPS[0])
    assert "above one half at the first check, step 25" in str(early.reason)


def test_seeds_have_an_interval_of_their_own() -> None:
    parts = [
        watched(np.random.default_rng(i), 64, middle, 1e3) for i, middle in enumerate((100, 400))
    ]
    both = Watched(
        STEPS,
        *(np.concatenate(pair) for pair in zip(*(part[1:-1] for part in parts), strict=True)),
    )
    found = onset(courses(both)["advantage"])
    assert len(found.seeds) == 2
    assert found.seeds[0] == pytest.approx(100, rel=0.3)
    assert found.seeds[1] == pytest.approx(400, rel=0.3)
    # Two seeds a factor of four apart say next to nothing: Student's t of one degree of freedom.
    assert found.seeds_ci is not None
    assert found.seeds_ci[1] / found.seeds_ci[0] > 1e4


@pytest.mark.parametrize(
    ("rows", "replicates", "least"),
    [
        (16, 30, 24),
        pytest.param(16, 300, 275, marks=pytest.mark.slow),
        pytest.param(48, 300, 275, marks=pytest.mark.slow),
    ],
)
def test_intervals_of_onsets_cover_and_orders_are_right(
    rows: int, replicates: int, least: int
) -> None:
    """Fewer than 24 of 30, or 275 of 300, intervals that cover 95% have a probability of 6e-4 and
    of 5e-3. The truth is the crossing of means over 100,000 rows."""
    law = {"recovered": 300.0, "written": 550.0}
    truth = {
        name: float(crossings(LOG, course.mean[None])[0]) for name, course in _large(**law).items()
    }
    covered, orders = dict.fromkeys(truth, 0), []
    for i in range(replicates):
        found = courses(watched(np.random.default_rng([rows, i]), rows, **law))
        places = {name: onset(found[name]) for name in truth}
        for name, place in places.items():
            low, high = (STEPS[0], STEPS[-1])
            low, high = place.ci[0] or low, place.ci[1] or high
            covered[name] += low <= np.exp(truth[name]) <= high
        orders.append(order(places["advantage"], places["copies"]).verdict)
    assert min(covered.values()) >= least
    assert "after" not in orders
    if rows == 48:
        assert orders.count("before") >= least


def _large(recovered: float, written: float) -> dict[str, Course]:
    """As the quantities of one size, from means alone: resampling 100,000 rows is not needed."""
    big = watched(np.random.default_rng(1), 100_000, recovered, written)
    a, b, c, u = (
        x.mean((0, 1)) for x in (big.recovery_train, big.recovery_test, big.copied, big.copied_test)
    )
    means = {"advantage": (a - b) / (1 - b), "copies": (c - u) / (1 - u)}
    return {name: Course(STEPS, mean, mean[None], mean[None], 2) for name, mean in means.items()}


def test_a_training_that_memorizes_nothing_has_no_onset() -> None:
    """Of 10 replicates with 16 rows each none has an onset or an interval that ends: one half is
    some six standard errors away."""
    for i in range(10):
        found = courses(watched(np.random.default_rng([3, i]), 16, 1e9, 1e9))
        for name in ("advantage", "copies"):
            place = onset(found[name])
            assert place.step is None
            assert place.ci[1] is None


def made_up(middle: float, spread: float, rng: np.random.Generator, rows: int = 32) -> Onset:
    """An onset whose draws are normal around where it was found."""
    at = np.log(middle) + spread * rng.normal()
    samples = at + spread * rng.normal(size=2000)
    step = float(np.exp(at))
    passed = step <= STEPS
    between = (float(STEPS[~passed].max()), float(STEPS[passed].min()))
    low, high = np.exp(np.quantile(samples, [0.025, 0.975])).tolist()
    window = (float(LOG[0]), float(LOG[-1]))
    return Onset(step, (low, high), between, (), None, None, samples, window, rows)


def test_the_slope_of_a_known_growth_is_covered() -> None:
    """Onsets at 3 n^0.7, each training run with a spread of its own of 0.15, rows with 0.05: of 200
    intervals of 95% at least 180 cover with probability 0.999."""
    sizes, covered = (8, 16, 32, 64, 128, 256), 0
    for i in range(200):
        rng = np.random.default_rng([5, i])
        moved = np.exp(0.15 * rng.normal(size=len(sizes)))
        places = [made_up(30 * n**0.7 * m, 0.05, rng) for n, m in zip(sizes, moved, strict=True)]
        found = growth(sizes, places)
        assert found.slope is not None
        assert found.ci is not None
        assert found.given_runs is not None
        assert found.ci[0] < found.given_runs[0] < found.given_runs[1] < found.ci[1]
        covered += found.ci[0] <= 0.7 <= found.ci[1]
    assert covered >= 180


def test_growth_needs_onsets_that_are_known() -> None:
    rng = np.random.default_rng(0)
    places = [made_up(n, 0.01, rng) for n in (50, 100, 200, 400)]
    places[1] = places[1]._replace(step=None)
    places[2] = places[2]._replace(ci=(180.0, None))
    found = growth((50, 100, 200, 400), places)
    assert found.sizes == (50, 400)
    assert found.slope is None
    assert found.reason == "2 sizes have an onset that is known on both sides, 3 needed"


def test_equal_onsets_are_not_ordered() -> None:
    """Of 200 pairs that differ by noise alone at most 20 are ordered: more than 20 of 95% intervals
    that are false have a probability of 1e-3."""
    verdicts = []
    for i in range(200):
        rng = np.random.default_rng([7, i])
        a, b = (made_up(300, 0.2, rng) for _ in range(2))
        verdicts.append(order(a, b).verdict)
    assert sum(verdict != "undecided" for verdict in verdicts) <= 20


def test_onsets_in_one_gap_between_checks_are_not_ordered() -> None:
    rng = np.random.default_rng(0)
    near, far = made_up(110.0, 1e-4, rng), made_up(130.0, 1e-4, rng)
    found = order(near, far)
    assert found.verdict == "undecided"
    assert found.reason == "no check lies between the two"
    assert found.ci[0] is not None
    assert found.ci[0] > 1
    assert order(near, made_up(200.0, 1e-4, rng)).verdict == "before"
    assert order(made_up(200.0, 1e-4, rng), near).verdict == "after"


def test_an_onset_that_never_comes_is_later_and_bounds_the_ratio() -> None:
    rng = np.random.default_rng(0)
    early = made_up(100.0, 0.01, rng)
    never = early._replace(
        step=None,
        ci=(None, None),
        between=(float(STEPS[-1]), None),
        samples=np.full(2000, np.inf),
    )
    found = order(early, never)
    assert found.verdict == "before"
    assert found.ratio is None
    assert found.ci[0] == pytest.approx(STEPS[-1] / 100, rel=0.1)
    assert found.ci[1] is None
    # Nothing is known of two that never come.
    both = order(never, never)
    assert (both.ci, both.verdict) == ((None, None), "undecided")


def test_the_order_over_sizes_holds_the_spread_between_them() -> None:
    rng = np.random.default_rng(0)
    sizes = [50.0, 100.0, 200.0, 400.0, 800.0]
    first = [made_up(n, 0.01, rng) for n in sizes]
    second = [made_up(1.5 * n, 0.01, rng) for n in sizes]
    found = order_over_sizes(first, second)
    assert found.verdict == "before"
    assert found.ratio == pytest.approx(1.5, rel=0.02)
    # Ratios that scatter around 1 by a factor of 3 from run to run, each known well by itself.
    mixed = [made_up(n * r, 0.01, rng) for n, r in zip(sizes, (3, 0.4, 0.5, 2, 1.2), strict=True)]
    assert order_over_sizes(first, mixed).verdict == "undecided"
    assert order_over_sizes(first[:2], second[:2]).reason == "2 sizes have both onsets, 3 needed"

"""Capacities against their known values."""

from __future__ import annotations

import math

import pytest

from attractor.theory import capacities as theory
from attractor.types import AttractorError


@pytest.mark.parametrize(("kappa", "load"), [(0, 2), (0.5, 0.9612), (1, 0.5196), (2, 0.2002)])
def test_gardner_capacity(kappa: float, load: float) -> None:
    assert theory.gardner_capacity(kappa) == pytest.approx(load, abs=5e-5)


@pytest.mark.parametrize(("load", "kappa"), [(0.1, 3.000), (0.2, 2.001), (0.4, 1.242), (1, 0.471)])
def test_max_margin(load: float, kappa: float) -> None:
    assert theory.max_margin(load) == pytest.approx(kappa, abs=5e-4)


@pytest.mark.parametrize("load", [1e-9, 1e-3, 0.3, 1.7, 2])
def test_max_margin_inverts_the_capacity(load: float) -> None:
    assert theory.gardner_capacity(theory.max_margin(load)) == pytest.approx(load, rel=1e-9)


def test_hopfield_retrieval_ends_at_the_known_load() -> None:
    load, overlap = theory.hopfield_capacity()
    assert load == pytest.approx(0.13791, abs=5e-6)
    assert overlap == pytest.approx(0.9674, abs=5e-5)
    assert theory.hopfield_overlap(load) == pytest.approx(overlap, abs=1e-4)
    assert theory.hopfield_overlap(0.05) > theory.hopfield_overlap(0.1) > overlap


def test_hopfield_overlap_solves_the_saddle_point_equations() -> None:
    load = 0.1
    m = theory.hopfield_overlap(load)
    y = float(theory.special.erfinv(m))
    r = (m / y) ** 2 / (2 * load)
    c = math.sqrt(2 / (math.pi * load * r)) * math.exp(-(m**2) / (2 * load * r))
    assert r == pytest.approx(1 / (1 - c) ** 2, rel=1e-9)


def test_hebb_error() -> None:
    assert theory.hebb_error(0.1) == pytest.approx(7.83e-4, abs=5e-7)


def test_pseudo_inverse_margin_and_basin_floor() -> None:
    assert theory.pseudo_inverse_margin(0.2) == pytest.approx(2)
    assert theory.basin_floor(2.0, 100) == pytest.approx(0.01)
    assert theory.one_step_error(1.0, 0.5) == pytest.approx(0.5)
    assert theory.one_step_error(3.0, 0.1) == pytest.approx(0.5 * math.erfc(4 / math.sqrt(2)))


def test_extreme_margins_and_loads_stay_finite() -> None:
    assert theory.gardner_capacity(1e200) == 0
    assert theory.basin_floor(1e200, 100) == 1
    assert theory.max_margin(theory.LEAST) == pytest.approx(1e150, rel=1e-6)
    assert theory.hopfield_overlap(theory.LEAST) == 1


@pytest.mark.parametrize(
    ("call", "bad"),
    [
        (theory.gardner_capacity, -0.1), (theory.gardner_capacity, math.nan),
        (theory.gardner_capacity, math.inf),
        (theory.max_margin, 0), (theory.max_margin, 2.01), (theory.max_margin, math.nan),
        (theory.hopfield_overlap, 0.138),
        (theory.hebb_error, 0), (theory.hebb_error, math.nan), (theory.pseudo_inverse_margin, 1),
        (theory.max_margin, 1e-310), (theory.hopfield_overlap, 1e-310),
        (theory.pseudo_inverse_margin, 1e-310),
        (theory.check_spins, 9), (theory.check_spins, 20.5),
        (lambda n: theory.basin_floor(1, n), math.nan), (lambda k: theory.basin_floor(k, 100),
        math.nan),
        (lambda rho: theory.one_step_error(1, rho), 0.6),
    ],
)  # fmt: skip
def test_bad_input_is_named(call: object, bad: float) -> None:
    with pytest.raises(AttractorError, match=str(bad)):
        call(bad)  # type: ignore[operator]

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from attractor.analysis.crossing import crossings

SIZES = np.array([10.0, 100.0, 1000.0, 10_000.0])


def test_a_falling_curve_is_joined_by_straight_lines_in_log_n() -> None:
    found = crossings(SIZES, np.array([[1, 0.75, 0.25, 0], [1, 0.5, 0.25, 0]]), 0.5)
    assert np.exp(found) == pytest.approx([100 * np.sqrt(10), 100])


def test_what_rises_is_pooled() -> None:
    """0.4 and 0.8 become 0.6 twice, so the curve is above 1/2 until beyond the third size."""
    found = crossings(SIZES, np.array([[1, 0.4, 0.8, 0]]), 0.5)
    assert np.exp(found) == pytest.approx([1000 * 10 ** (1 / 6)])


def test_it_is_the_crossing_of_the_isotonic_fit() -> None:
    """Against scipy's pool adjacent violators, on curves of noise."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(10, 1e5, 9)
    curves = rng.normal(np.linspace(1, 0, 9), 0.3, (500, 9))
    found = crossings(sizes, curves, 0.5)
    for curve, place in zip(curves, found, strict=True):
        fit = isotonic_regression(curve, increasing=False).x
        if fit[0] <= 0.5 or fit[-1] > 0.5:
            assert place == (-np.inf if fit[0] <= 0.5 else np.inf)
        else:
            assert np.interp(place, np.log(sizes), fit) == pytest.approx(0.5)


def test_curves_that_do_not_cross_are_open_and_undefined_ones_are_nowhere() -> None:
    curves = np.array([[0.4, 0.3, 0.2, 0.1], [0.9, 0.8, 0.7, 0.6], [1, np.nan, 0.2, 0]])
    assert crossings(SIZES, curves, 0.5).tolist() == pytest.approx(
        [-np.inf, np.inf, np.nan], nan_ok=True
    )

"""Falls that a passage needs: exact cases, and the coverage of the interval by enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attractor import AttractorError
from attractor.analysis.discoverable import falls_needed, found_within


def test_known_numbers_of_falls() -> None:
    assert falls_needed(4, 8, probability=0.75).value == 2  # 1 - (1/2)^2, up to rounding
    assert falls_needed(1, 10, probability=0.9).value == 22  # 1 - 0.9^21 = 0.891
    always = falls_needed(8, 8)
    assert (always.value, always.low) == (1, 1)
    assert always.high == 3  # q may be as low as 0.631
    never = falls_needed(0, 8)
    assert (never.value, never.high) == (math.inf, math.inf)
    assert never.low == 5  # q may be as high as 0.369


@pytest.mark.parametrize("falls", [1, 4, 8, 16, 64])
@pytest.mark.parametrize("q", [0.001, 0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 1.0])
def test_the_interval_covers_at_least_as_often_as_it_says(falls: int, q: float) -> None:
    """Over all numbers of falls that may come back, each with its chance."""
    needed = 1 if q == 1 else math.ceil(math.log(0.1) / math.log1p(-q) - 1e-9)
    covered = 0.0
    for back in range(falls + 1):
        low, high = falls_needed(back, falls).ends()
        covered += stats.binom.pmf(back, falls, q) * (low <= needed <= high)
    assert covered >= 0.95 - 1e-9


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("q", [0.05, 0.4, 1.0])
def test_what_is_found_within_n_falls_is_unbiased(n: int, q: float) -> None:
    back = np.arange(9)
    mean = (found_within(back, 8, n) * stats.binom.pmf(back, 8, q)).sum()
    assert mean == pytest.approx(1 - (1 - q) ** n, abs=1e-12)


def test_bad_input() -> None:
    with pytest.raises(AttractorError, match=r"probability = 1\.0 is outside \(0, 1\)"):
        falls_needed(1, 2, 1.0)
    with pytest.raises(AttractorError, match="3 of 2 falls"):
        falls_needed(3, 2)
    with pytest.raises(AttractorError, match="n = 9: of 8 falls"):
        found_within(np.array([1]), 8, 9)

"""Intervals of kappa's difference, and its place in n, on surprises whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attractor import AttractorError
from attractor.analysis.calibration import (
    Surprise,
    calibration_transition,
    kappa,
    log_kappa_difference,
)
from attractor.analysis.crossing import crossings

SIZES = 2.0 ** np.arange(4, 14)


def drawn(kappa: float, n: int, seed: int) -> Surprise:
    """Sequences whose entropies differ, and whose nll is around kappa times that, as it is for
    text: skewed, and the more spread the more it is."""
    rng = np.random.default_rng(seed)
    entropy = rng.gamma(8.0, 0.2, n)
    return Surprise(kappa * entropy * rng.gamma(12.0, 1 / 12, n), entropy)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second", "n", "m"), [(1, 1, 32, 96), (9, 0.3, 40, 40)])
def test_the_difference_covers_what_it_says(first: float, second: float, n: int, m: int) -> None:
    """Also where there is no difference. 400 samples, within four binomial standard errors of 95%,
    false alarm rate 6e-5."""
    truth = math.log(first / second)
    hits = []
    for i in range(400):
        low, high = log_kappa_difference(
            drawn(first, n, 2 * i), drawn(second, m, 2 * i + 1), i
        ).ends()
        hits.append(low <= truth <= high)
    assert abs(np.mean(hits) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 400)


def test_kappa_is_a_ratio_of_means_and_not_a_mean_of_ratios() -> None:
    found = kappa(Surprise(np.array([1.0, 6.0, 2.0]), np.array([1.0, 2.0, 3.0])))
    assert found.value == pytest.approx(9 / 6, rel=1e-5)
    nothing = kappa(Surprise(np.zeros(5), np.zeros(5)))
    assert nothing.value == nothing.low == nothing.high == 1


def over_sizes(log_kappa: np.ndarray, n: int, seed: int) -> Surprise:
    """Sequences that are as hard at every size."""
    rng = np.random.default_rng(seed)
    entropy = rng.gamma(8.0, 0.2, (n, 1)) * np.ones_like(log_kappa)
    return Surprise(np.exp(log_kappa) * entropy * rng.gamma(12.0, 1 / 12, (n, 1)), entropy)


def test_its_place_is_where_the_gap_has_fallen_to_half() -> None:
    """ln kappa of unseen text falls from 2.4 to 0 by a logistic in log n around 200, that of
    training text rises from -1.7. At the smallest size 2% of it is gone already: half of what is
    there is left at 206."""
    fall = 1 / (1 + (SIZES / 200) ** 1.5)
    train, test = over_sizes(-1.7 * fall, 40, 0), over_sizes(2.4 * fall, 90, 1)
    found = calibration_transition(SIZES, train, test)
    place = float(np.exp(crossings(SIZES, (fall / fall[0])[None], 0.5)[0]))
    assert place == pytest.approx(206, abs=2)
    assert found.n_star == pytest.approx(place, rel=0.05)
    assert found.ci is not None
    assert found.ci[0] < place < found.ci[1]
    seeds = [Surprise(*(np.stack([x, x, x]) for x in surprise)) for surprise in (train, test)]
    assert calibration_transition(SIZES, *seeds).n_star == pytest.approx(found.n_star, rel=1e-6)


def test_without_a_gap_there_is_no_place() -> None:
    flat = np.zeros_like(SIZES)
    found = calibration_transition(SIZES, over_sizes(flat, 40, 0), over_sizes(flat, 90, 1))
    assert found.n_star is None
    assert found.reason


def test_numbers_that_are_not_finite_are_named() -> None:
    bad = Surprise(np.ones(4), np.array([1, 1, np.inf, 1]))
    with pytest.raises(AttractorError, match="1 of 4 sequences have no finite value, first row 2"):
        log_kappa_difference(bad, Surprise(np.ones(4), np.ones(4)))

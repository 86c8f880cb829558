"""Do two places agree? An equivalence test with a margin that was named beforehand."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from attractor.analysis.statistics import LEVEL, seed_reach, student_tail, widened
from attractor.analysis.transition import Transition, percentiles
from attractor.results.estimate import Estimate

AGREE, APART, UNRESOLVED = "agree", "apart", "not resolved"
EQUIVALENCE = 2 * LEVEL - 1
"""Level of the interval that must lie within the margin: each of two one-sided tests errs in 5%."""


class Agreement(NamedTuple):
    """How far apart two places are, and what can be said of it."""

    first: str
    second: str
    decades: float
    """log10 of the second over the first"""
    ci: tuple[float, float] | None
    """95% interval, over sequences and, where there are several, over training seeds; None where an
    end is open"""
    verdict: str
    """agree, apart or not resolved"""
    margin: float
    """largest ratio of two places that agree, as the sweep named it beforehand"""
    reason: str | None = None
    """why it is not resolved"""


def agreements(found: dict[str, Transition], margin: float) -> list[Agreement]:
    """Compare all pairs of places that were found, each pair by itself.

    Two places *agree* if their ratio surely lies within the margin (two one-sided tests at 5%,
    Schuirmann 1987); they are *apart* if 1 is not in the 95% interval of their ratio; else it is
    not resolved. Neither is said beyond what the sizes tell: a step of the sizes that is wider than
    the margin leaves agreement open, and two places in one step are not told apart.
    """
    located = {name: place for name, place in found.items() if place.n_star is not None}
    return [
        _compared(first, second, a, b, margin)
        for (first, a), (second, b) in itertools.combinations(located.items(), 2)
    ]


def _compared(first: str, second: str, a: Transition, b: Transition, margin: float) -> Agreement:
    apart = np.log(_place(b) / _place(a))
    ratio = _ratio(a, b, apart, LEVEL)
    within = _ratio(a, b, apart, EQUIVALENCE).interval
    steps = {place.sizes for place in (a, b) if place.sizes}
    coarse = next((step for step in steps if step[1] > margin * step[0]), None)
    verdict, reason = UNRESOLVED, None
    if within is None or ratio.interval is None:
        reason = "its interval has an open end"
    elif -np.log(margin) < within[0] and within[1] < np.log(margin):
        if coarse is None:
            verdict = AGREE
        else:
            reason = f"the sizes {coarse[0]:,.0f} and {coarse[1]:,.0f} are further apart than that"
    elif not ratio.interval[0] <= 0 <= ratio.interval[1]:
        if len(steps) > 1:
            verdict = APART
        else:
            reason = "both lie between {:,.0f} and {:,.0f}".format(*steps.pop())
    else:
        reason = "its interval is too wide for either"
    ends = None
    if ratio.interval is not None:
        ends = (float(ratio.interval[0] / np.log(10)), float(ratio.interval[1] / np.log(10)))
    return Agreement(first, second, float(apart / np.log(10)), ends, verdict, margin, reason)


def _place(found: Transition) -> float:
    assert found.n_star is not None
    return found.n_star


def _ratio(a: Transition, b: Transition, apart: float, level: float) -> Estimate:
    """Interval of log b - log a over sequences and seeds; without ends where one is open.

    Places of the same sequences move together from draw to draw, and those of one training run do:
    the difference is taken draw by draw and seed by seed, not of two intervals.
    """
    with np.errstate(invalid="ignore"):  # two draws that are open alike leave it open too
        samples = b.samples - a.samples
    low, high = percentiles(samples, student_tail(min(a.sequences, b.sequences), level))
    pairs = list(zip(a.seed_n_star, b.seed_n_star, strict=True))
    differences = [np.log(y / x) for x, y in pairs if x is not None and y is not None]
    if not np.isfinite([low, high]).all() or len(differences) < len(pairs):
        return Estimate(apart)
    return Estimate(apart, *widened(apart, low, high, seed_reach(differences, level)))

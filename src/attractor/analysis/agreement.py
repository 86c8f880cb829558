"""Do two places agree? An equivalence test with a margin that was named beforehand."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from attractor.analysis.multiple import holm, p_above
from attractor.analysis.statistics import LEVEL, student_tail
from attractor.analysis.training_runs import fewest_runs, runs_reach, widened
from attractor.analysis.transition import Transition, percentiles
from attractor.results.estimate import Estimate

AGREE, APART, UNRESOLVED = "agree", "apart", "not resolved"
ERROR = 1 - LEVEL
"""Chance of any false verdict of a kind among all pairs."""
EQUIVALENCE = 2 * LEVEL - 1
"""Level of the interval that must lie within the margin: each of two one-sided tests errs in 5%."""


class Agreement(NamedTuple):
    """How far apart two places are, and what can be said of it."""

    first: str
    second: str
    decades: float
    """log10 of the second over the first"""
    ci: tuple[float, float] | None
    """95% interval, over sequences and, where there are several, over training runs; None where an
    end is open"""
    verdict: str
    """agree, apart or not resolved"""
    margin: float
    """largest ratio of two places that agree, as the sweep named it beforehand"""
    reason: str | None = None
    """why it is not resolved"""
    pairs: int = 1
    """how many were compared, which the verdict allows for"""


class _Ratio(NamedTuple):
    """The log of the ratio of two places."""

    ci: Estimate
    """95% interval; without ends where one is open"""
    agree: float
    """p-value of what speaks against agreement: that the places are a margin apart or more"""
    apart: float
    """p-value of what speaks against their being apart: that they are the same"""


def agreements(found: dict[str, Transition], margin: float) -> list[Agreement]:
    """Compare all pairs of places that were found.

    Two places *agree* if their ratio surely lies within the margin (two one-sided tests,
    Schuirmann 1987); they are *apart* if it is surely not 1; else it is not resolved. Either is
    said by Holm's procedure over all pairs, so that the chance of any false "agree" is at most 5%,
    and so is that of any false "apart". Neither is said beyond what the sizes tell: a step of the
    sizes that is wider than the margin leaves agreement open, and two places in one step are not
    told apart.
    """
    located = {name: place for name, place in found.items() if place.n_star is not None}
    pairs = list(itertools.combinations(located, 2))
    ratios = {(a, b): _ratio(located[a], located[b], margin) for a, b in pairs}
    within = holm({pair: ratio.agree for pair, ratio in ratios.items()})
    beyond = holm({pair: ratio.apart for pair, ratio in ratios.items()})
    said = []
    for pair in pairs:
        steps = {step for name in pair if (step := located[name].sizes)}
        ratio = ratios[pair]._replace(agree=within[pair], apart=beyond[pair])
        verdict, reason = _verdict(ratios[pair], ratio, steps, margin, len(pairs))
        in_decades = ratio.ci.scaled(lambda x: float(x / np.log(10)))
        decades, ends = in_decades.value, in_decades.interval
        said.append(Agreement(*pair, decades, ends, verdict, margin, reason, len(pairs)))
    return said


def _verdict(
    alone: _Ratio, ratio: _Ratio, steps: set[tuple[float, float]], margin: float, pairs: int
) -> tuple[str, str | None]:
    """What is said of a pair, by its p-values alone and among all pairs, and why no more."""
    coarse = next((step for step in steps if step[1] > margin * step[0]), None)
    if ratio.ci.interval is None:
        return UNRESOLVED, "its interval has an open end"
    if ratio.agree < ERROR:
        if coarse is None:
            return AGREE, None
        sizes = "{:,.0f} and {:,.0f}".format(*coarse)
        return UNRESOLVED, f"the sizes {sizes} are further apart than that"
    if ratio.apart < ERROR:
        if len(steps) > 1:
            return APART, None
        return UNRESOLVED, "both lie between {:,.0f} and {:,.0f}".format(*steps.pop())
    if min(alone.agree, alone.apart) < ERROR:
        return UNRESOLVED, f"not surely enough for one of {pairs} pairs"
    return UNRESOLVED, "its interval is too wide for either"


def _ratio(a: Transition, b: Transition, margin: float) -> _Ratio:
    """The log of b over a, over sequences and training runs.

    Places of the same sequences move together from draw to draw, and those of one training run do:
    the difference is taken draw by draw and run by run, not of two intervals.
    """
    assert a.n_star is not None
    assert b.n_star is not None
    apart = float(np.log(b.n_star / a.n_star))
    with np.errstate(invalid="ignore"):  # two draws that are open alike leave it open too
        samples = b.samples - a.samples
    pairs = list(zip(a.seed_n_star, b.seed_n_star, strict=True))
    differences = [np.log(y / x) for x, y in pairs if x is not None and y is not None]

    def interval(level: float) -> Estimate:
        tail = student_tail(min(a.sequences, b.sequences), level)
        ends = percentiles(samples, tail)
        if not np.isfinite(ends).all() or len(differences) < len(pairs):
            return Estimate(apart)
        reach = runs_reach(differences, a.replicates, level)
        return Estimate(apart, *widened(apart, *ends, reach))

    usual, narrow = interval(LEVEL), interval(EQUIVALENCE)
    if usual.interval is None or narrow.interval is None:
        return _Ratio(Estimate(apart), 1.0, 1.0)
    runs, far = fewest_runs(a.replicates, len(pairs)), float(np.log(margin))
    # Both one-sided tests have to reject, so the larger p-value counts.
    agree = max(p_above(x, -far, runs, EQUIVALENCE) for x in (narrow, _turned(narrow))) / 2
    return _Ratio(usual, agree, min(p_above(x, 0.0, runs) for x in (usual, _turned(usual))))


def _turned(e: Estimate) -> Estimate:
    """The same of first over second."""
    low, high = e.ends()
    return Estimate(-e.value, -high, -low)

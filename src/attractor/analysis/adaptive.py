"""Which training-set size to measure next, so that few models locate the transition."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.transition import Table, Transition, recovery_transition

Values = NDArray[np.float64]


class Decision(NamedTuple):
    """Sizes to measure next; none, and the search is over."""

    sizes: tuple[int, ...]
    """training-set sizes, in rows"""
    reason: str
    """why these, or why none"""
    found: Transition
    """what is known so far"""


def decide(
    sizes: Values,
    train: Values | Table,
    test: Values | Table,
    candidates: Values,
    precision: float,
    at_once: int = 1,
) -> Decision:
    """Halve, in log n, the interval in which the basin advantage falls to 1/2.

    First the two ends; then the middle of the two neighbouring sizes between which `n_star` lies,
    until they are as near to each other as asked for, and the interval of `n_star` over sequences
    is as narrow. Where that is what is too wide, the widest hole in the fall of the curve.

    Args:
        sizes: what has been measured, increasing, (S,).
        train: recovery of training sequences, (N, S) or (training seeds, N, S), as in
            `recovery_transition`.
        test: the same of unseen sequences.
        candidates: sizes there are to choose from, increasing.
        precision: largest ratio that is good enough, above 1, of the sizes that bracket `n_star`
            and of the ends of its interval.
        at_once: sizes to measure side by side.

    Returns:
        What to measure next, and what is known so far.
    """
    ends = tuple(int(n) for n in (candidates[0], candidates[-1]) if n not in sizes)
    unknown = Transition(None, None, None)
    if ends:
        return Decision(ends, "the ends", unknown)
    found = recovery_transition(sizes, train, test)
    if found.ci is None or found.sizes is None:
        return Decision((), found.reason or "there is no n*", found)
    window, (low, high) = found.sizes, found.ci
    if window[1] <= precision * window[0]:
        known = max(window[1] / window[0], high / low)
        if known <= precision:
            return Decision((), f"n* is known to a factor of {known:.2f}", found)
        # The sizes around the place are near enough, so the sequences limit its interval: sizes
        # over all of that tell more than one more between those two.
        window = min(window[0], low), max(window[1], high)
    chosen = _middles(sizes, candidates, *window, at_once)
    where = f"between {window[0]:,.0f} and {window[1]:,.0f}"
    return Decision(chosen, where if chosen else f"no size is left to try {where}", found)


def _middles(
    sizes: Values, candidates: Values, low: float, high: float, count: int
) -> tuple[int, ...]:
    """Candidates nearest the middles, in log n, of the widest holes between measured sizes that
    reach into a window."""
    chosen: list[int] = []
    while len(chosen) < count:
        # What is chosen counts as measured, so that the next one goes elsewhere.
        measured = np.union1d(sizes, chosen)
        inside = []
        for a, b in pairwise(measured):
            between = candidates[(candidates > a) & (candidates < b)]
            if a < high and b > low and len(between):
                # The middle in log n is sqrt(a b), where c^2 / (a b) is 1.
                nearest = between[np.abs(np.log(between**2 / (a * b))).argmin()]
                inside.append((b / a, nearest))
        if not inside:
            break
        chosen.append(int(max(inside)[1]))
    return tuple(chosen)

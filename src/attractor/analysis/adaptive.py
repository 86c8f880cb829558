"""Which training-set size to measure next, so that few models locate the transition."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.transition import MIN_SIZES, Transition, recovery_transition

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
    train: Values,
    test: Values,
    candidates: Values,
    precision: float,
    at_once: int = 1,
) -> Decision:
    """Halve, in log n, the interval in which the gap between training and unseen recovery falls to
    its half.

    First the two ends; then the middle of the two neighbouring sizes between which the half-way
    point lies, until the interval of `n_star`, which is never narrower than they are apart, is as
    narrow as asked for; where the sequences and not the sizes limit it, the widest hole in the fall
    of the curve.

    Args:
        sizes: what has been measured, increasing, (S,).
        train: recovery of training sequences, (N, S) or (training seeds, N, S), as in
            `recovery_transition`.
        test: the same of unseen sequences.
        candidates: sizes there are to choose from, increasing.
        precision: largest ratio of the ends of the interval of `n_star` that is good enough, above
            1.
        at_once: sizes to measure side by side.

    Returns:
        What to measure next, and what is known so far.
    """
    ends = tuple(int(n) for n in (candidates[0], candidates[-1]) if n not in sizes)
    unknown = Transition(None, None, None)
    if ends:
        return Decision(ends, "the ends", unknown)
    found = recovery_transition(sizes, train, test) if len(sizes) >= MIN_SIZES else unknown
    if found.ci is not None and found.ci[1] <= precision * found.ci[0]:
        return Decision((), f"n* is known to a factor of {found.ci[1] / found.ci[0]:.2f}", found)
    # While there are too few sizes for a fit, the measured gap itself tells between which two of
    # them it falls.
    step = _step(sizes, train, test) if found.n_star is None else _around(sizes, found.n_star)
    if step is None:
        nothing = "the gap does not fall to its half between the smallest and the largest size"
        reason = found.reason or nothing
        return Decision((), reason, found._replace(reason=reason))
    window = step
    if found.n_star is not None and found.width is not None and step[1] <= precision * step[0]:
        # The sizes around the place are near enough, so the sequences limit its interval: sizes
        # over the whole fall of the curve tell more than one more between those two.
        reach = 10 ** (found.width / 2)
        window = found.n_star / reach, found.n_star * reach
    chosen = _middles(sizes, candidates, *window, at_once)
    where = f"between {window[0]:,.0f} and {window[1]:,.0f}"
    return Decision(chosen, where if chosen else f"no size is left to try {where}", found)


def _step(sizes: Values, train: Values, test: Values) -> tuple[float, float] | None:
    """Neighbouring sizes between which the gap first falls below half of its top; None if it does
    not."""
    # The last axis is that of sizes; whatever comes before it is averaged over.
    known, unseen = (np.nanmean(x, tuple(range(x.ndim - 1))) for x in (train, test))
    gap = known - unseen
    below = np.flatnonzero(gap < gap.max() / 2)
    if gap[0] <= 0 or not len(below) or below[0] == 0:
        return None
    return float(sizes[below[0] - 1]), float(sizes[below[0]])


def _around(sizes: Values, n: float) -> tuple[float, float]:
    return float(sizes[sizes <= n].max()), float(sizes[sizes > n].min())


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

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
        precision: largest ratio of the ends of the interval of `n_star`, above 1.
        at_once: sizes to measure side by side.
    """
    ends = tuple(int(n) for n in (candidates[0], candidates[-1]) if n not in sizes)
    unknown = Transition(None, None, None)
    if ends:
        return Decision(ends, "the ends", unknown)
    found = recovery_transition(sizes, train, test) if len(sizes) >= MIN_SIZES else unknown
    if found.ci is not None and found.ci[1] <= precision * found.ci[0]:
        return Decision((), f"n* is known to a factor of {found.ci[1] / found.ci[0]:.2f}", found)
    step = _step(sizes, train, test) if found.n_star is None else _around(sizes, found.n_star)
    if step is None:
        reason = (
            found.reason
            or "the gap does not fall to its half between the smallest and the largest size"
        )
        return Decision((), reason, found._replace(reason=reason))
    window = step
    if found.n_star is not None and found.width is not None and step[1] <= precision * step[0]:
        reach = 10 ** (
            found.width / 2
        )  # the sequences limit the interval: the whole fall of the curve tells more
        window = found.n_star / reach, found.n_star * reach
    chosen = _middles(sizes, candidates, *window, at_once)
    where = f"between {window[0]:,.0f} and {window[1]:,.0f}"
    return Decision(chosen, where if chosen else f"no size is left to try {where}", found)


def _step(sizes: Values, train: Values, test: Values) -> tuple[float, float] | None:
    """Neighbouring sizes between which the gap first falls below half of its top; None if it does
    not."""
    gap = np.nanmean(train, tuple(range(train.ndim - 1))) - np.nanmean(
        test, tuple(range(test.ndim - 1))
    )
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
        measured = np.union1d(sizes, chosen)
        holes = [(a, b) for a, b in pairwise(measured) if a < high and b > low]
        inside = [(b / a, c[np.abs(np.log(c**2 / (a * b))).argmin()]) for a, b in holes
                  if len(c := candidates[(candidates > a) & (candidates < b)])]  # fmt: skip
        if not inside:
            break
        chosen.append(int(max(inside)[1]))
    return tuple(chosen)

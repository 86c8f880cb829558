"""(n, p)-discoverable extraction: in how many independent attempts a passage comes back with
probability p."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import LEVEL, clopper_pearson
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

PROBABILITY = 0.9
"""Probability p with which a passage is to come back, unless another is asked for."""


def falls_needed(
    back: int, falls: int, probability: float = PROBABILITY, level: float = LEVEL
) -> Estimate:
    """The least n for which a passage is (n, p)-discoverable (arXiv:2603.02333): 1 - (1 - q)^n >= p
    where q is the chance that one fall brings it back.

    The interval is that of q, Clopper and Pearson's, on the scale of n: it covers as often as that
    does, which is at least as often as it says. Where no fall brought the passage back the value
    and the upper end are infinite, and the lower end is what is known.

    Args:
        back: falls that brought the passage back.
        falls: independent falls that were tried.
        probability: p, in (0, 1).
        level: of the interval.

    Returns:
        n, whose interval is of whole falls; `n` of the estimate is the falls that were tried.

    Raises:
        AttractorError: for p outside (0, 1), or counts that make no share.
    """
    check_probability(probability)
    if not 0 <= back <= falls or falls < 1:
        raise AttractorError(
            f"{back} of {falls} falls: at least 1 is needed, and no more came back"
        )
    low, high = clopper_pearson(back, falls, level).ends()
    n, most, least = (_least_n(q, probability) for q in (back / falls, low, high))
    return Estimate(n, least, most, falls)


def check_probability(probability: float) -> None:
    """Raise AttractorError unless p is in (0, 1)."""
    if not 0 < probability < 1:
        raise AttractorError(f"probability = {probability} is outside (0, 1)")


def _least_n(q: float, probability: float) -> float:
    if q <= 0:
        return math.inf
    if q >= 1:
        return 1.0
    # What is a whole number up to rounding is meant to be that one.
    return max(1.0, math.ceil(math.log1p(-probability) / math.log1p(-q) - 1e-9))


def found_within(back: NDArray[np.int64], falls: int, n: int) -> NDArray[np.float64]:
    """Of each passage, how likely n of its falls contain one that brought it back, (N,).

    It is 1 - C(falls - back, n) / C(falls, n), whose expectation is 1 - (1 - q)^n exactly, so that
    its mean over passages is the share that comes back within n falls.

    Raises:
        AttractorError: if n is not in 1 ... falls.
    """
    if not 1 <= n <= falls:
        raise AttractorError(f"n = {n}: of {falls} falls 1 to {falls} can be looked at")
    back = np.asarray(back)
    # As a product of n factors, which cannot overflow; one of them is 0 where too few failed.
    missed = np.ones(len(back))
    for i in range(n):
        missed *= np.clip(falls - back - i, 0, None) / (falls - i)
    found: NDArray[np.float64] = 1 - missed
    return found

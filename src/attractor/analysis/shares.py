"""Two shares beside each other."""

from __future__ import annotations

import math

import scipy

from attractor.analysis.statistics import LEVEL
from attractor.results.estimate import Estimate
from attractor.types import AttractorError


def share_difference(
    hits: int, n: int, other_hits: int, other_n: int, level: float = LEVEL
) -> Estimate:
    """One share minus another, of independent trials, with Newcombe's interval (Statistics in
    Medicine 17, 873, method 10), which adds the squares of Wilson's intervals of both.

    Raises:
        AttractorError: for no trials of either.
    """
    if n <= 0 or other_n <= 0:
        raise AttractorError(f"{n} and {other_n} trials: a difference needs at least 1 of each")
    p, q = hits / n, other_hits / other_n
    (p_low, p_high), (q_low, q_high) = _wilson(hits, n, level), _wilson(other_hits, other_n, level)
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return Estimate(p - q, max(-1.0, low), min(1.0, high), min(n, other_n))


def _wilson(hits: int, n: int, level: float) -> tuple[float, float]:
    found = scipy.stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)

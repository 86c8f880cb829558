"""Many tests at once: how sure a difference is, and what is left when there were several."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
import scipy

from attractor.analysis.statistics import LEVEL
from attractor.results.estimate import Estimate

Name = TypeVar("Name", bound=Hashable)


def p_above(estimate: Estimate, null: float, seeds: int = 1, level: float = LEVEL) -> float:
    """Two-sided p-value of an estimate that lies above a null value; 1 for one that does not.

    It is read off the lower end of the interval, of 95% unless another `level` is given, so that it
    is below 0.05 (1 - level) exactly where that end is above the null: its distance is taken for so
    many standard errors of a normal distribution, or of Student's t over several training seeds.

    Raises:
        AttractorError: for an estimate without an interval.
    """
    low, _ = estimate.ends()
    if estimate.value <= null:
        return 1.0
    if low >= estimate.value:
        return 0.0
    law = scipy.stats.t(seeds - 1) if seeds > 1 else scipy.stats.norm
    errors = law.ppf((1 + level) / 2) * (estimate.value - null) / (estimate.value - low)
    return float(2 * law.sf(errors))


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """p-values that allow for how many there are: the chance of any false one among those below a
    level is at most that level, however they depend on each other (Holm, Scand. J. Statist. 6, 65).

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one before it.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    factors = np.arange(len(ordered), 0, -1)
    raised = np.minimum(1, np.array([p_values[name] for name in ordered]) * factors)
    return dict(zip(ordered, np.maximum.accumulate(raised).tolist(), strict=True))

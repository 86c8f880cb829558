"""What numbers are counted in: the range of a unit bounds every interval of it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit and the values that a number of it can take."""

    name: str
    least: float
    most: float

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """The ends of an interval, cut where no number of the unit can be."""
        return max(low, self.least), min(high, self.most)


SHARE = Unit("share", 0, 1)
NATS = Unit("nats per token", 0, inf)
NATS_BETWEEN = Unit("nats per token, difference", -inf, inf)
RATIO = Unit("ratio", 0, inf)
LOG_RATIO = Unit("log of a ratio", -inf, inf)
PROBABILITY_BETWEEN = Unit("probability, difference", -1, 1)
AUROC = Unit("AUROC", 0, 1)
AUROC_BETWEEN = Unit("AUROC, difference", -1, 1)
CORRELATION = Unit("rank correlation", -1, 1)
PROBABILITY = Unit("probability", 0, 1)
DISTANCE = Unit("distance", 0, 1)
STANDARD_DEVIATIONS = Unit("standard deviations", -inf, inf)
CLIFFS_DELTA = Unit("P(a > b) - P(a < b)", -1, 1)

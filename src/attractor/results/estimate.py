"""The one type of a number with its interval, whatever it was estimated from or read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attractor.types import AttractorError

FEW = 30
"""Sequences below which an interval is only a rough one."""


class Estimate(NamedTuple):
    """A number with its 95% interval; the ends are None where it has no honest interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    """sequences behind it, 0 where that is not known"""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None where either is missing."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def ends(self) -> tuple[float, float]:
        """Both ends, for whoever cannot go on without them.

        Raises:
            AttractorError: if there is no interval.
        """
        if self.interval is None:
            raise AttractorError(f"{self.value:g} has no interval, and one is needed")
        return self.interval

    def scaled(self, scale: Callable[[float], float]) -> Estimate:
        """The same on another scale. It must be a rising one, or the ends would change places."""
        low, high = (None if end is None else scale(end) for end in (self.low, self.high))
        return Estimate(scale(self.value), low, high, self.n)

    @property
    def warning(self) -> str | None:
        """What to say beside an interval over few sequences."""
        few = self.interval is not None and 0 < self.n < FEW
        return f"the interval rests on {self.n} sequences, fewer than {FEW}" if few else None

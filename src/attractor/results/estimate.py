"""The one type of a number with its interval, whatever it was estimated from or read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.types import AttractorError

FEW = 30
"""Sequences below which an interval is only a rough one."""


class Groups(NamedTuple):
    """Which sequences belong together, such as the rows of one book."""

    of: NDArray[np.int64]
    """group of each sequence, (N,)"""
    together: bool | None = None
    """whether groups are resampled, and not sequences; None leaves it to the design effect"""

    @staticmethod
    def of_rows(origin: NDArray[np.int64], resample: str) -> Groups:
        """The groups of rows, and those of rows without one their documents.

        Args:
            origin: document and group of each, (N, 2); a group of -1 is none.
            resample: "auto", "sequence" or "group".
        """
        document, group = origin.T
        of = np.where(group < 0, document + 1 + group.max(), group)
        return Groups(of, {"auto": None, "group": True}.get(resample, False))

    def chosen(self, where: NDArray[np.bool_]) -> Groups:
        """The groups of some of the sequences."""
        return self._replace(of=self.of[where])


class Design(NamedTuple):
    """How alike the sequences of one group are, such as the rows of one book, in one quantity."""

    groups: int
    """groups among the sequences"""
    icc: float | None
    """intraclass correlation: the share of the spread that lies between groups; None where it
    cannot be estimated"""
    effect: float | None
    """design effect: the variance of a mean over these sequences, over what it would be if groups
    were nothing; None as above"""
    by_group: bool
    """whether groups were resampled, and not sequences"""


class Estimate(NamedTuple):
    """A number with its 95% interval; the ends are None where it has no honest interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    """sequences behind it, 0 where that is not known"""
    design: Design | None = None
    """how alike the sequences of one group are, where groups are known"""

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
        return self._replace(value=scale(self.value), low=low, high=high)

    @property
    def warning(self) -> str | None:
        """What to say beside an interval over few sequences."""
        few = self.interval is not None and 0 < self.n < FEW
        return f"the interval rests on {self.n} sequences, fewer than {FEW}" if few else None

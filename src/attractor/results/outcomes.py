"""What became of each token of a corrupted sequence; the same arithmetic for numpy arrays and torch
tensors."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

OUTCOMES = ("stable", "recovered", "failed", "unstable")
"""In the order of the numbers that stand for them in arrays, see `Outcomes.index`."""
OUTCOME_NAMES = {
    "recovered": "recovered",
    "failed": "failed",
    "stable": "unchanged",
    "unstable": "broken",
}
"""What a person calls them, in the order in which a legend lists them."""
Array = TypeVar("Array", bound=Any)


class Outcomes(Generic[Array]):
    """Tokens before, between and after: `original` is (N, L), the other two are (R, N, L) for R
    repeats. Where `frozen`, (N, L), is given, such tokens are counted nowhere."""

    def __init__(
        self, original: Array, corrupted: Array, recovered: Array, frozen: Array | None = None
    ) -> None:
        self.perturbed: Array = corrupted != original
        """tokens that the noise changed; a resampled token that lands on itself is not perturbed"""
        self.restored: Array = recovered == original
        """tokens that end up right"""
        self.counted: Array | bool = True if frozen is None else ~frozen
        """tokens that might move"""
        self.untouched: Array = ~self.perturbed if frozen is None else ~self.perturbed & ~frozen
        """tokens that might have been changed by the noise and were not"""

    def rate_per_sequence(self) -> Array:
        """Share of perturbed tokens that return, of each sequence, (N,); NaN where nothing was
        perturbed."""
        return share(self.restored, self.perturbed)

    def unstable_per_sequence(self) -> Array:
        """Share of unperturbed tokens that end up wrong, of each sequence, (N,); NaN where all were
        perturbed."""
        return share(~self.restored, self.untouched)

    def index(self) -> Array:
        """What became of each token, as an index into `OUTCOMES`, (R, N, L)."""
        # Arithmetic on truth values, which numpy and torch share.
        recovered_or_failed = self.perturbed * (2 - self.restored * 1)
        unstable = ~self.perturbed * ~self.restored * 3
        return recovered_or_failed + unstable


def share(values: Array, chosen: Array) -> Array:
    """Mean of the values at the chosen tokens of each sequence over all its repeats, a share where
    they are truths: (R, N, L) to (N,). NaN where none is chosen."""
    total = chosen.sum((0, 2)) * 1.0  # as floats, which can hold NaN
    total[total == 0] = float("nan")
    return (values * chosen).sum((0, 2)) / total

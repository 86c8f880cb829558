"""How often each row of a training file occurs in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

STRATA = ((1, 1), (2, 9), (10, 99), (100, None))
"""Numbers of copies, first and last, that are looked at apart; the last stratum is open."""


class Multiplicity(NamedTuple):
    """The different rows of a file and how often each is there."""

    rows: Int[np.ndarray, "M L"]
    """each row once, int64, in the order of their first places"""
    exact: NDArray[np.int64]
    """copies of each, (M,)"""
    first: NDArray[np.int64]
    """where in the file each stands first, (M,)"""


def multiplicity(rows: Int[np.ndarray, "N L"]) -> Multiplicity:
    """Count the copies of each row, whatever type its numbers have."""
    plain = np.ascontiguousarray(rows, dtype=np.int64)
    # Rows as single keys of bytes: sorting these is far quicker than sorting columns.
    keys = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1])))[:, 0]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(first)
    return Multiplicity(plain[first[order]], counts[order].astype(np.int64), first[order])


def stratum(copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of `STRATA` each number of copies belongs to."""
    starts = [start for start, _ in STRATA]
    return np.searchsorted(starts, copies, side="right") - 1


def stratum_name(index: int) -> str:
    """Of a stratum, such as "2 to 9 copies"."""
    start, last = STRATA[index]
    if last is None:
        return f"{start} copies or more"
    return "1 copy" if last == 1 else f"{start} to {last} copies"

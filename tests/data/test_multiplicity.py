"""Copies in a training file."""

from __future__ import annotations

import numpy as np

from attractor.data.multiplicity import multiplicity, stratum, stratum_name
from attractor.probes.novelty import near_counts


def test_copies_are_counted_whatever_the_type_of_numbers() -> None:
    rows = np.array([[3, 1], [1, 2], [3, 1], [3, 1], [2, 2]])
    for kind in (np.int32, np.int64, np.uint16):
        found = multiplicity(rows.astype(kind))
        assert found.rows.tolist() == [[3, 1], [1, 2], [2, 2]]
        assert found.exact.tolist() == [3, 1, 1]
        assert found.first.tolist() == [0, 1, 4]


def test_strata() -> None:
    assert stratum(np.array([1, 2, 9, 10, 99, 100, 5000])).tolist() == [0, 1, 1, 2, 2, 3, 3]
    names = [stratum_name(i) for i in range(4)]
    assert names == ["1 copy", "2 to 9 copies", "10 to 99 copies", "100 copies or more"]


def test_near_copies_are_counted_with_their_copies() -> None:
    rows = np.arange(8) + np.zeros((3, 1), dtype=int)
    rows[1, 0], rows[2] = 99, 50  # one token of eight is another; nothing in common
    found = near_counts(rows, rows, np.array([1, 10, 1]))
    assert found.tolist() == [11, 11, 1]

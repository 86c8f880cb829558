"""Rows of token ids that somebody else wrote: matrices of any type of number, and lists in JSON.

The same ids may be stored as int32, as uint16, as floats or as text. All become int64 here, so that
rows are compared by their values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.data.packing import open_rows
from attractor.machine.files import why_no_json
from attractor.types import AttractorError


def read_ids(path: Path, column: str) -> Int[np.ndarray, "N L"] | None:
    """The rows of token ids in a file as int64; None if it holds text.

    Args:
        path: an `.npy` matrix, a `.json` list of lists, or `.jsonl` lines that are lists.
        column: that holds the list, in lines that are objects.

    Raises:
        AttractorError: for what is no matrix, holds no row, or holds what is no token id.
    """
    if path.suffix == ".npy":
        rows = np.asarray(open_rows(path, kinds="iuf"))
    elif path.suffix in (".json", ".jsonl") and path.is_file():
        lists = _lists(path, column)
        if lists is None:
            return None
        rows = _matrix(path, lists)
    else:
        return None
    if not rows.size:
        raise AttractorError(f"'{path}' holds no row")
    with np.errstate(invalid="ignore"):  # what does not fit is told below
        ids = rows.astype(np.int64)
    wrong = rows[ids != rows] if rows.dtype.kind != "u" else rows[rows > np.iinfo(np.int64).max]
    if wrong.size:
        raise AttractorError(f"'{path}' holds {wrong[0]}, which is no token id")
    return ids


def among(rows: Int[np.ndarray, "N L"], known: Int[np.ndarray, "M L"]) -> NDArray[np.bool_]:
    """Which rows are also known ones, (N,), by the values of their ids, whatever their types."""
    plain = [np.ascontiguousarray(each, dtype=np.int64) for each in (rows, known)]
    seen = {row.tobytes() for row in plain[1]}
    return np.array([row.tobytes() in seen for row in plain[0]], dtype=np.bool_)


def _lists(path: Path, column: str) -> list[Any] | None:
    """The lists of a JSON file; None where it holds text, or what only a reader of text can say
    something of."""
    try:
        if path.suffix == ".json":
            return list(json.loads(path.read_text(encoding="utf-8-sig")))
        with path.open(encoding="utf-8-sig") as file:
            found = []
            for line in filter(str.strip, file):
                record = json.loads(line)
                row = record.get(column) if isinstance(record, dict) else record
                if not isinstance(row, list):
                    return None
                found.append(row)
            return found or None
    except (ValueError, TypeError, RecursionError) as error:
        if path.suffix == ".jsonl":
            return None
        raise AttractorError(
            f"'{path}' holds no rows of token ids: {why_no_json(error):.120}"
        ) from None


def _matrix(path: Path, lists: list[Any]) -> np.ndarray:
    """Lists of numbers of one length as a matrix."""
    try:
        rows = np.array(lists)
    except ValueError:  # of different lengths
        rows = np.zeros(0)
    if rows.ndim != 2 or rows.dtype.kind not in "iuf":
        raise AttractorError(
            f"'{path}' does not hold token rows: lists of whole numbers, all of one length, are "
            "wanted"
        )
    return rows

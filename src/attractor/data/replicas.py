"""Other training sets from the same rows: in another order, or with some rows repeated.

What is split, tokenized and unseen stays the same; only which rows a training set is made of is
another.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from attractor.data.dataset import Dataset
from attractor.data.origins import DOCUMENTS
from attractor.data.packing import open_rows, prefix
from attractor.machine.files import write_atomically
from attractor.types import AttractorError

PLANTED = "planted.json"
BLOCK = 2**16
"""Rows that are copied at a time."""


class Planted(NamedTuple):
    """Rows of which it is known how often the training set holds each; P of them, (P, L)."""

    rows: Int[np.ndarray, "P L"]
    repeats: Int[np.ndarray, "P"]
    """copies of each in the training set; 0 for those that are left out to compare with"""


def write_order(data: Dataset, order: int) -> None:
    """Write the training rows of a data folder in another order beside them, unless that is there;
    order 0 is the one they have."""
    folder = _folder(data)
    if not order or _rows_file(folder, order).is_file():
        return
    shuffle = np.random.default_rng([order, 1]).permutation(len(data.train))
    if data.origins is not None:
        # First, since it is the rows that say whether an order is there.
        documents = functools.partial(_copy, data.origins.train, shuffle)
        write_atomically(_documents_file(folder, order), documents)
    write_atomically(_rows_file(folder, order), functools.partial(_copy, data.train, shuffle))


def ordered(data: Dataset, order: int) -> Dataset:
    """The same data with its training rows in another order.

    Raises:
        AttractorError: if that has not been written.
    """
    if not order:
        return data
    folder = _folder(data)
    rows, origins = open_rows(_rows_file(folder, order)), data.origins
    if origins is not None:
        documents = np.load(_documents_file(folder, order), mmap_mode="r", allow_pickle=False)
        origins = origins._replace(train=documents)
    return data._replace(train=rows, origins=origins)


def planted(train: np.ndarray, repeat: Sequence[int], rows: int) -> Planted:
    """The rows that are repeated: so many for each number of copies, and as many for none.

    They are the last ones of the shuffled corpus, and so the same at every training-set size; which
    of them are repeated how often is as random as their order.
    """
    repeats = np.tile([0, *sorted(repeat)], rows)
    return Planted(np.array(train[-len(repeats) :]), repeats)


def training_set(
    train: np.ndarray, n: int, repeat: Sequence[int] = (), rows: int = 0
) -> Int[np.ndarray, "n L"]:
    """The first n rows; where rows are repeated, their copies stand in the last places, and it is a
    new matrix in memory.

    Args:
        train: shuffled rows of the corpus.
        n: rows of the training set, copies included.
        repeat: numbers of copies.
        rows: rows that are repeated each of these numbers of times.

    Raises:
        AttractorError: if there are fewer rows, or too few for those that are repeated.
    """
    if not repeat:
        return prefix(train, n)
    natural, held = n - rows * sum(repeat), rows * (len(repeat) + 1)
    if len(train) < held + natural:
        raise AttractorError(
            f"n_train = {n} with {n - natural:,} copies takes {natural:,} rows beside the {held:,} "
            f"of repeat_rows = {rows}, and the corpus has {len(train):,}"
        )
    again = planted(train, repeat, rows)
    return np.concatenate([prefix(train, natural), np.repeat(*again, axis=0)])


def list_planted(data: Dataset, orders: Sequence[int], repeat: Sequence[int], rows: int) -> None:
    """Write planted.json into a data folder: which rows are repeated, and how often.

    Raises:
        AttractorError: if the corpus has fewer rows.
    """
    n, held = len(data.train), rows * (len(repeat) + 1)
    if n < held:
        raise AttractorError(
            f"repeat_rows = {rows} for {len(repeat)} numbers of copies and for none are {held} "
            f"rows, and the corpus has {n}"
        )
    listed = []
    for order in orders:
        found = planted(ordered(data, order).train, repeat, rows)
        for i, (ids, copies) in enumerate(zip(found.rows, found.repeats.tolist(), strict=True)):
            text = data.tokenizer.decode(ids.tolist())
            listed.append({"order": order, "row": n - held + i, "repeats": copies, "text": text})
    content = json.dumps({"schema": 1, "rows": listed}, indent=1)
    write_atomically(_folder(data) / PLANTED, content)


def _folder(data: Dataset) -> Path:
    return Path(str(data.train.filename)).parent


def _rows_file(folder: Path, order: int) -> Path:
    return folder / f"train-order-{order}.npy"


def _documents_file(folder: Path, order: int) -> Path:
    return folder / f"train-order-{order}-{DOCUMENTS}"


def _copy(table: np.ndarray, order: np.ndarray, path: Path) -> None:
    out = np.lib.format.open_memmap(path, mode="w+", dtype=table.dtype, shape=table.shape)
    for start in range(0, len(table), BLOCK):
        out[start : start + BLOCK] = table[order[start : start + BLOCK]]
    out.flush()

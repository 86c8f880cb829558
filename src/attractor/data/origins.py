"""Where rows come from: the document of each row, and the group of documents, such as a book, that
it is of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.data.packing import save_array
from attractor.machine.files import write_atomically
from attractor.types import AttractorError

DOCUMENTS, GROUPS = "documents.npy", "groups.json"
TRAIN_DOCUMENTS, TEST_DOCUMENTS = f"train-{DOCUMENTS}", f"test-{DOCUMENTS}"
UNKNOWN = -1
"""Group of a document that has none."""
Indices = NDArray[np.int64]


class Grouping(NamedTuple):
    """Which group each document of a source is of."""

    kind: str
    """what a group is: book, file, or the name of a column; empty where a source has none"""
    of: Mapping[str, str]
    """from the text of a document to the name of its group; who is not in it has none"""

    @property
    def names(self) -> list[str]:
        """The names of all groups, in the order of the source."""
        return list(dict.fromkeys(self.of.values()))

    def numbers(self, documents: Sequence[str]) -> Indices:
        """The number of each document's group, its place in `names`."""
        places = {name: i for i, name in enumerate(self.names)}
        found = (self.of.get(document) for document in documents)
        return np.array([places[f] if f is not None else UNKNOWN for f in found], np.int64)


class Origins(NamedTuple):
    """Where the rows of a data folder come from: of each row the number of its document, among the
    training or among the unseen ones, and that of its group, (N, 2)."""

    train: Int[np.ndarray, "N 2"]
    test: Int[np.ndarray, "M 2"]
    kind: str
    """as in `Grouping`"""
    names: list[str]
    """of the groups, by their numbers"""


def owners(tokens: Sequence[int] | Indices, chunk: int) -> Indices:
    """Which document each row is of: that of most of its tokens, and of two the first.

    Args:
        tokens: of each document, in the order in which they are packed, EOS included.
        chunk: tokens of text in a row.

    Returns:
        Places in `tokens`, one for each full row.
    """
    ends = np.cumsum(np.asarray(tokens, np.int64))
    n = int(ends[-1]) // chunk if len(ends) else 0
    # Cut where a row ends and where a document does: pieces of one row and one document each.
    cuts = np.unique(np.concatenate([ends[ends < n * chunk], np.arange(n + 1) * chunk]))
    row, size = cuts[:-1] // chunk, np.diff(cuts)
    document = np.searchsorted(ends, cuts[:-1], side="right")
    order = np.lexsort((document, -size, row))
    first = np.unique(row[order], return_index=True)[1]
    return document[order][first]


def write_documents(path: Path, documents: Indices, groups: Indices | None, seed: int) -> None:
    """Save the document and the group of each row, in the order in which `write_rows` shuffles the
    rows.

    Args:
        path: of the file.
        documents: document of each packed row.
        groups: group of each document; None where the source has none.
        seed: that of the rows.
    """
    of = np.full(len(documents), UNKNOWN, np.int64) if groups is None else groups[documents]
    table = np.random.default_rng(seed).permutation(np.stack([documents, of], 1))
    write_atomically(path, lambda partial: save_array(partial, table))


def write_grouping(folder: Path, kind: str = "", names: Sequence[str] = ()) -> None:
    """Save what the groups of a data folder are called."""
    write_atomically(folder / GROUPS, json.dumps({"kind": kind, "names": list(names)}))


def read_origins(train: Path, test: Path) -> Origins | None:
    """Where the rows of two files come from; None for those that an earlier version made."""
    if not (train.is_file() and test.is_file() and (train.parent / GROUPS).is_file()):
        return None
    told = json.loads((train.parent / GROUPS).read_text())
    rows, unseen = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (train, test))
    return Origins(rows, unseen, told["kind"], told["names"])


def require_useful(grouping: Grouping, what: str, documents: Sequence[str]) -> None:
    """Raise AttractorError where a column that was named groups nothing.

    Args:
        grouping: made of that column.
        what: the setting that asks for groups, with its value.
        documents: all of them, copies left out.
    """
    values = [grouping.of.get(document) for document in documents]
    different = set(values) - {None}
    if len(different) == 1:
        raise AttractorError(f"{what}: all documents are of one group, {different.pop()!r}")
    if len(different) == sum(value is not None for value in values):
        raise AttractorError(
            f"{what}: each of its {len(different)} groups has one document, so it groups nothing"
        )

"""Arrays on disk: blocks of one measurement on one kind of text, written one at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attractor.machine.files import write_atomically
from attractor.results.files import TOKENS, told

Key = tuple[str, str, float | None, float | None]
"""Names a block: measurement, split, t and at."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Arrays of one measurement on the sequences of one split; what it does not have is None."""

    measurement: str
    """what corrupts, such as recovery, has tokens before, between and after; everything else has
    values: one for each token, for each sequence, or for each time along the path"""
    split: str
    t: float | None = None
    at: float | None = None
    original: np.ndarray
    """(N, L)"""
    corrupted: np.ndarray | None = None
    """(R, N, L)"""
    recovered: np.ndarray | None = None
    """(R, N, L)"""
    value: np.ndarray | None = None
    """(N, K)"""
    frozen: np.ndarray | None = None
    """tokens that never moved and are counted nowhere, (N, L), where there are any; their values
    are NaN"""
    origin: np.ndarray | None = None
    """document and group of each sequence, (N, 2), where they are known; a group of -1 is none"""

    def joined(self, others: Sequence[Block]) -> Block:
        """The same with the sequences of others behind its own; all of them hold values, and no
        tokens that are frozen."""
        values = [block.value for block in (self, *others) if block.value is not None]
        return dataclasses.replace(
            self,
            original=np.concatenate([block.original for block in (self, *others)]),
            value=np.concatenate(values),
        )


_IDS, _VALUES = pa.list_(pa.int32()), pa.list_(pa.float32())
TOKEN_TYPES = pa.schema(
    [
        ("measurement", pa.string()),
        ("split", pa.string()),
        ("t", pa.float64()),
        ("at", pa.float64()),
        ("repeat", pa.int32()),
        ("row", pa.int64()),
        ("original", _IDS),
        ("corrupted", _IDS),
        ("recovered", _IDS),
        ("value", _VALUES),
        ("document", pa.int64()),
        ("group", pa.int64()),
        ("frozen", pa.list_(pa.bool_())),
    ]
)
"""Columns of tokens.parquet."""


def write_tokens(
    folder: Path,
    blocks: Iterable[Block],
    keep: bool = False,
    made: dict[str, Any] | None = None,
) -> None:
    """Write tokens.parquet, each block as it comes, so that no more than one is held in memory.

    Args:
        folder: where.
        blocks: what was measured.
        keep: also keep the blocks that are there already, but for those that are measured anew.
        made: how all that the file then holds was made, which it tells itself: whatever happens
            next, arrays and what is said of them are of one moment.
    """

    def write(path: Path) -> None:
        written = set()
        with pq.ParquetWriter(path, told(TOKEN_TYPES, made), compression="zstd") as writer:
            for block in blocks:
                written.add((block.measurement, block.split, block.t, block.at))
                writer.write_table(_table(block))
            # The old file is still there: the new one takes its place when it is whole.
            for group in _groups(folder / TOKENS) if keep else ():
                if _place(group) not in written:
                    writer.write_table(group)

    write_atomically(folder / TOKENS, write)


def _place(group: pa.Table) -> Key:
    """Which block the rows of a group are of, as the first of them says."""
    first = group.slice(0, 1).to_pylist()[0]
    return first["measurement"], first["split"], first["t"], first["at"]


def _groups(file: Path) -> Iterator[pa.Table]:
    """The row groups of tokens.parquet, one at a time.

    Every block was written by itself, so it makes row groups of its own, one or, if it is long,
    several. No group holds rows of two blocks, which is why groups can be kept or left out whole.
    """
    with pq.ParquetFile(file) as parquet:
        for i in range(parquet.num_row_groups):
            yield _completed(parquet.read_row_group(i)).cast(TOKEN_TYPES)


def _completed(table: pa.Table) -> pa.Table:
    """A table of an earlier version with the columns that have come since then, empty."""
    for field in TOKEN_TYPES:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(TOKEN_TYPES.names)


def _table(block: Block) -> pa.Table:
    """A block as rows of tokens.parquet: one for each sequence, and that for each repeat."""
    repeats = 1 if block.recovered is None else len(block.recovered)
    n = len(block.original)
    columns = {}
    for name in ("measurement", "split", "t", "at"):
        value = pa.scalar(getattr(block, name), TOKEN_TYPES.field(name).type)
        columns[name] = pa.repeat(value, repeats * n)
    columns["repeat"] = pa.array(np.arange(repeats, dtype=np.int32).repeat(n))
    columns["row"] = pa.array(np.tile(np.arange(n), repeats))
    columns["original"] = _lists(np.tile(block.original, (repeats, 1)), _IDS)
    for name in ("corrupted", "recovered", "value"):
        values = getattr(block, name)
        kind = TOKEN_TYPES.field(name).type
        columns[name] = pa.nulls(repeats * n, kind) if values is None else _lists(values, kind)
    kind = TOKEN_TYPES.field("frozen").type
    columns["frozen"] = (
        pa.nulls(repeats * n, kind)
        if block.frozen is None
        else _lists(np.tile(block.frozen, (repeats, 1)), kind)
    )
    for i, name in enumerate(("document", "group")):
        kind = TOKEN_TYPES.field(name).type
        columns[name] = (
            pa.nulls(repeats * n, kind)
            if block.origin is None
            else pa.array(np.tile(block.origin[:, i], repeats), kind)
        )
    return pa.table(columns, schema=TOKEN_TYPES)


def _lists(values: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """The last axis of an array as lists, without a detour over Python objects."""
    width = values.shape[-1]
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, width), pa.int32()), flat)

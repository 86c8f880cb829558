"""What was measured, on disk: one table of numbers with intervals, one of per-token arrays, both
versioned."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import attractor
from attractor.machine.files import write_atomically
from attractor.results.estimate import Groups
from attractor.results.outcomes import Outcomes
from attractor.types import AttractorError

SCHEMA = 2
MADE = b"made"
"""Key under which a file tells how its content was made."""
RESULTS, TOKENS = "results.parquet", "tokens.parquet"


def code_version() -> str:
    """Version of the installed package."""
    return attractor.__version__


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where numbers come from; carried by every row."""

    schema: int = SCHEMA
    version: str = dataclasses.field(default_factory=code_version)
    config_hash: str
    n_train: int
    seed: int
    tokenizer: str = ""
    """fingerprint of the tokenizer"""
    noise_seed: int = 0
    """seed of the noise of the probes"""
    data_seed: int = 0
    """order of the training rows"""
    denormals: str = ""
    """"flushed" to zero while the numbers were made; empty where that was left to the machine"""


class Replicate(NamedTuple):
    """What tells one training run from others of the same model and training-set size.

    Runs of one data seed have the same training rows, and runs of one seed the same weights at the
    start: see `analysis.statistics.replicate_reach` for what this leaves of their number.
    """

    data_seed: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number, with its 95% interval over sequences."""

    split: str
    """train, test, random or generated"""
    t: float | None
    """corruption time, or time along a path, where the measurement has one"""
    at: float | None = None
    """where on its own axis a point of a profile lies: nats of a density, corrupted share, steps of
    the grid"""
    measurement: str
    value: float
    low: float | None = None
    high: float | None = None
    """None where a number has no honest interval, such as a distance, which is compared with
    chance"""
    sequences: int
    """sequences behind the number"""
    groups: int | None = None
    """groups of these sequences, such as books; this and the next three are None where rows are of
    no known group, or the number is no mean over sequences"""
    icc: float | None = None
    """intraclass correlation; None where it cannot be estimated"""
    design_effect: float | None = None
    """by how much groups make the variance of the mean larger; None as above"""
    by_group: bool | None = None
    """whether the interval resamples groups, and not sequences"""

    def ends(self) -> tuple[float, float]:
        """The interval.

        Raises:
            AttractorError: if it has none.
        """
        if self.low is None or self.high is None:
            raise AttractorError(f"{self.measurement} of {self.split} has no interval")
        return self.low, self.high


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
_TOKEN_TYPES = pa.schema(
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
        with pq.ParquetWriter(path, _told(_TOKEN_TYPES, made), compression="zstd") as writer:
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
            yield _completed(parquet.read_row_group(i)).cast(_TOKEN_TYPES)


def _completed(table: pa.Table) -> pa.Table:
    """A table of an earlier version with the columns that have come since then, empty."""
    for field in _TOKEN_TYPES:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(_TOKEN_TYPES.names)


def write_rows(
    folder: Path,
    rows: Iterable[Row],
    provenance: Provenance,
    made: dict[str, Any] | None = None,
) -> None:
    """Write results.parquet; every row carries schema, code version, config hash and seeds.

    It is to be written after tokens.parquet: a run that has it counts as measured. `made` is that
    of the arrays from which the numbers come.
    """
    stamp = dataclasses.asdict(provenance)
    table = pa.Table.from_pylist([{**stamp, **dataclasses.asdict(row)} for row in rows])
    # Columns that may be empty throughout, which pyarrow could not tell a type from.
    kinds = {"groups": pa.int64(), "icc": pa.float64(), "design_effect": pa.float64()}
    kinds |= {"by_group": pa.bool_()}
    fields = [field.with_type(kinds.get(field.name, field.type)) for field in table.schema]
    table = table.cast(_told(pa.schema(fields), made))
    write_atomically(folder / RESULTS, lambda path: pq.write_table(table, path))


def _told(schema: pa.Schema, made: dict[str, Any] | None) -> pa.Schema:
    return schema if made is None else schema.with_metadata({MADE: json.dumps(made)})


def made_of(table: Path) -> dict[str, Any] | None:
    """How what one of the two files holds was made, None if it does not tell, as those of earlier
    versions.

    Raises:
        AttractorError: if it is damaged.
    """
    try:
        told = (pq.read_schema(table).metadata or {}).get(MADE)
        return None if told is None else dict(json.loads(told))
    except (OSError, pa.ArrowInvalid, ValueError, RecursionError) as error:
        raise _damaged(table, error) from None


def _table(block: Block) -> pa.Table:
    """A block as rows of tokens.parquet: one for each sequence, and that for each repeat."""
    repeats = 1 if block.recovered is None else len(block.recovered)
    n = len(block.original)
    columns = {}
    for name in ("measurement", "split", "t", "at"):
        value = pa.scalar(getattr(block, name), _TOKEN_TYPES.field(name).type)
        columns[name] = pa.repeat(value, repeats * n)
    columns["repeat"] = pa.array(np.arange(repeats, dtype=np.int32).repeat(n))
    columns["row"] = pa.array(np.tile(np.arange(n), repeats))
    columns["original"] = _lists(np.tile(block.original, (repeats, 1)), _IDS)
    for name in ("corrupted", "recovered", "value"):
        values = getattr(block, name)
        kind = _TOKEN_TYPES.field(name).type
        columns[name] = pa.nulls(repeats * n, kind) if values is None else _lists(values, kind)
    kind = _TOKEN_TYPES.field("frozen").type
    columns["frozen"] = (
        pa.nulls(repeats * n, kind)
        if block.frozen is None
        else _lists(np.tile(block.frozen, (repeats, 1)), kind)
    )
    for i, name in enumerate(("document", "group")):
        kind = _TOKEN_TYPES.field(name).type
        columns[name] = (
            pa.nulls(repeats * n, kind)
            if block.origin is None
            else pa.array(np.tile(block.origin[:, i], repeats), kind)
        )
    return pa.table(columns, schema=_TOKEN_TYPES)


def _lists(values: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """The last axis of an array as lists, without a detour over Python objects."""
    width = values.shape[-1]
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, width), pa.int32()), flat)


Key = tuple[str, str, float | None, float | None]
"""Names a block: measurement, split, t and at."""


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """The arrays of one model, by measurement, kind of text and time."""

    tokens: pa.Table
    resample: str = "auto"
    """what intervals are to resample, see `ProbeConfig.resample`"""

    def has(self, measurement: str, split: str) -> bool:
        """Whether a measurement was made on a kind of text."""
        return (measurement, split) in self._names

    @functools.cached_property
    def _names(self) -> set[tuple[str, str]]:
        return {(measurement, split) for measurement, split, _, _ in self._blocks}

    @functools.cached_property
    def _blocks(self) -> dict[Key, pa.Table]:
        """The rows of each block in order, found once: numbers ask for them hundreds of times."""
        keys = [self.tokens[name].to_pylist() for name in ("measurement", "split", "t", "at")]
        rows: dict[Key, list[int]] = {}
        for i, key in enumerate(zip(*keys, strict=True)):
            rows.setdefault(key, []).append(i)
        # Arrays are given their shape by this order.
        order = [("repeat", "ascending"), ("row", "ascending")]
        return {key: self.tokens.take(found).sort_by(order) for key, found in rows.items()}

    def places(self, measurement: str) -> list[tuple[float, float | None]]:
        """The (t, at) at which something that depends on a corruption time was measured."""
        named = (key for key in self._blocks if key[0] == measurement)
        return sorted({(t, at) for _, _, t, at in named if t is not None})

    def array(
        self,
        column: str,
        measurement: str,
        split: str,
        t: float | None = None,
        at: float | None = None,
    ) -> np.ndarray:
        """A column of one block as (repeats, sequences, K).

        Raises:
            AttractorError: if it was not measured.
        """
        found = self._blocks.get((measurement, split, t, at))
        if found is None:
            raise AttractorError(f"the run has no {measurement} for split {split} at t = {t}")
        repeats = len(pc.unique(found["repeat"]))
        values = np.array(found[column].combine_chunks().flatten())
        return values.reshape(repeats, len(found) // repeats, -1)

    def values(self, measurement: str, split: str) -> np.ndarray:
        """Values as (sequences, K) in double precision."""
        return self.array("value", measurement, split)[0].astype(np.float64)

    def groups(
        self, measurement: str, split: str, t: float | None = None, at: float | None = None
    ) -> Groups | None:
        """Which sequences of a block belong together: those of one group, and where there is none,
        of one document; None where neither is known.

        Without a `t` that of any time, since it is the same at all.
        """
        keys = ((measurement, split, t, at), *self._blocks)
        named = (k for k in keys if k in self._blocks and k[:2] == (measurement, split))
        found = self._blocks[next(named)]
        first = found.filter(pc.equal(found["repeat"], 0))
        if first["group"].null_count:
            return None
        origin = np.stack([first[name].to_numpy() for name in ("document", "group")], 1)
        return Groups.of_rows(origin, self.resample)

    def per_sequence(self, measurement: str, split: str) -> np.ndarray:
        """Mean value of each sequence, (sequences,), without tokens that are frozen."""
        return counted_mean(self.per_token(measurement, split))

    def per_token(self, measurement: str, split: str) -> np.ndarray:
        """Values of every token, (sequences, L), in double precision, those of frozen ones
        masked."""
        values, frozen = self.values(measurement, split), self.frozen(measurement, split)
        if frozen is None or values.shape != frozen.shape:
            return values
        return np.ma.masked_array(values, frozen)

    def frozen(
        self, measurement: str, split: str, t: float | None = None, at: float | None = None
    ) -> np.ndarray | None:
        """Which tokens of a block with outcomes never moved, (sequences, L); None where all may."""
        if self._blocks[measurement, split, t, at]["frozen"].null_count:
            return None
        return self.array("frozen", measurement, split, t, at)[0]

    def lengths(self, measurement: str, split: str) -> np.ndarray:
        """How many tokens of each sequence are text, (sequences,)."""
        tokens = self.array("original", measurement, split)[0]
        frozen = self.frozen(measurement, split)
        full = np.full(len(tokens), tokens.shape[1])
        return full if frozen is None else full - frozen.sum(1)

    def outcomes(
        self, split: str, t: float, measurement: str = "recovery", at: float | None = None
    ) -> Outcomes[np.ndarray]:
        """What became of each token when corrupted at t."""
        original, corrupted, recovered = (
            self.array(column, measurement, split, t, at)
            for column in ("original", "corrupted", "recovered")
        )
        frozen = self.frozen(measurement, split, t, at)
        return Outcomes(original[0], corrupted, recovered, frozen)


def counted_mean(values: np.ndarray) -> np.ndarray:
    """Mean of each row without what is masked, as frozen tokens are; NaN where all of it is."""
    means: np.ndarray = np.ma.filled(values.mean(1), np.nan)
    return means


def read_arrays(folder: Path) -> Arrays:
    """Read tokens.parquet.

    Raises:
        AttractorError: if it is not there or damaged.
    """
    try:
        tokens = pq.read_table(folder / TOKENS, schema=_TOKEN_TYPES)
        told = made_of(folder / TOKENS) or {}
        return Arrays(tokens=tokens, resample=told.get("resample", "auto"))
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(folder / TOKENS, error) from None


def _damaged(table: Path, error: Exception) -> AttractorError:
    """What to say of a table that cannot be read, and what to do."""
    if not table.exists():
        return AttractorError(f"'{table.parent}' holds no finished run: there is no {table.name}")
    reason = str(error).strip().splitlines()[0]
    return AttractorError(
        f"'{table}' is damaged ({reason}); delete it, and the run's own command measures it again"
    )


def torn_results(folder: Path) -> Path | None:
    """The table of a run with results that is missing or cut short; None if both are whole, or
    nothing was measured.

    Only their last bytes are looked at: a table ends with its footer, without which nothing of it
    can be read.
    """
    if not (folder / RESULTS).is_file():
        return None
    files = (folder / name for name in (RESULTS, TOKENS))
    return next((file for file in files if not _has_footer(file)), None)


def _has_footer(table: Path) -> bool:
    try:
        pq.read_metadata(table)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class RunResults(Arrays):
    """The results of one run, read back."""

    provenance: Provenance
    rows: list[Row]

    @property
    def replicate(self) -> Replicate:
        """Which of the runs of its size it is."""
        return Replicate(self.provenance.data_seed, self.provenance.seed)

    def row(self, split: str, measurement: str, t: float | None = None) -> Row:
        """The one row of a measurement on a kind of text, at a time.

        Raises:
            AttractorError: if it was not measured.
        """
        found = self._find(split, measurement, t)
        if found is None:
            raise AttractorError(f"the run has no {measurement} for split {split} at t = {t}")
        return found

    def value(self, split: str, measurement: str, t: float | None = None) -> float | None:
        """The number in that row, or None where it was not measured."""
        found = self._find(split, measurement, t)
        return None if found is None else found.value

    def _find(self, split: str, measurement: str, t: float | None) -> Row | None:
        # Points on an axis of their own, which have an `at`, are many of one name.
        wanted = (split, measurement, t, None)
        rows = (row for row in self.rows if (row.split, row.measurement, row.t, row.at) == wanted)
        return next(rows, None)

    def times(self) -> list[float]:
        """Corruption times at which recovery was measured."""
        return sorted(
            {row.t for row in self.rows if row.measurement == "recovery_rate" and row.t is not None}
        )


def read_results(folder: Path) -> RunResults:
    """Read the results of a finished run.

    Raises:
        AttractorError: if there are none or they are of another schema.
    """
    try:
        records = pq.read_table(folder / RESULTS).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(folder / RESULTS, error) from None
    stamps = [field.name for field in dataclasses.fields(Provenance)]
    found = records[0].get("schema") if records else None
    if found != SCHEMA:
        raise AttractorError(
            f"the results in '{folder}' are of schema {found}, and only {SCHEMA} can be read"
        )
    # The stamp is the same in every row.
    there = [name for name in stamps if name in records[0]]  # others have come since
    provenance = Provenance(**{name: records[0][name] for name in there})
    rows = [
        Row(**{key: value for key, value in record.items() if key not in stamps})
        for record in records
    ]
    arrays = read_arrays(folder)
    return RunResults(
        provenance=provenance, rows=rows, tokens=arrays.tokens, resample=arrays.resample
    )


def measured_names(folder: Path) -> set[str]:
    """The quantities of which a finished run has numbers."""
    try:
        column = pq.read_table(folder / RESULTS, columns=["measurement"])["measurement"]
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(folder / RESULTS, error) from None
    return set(column.unique().to_pylist())


def array_names(folder: Path) -> set[tuple[str, str]]:
    """Measurement and kind of text of each array of a set.

    Raises:
        AttractorError: if they are not there or damaged.
    """
    try:
        columns = pq.read_table(folder / TOKENS, columns=["measurement", "split"])
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(folder / TOKENS, error) from None
    distinct = columns.group_by(["measurement", "split"]).aggregate([]).to_pylist()
    return {(found["measurement"], found["split"]) for found in distinct}


def require_joinable(runs: Sequence[RunResults]) -> None:
    """Refuse to put results side by side that were not measured alike.

    Raises:
        AttractorError: naming the first field in which two of them differ.
    """
    for field in ("schema", "tokenizer", "noise_seed"):
        found = list(dict.fromkeys(getattr(run.provenance, field) for run in runs))
        if len(found) > 1:
            raise AttractorError(
                f"results of different {field} cannot be joined: {found[0]} and {found[1]}"
            )

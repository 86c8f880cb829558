"""What was measured, on disk: one table of numbers with intervals, one of per-token arrays, both
versioned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

import attractor
from attractor.machine.files import write_atomically
from attractor.results.arrays import Arrays, array_names, counted_mean, read_arrays
from attractor.results.blocks import Block, Key, write_tokens
from attractor.results.files import RESULTS, TOKENS, damaged, made_of, told, torn_results
from attractor.types import AttractorError

__all__ = [
    "RESULTS",
    "TOKENS",
    "Arrays",
    "Block",
    "Key",
    "Provenance",
    "Replicate",
    "Row",
    "RunResults",
    "array_names",
    "code_version",
    "counted_mean",
    "made_of",
    "measured_names",
    "read_arrays",
    "read_results",
    "require_joinable",
    "torn_results",
    "write_rows",
    "write_tokens",
]

SCHEMA = 2


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
    start: see `analysis.training_runs.replicate_reach` for what this leaves of their number.
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
    table = table.cast(told(pa.schema(fields), made))
    write_atomically(folder / RESULTS, lambda path: pq.write_table(table, path))


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
        raise damaged(folder / RESULTS, error) from None
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
        raise damaged(folder / RESULTS, error) from None
    return set(column.unique().to_pylist())


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

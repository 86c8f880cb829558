"""What was measured, on disk: one table of numbers with intervals, one of per-token arrays, both versioned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from attractor.files import write_atomically
from attractor.outcomes import Outcomes
from attractor.types import AttractorError

SCHEMA = 1
RESULTS, TOKENS = "results.parquet", "tokens.parquet"


def code_version() -> str:
    """Version of the installed package."""
    try:
        return version("attractor")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where numbers come from; carried by every row."""

    schema: int = SCHEMA
    version: str = dataclasses.field(default_factory=code_version)
    config_hash: str
    n_train: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number with its 95% interval over sequences."""

    split: str
    """train, test, random or generated"""
    t: float | None
    """corruption time, where the measurement has one"""
    measurement: str
    value: float
    low: float
    high: float
    sequences: int
    """sequences behind the interval"""


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """Per-token arrays of one sequence; what a measurement does not have is None."""

    measurement: str
    """recovery (tokens before, between and after), entropy or nelbo (nats), fixed_point (1 where the token stays)"""
    split: str
    t: float | None = None
    repeat: int = 0
    row: int
    original: np.ndarray
    corrupted: np.ndarray | None = None
    recovered: np.ndarray | None = None
    value: np.ndarray | None = None


_IDS, _VALUES = pa.list_(pa.int32()), pa.list_(pa.float32())
_TOKEN_TYPES = pa.schema(
    [("measurement", pa.string()), ("split", pa.string()), ("t", pa.float64()), ("repeat", pa.int32()),
     ("row", pa.int64()), ("original", _IDS), ("corrupted", _IDS), ("recovered", _IDS), ("value", _VALUES)]
)  # fmt: skip


def write_results(folder: Path, rows: Iterable[Row], tokens: Iterable[TokenRow], provenance: Provenance) -> None:
    """Write results.parquet and tokens.parquet; every row carries schema, code version, config hash and seed."""
    stamp = dataclasses.asdict(provenance)
    table = pa.Table.from_pylist([{**stamp, **dataclasses.asdict(row)} for row in rows])
    fields = [field.name for field in dataclasses.fields(TokenRow)]
    token_table = pa.Table.from_pylist(
        [{name: getattr(row, name) for name in fields} for row in tokens], schema=_TOKEN_TYPES
    )
    write_atomically(folder / TOKENS, lambda path: pq.write_table(token_table, path, compression="zstd"))
    write_atomically(folder / RESULTS, lambda path: pq.write_table(table, path))  # last: a run that has it is finished


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of one run, read back."""

    provenance: Provenance
    rows: list[Row]
    tokens: pa.Table

    def row(self, split: str, measurement: str, t: float | None = None) -> Row:
        """The one row of that name.

        Raises:
            AttractorError: if it was not measured.
        """
        for row in self.rows:
            if (row.split, row.measurement, row.t) == (split, measurement, t):
                return row
        raise AttractorError(f"the run has no {measurement} for split {split} at t = {t}")

    def value(self, split: str, measurement: str, t: float | None = None) -> float | None:
        """The number of that name, or None where it was not measured."""
        found = [row.value for row in self.rows if (row.split, row.measurement, row.t) == (split, measurement, t)]
        return found[0] if found else None

    def times(self) -> list[float]:
        """Corruption times at which recovery was measured."""
        return sorted({row.t for row in self.rows if row.measurement == "recovery_rate" and row.t is not None})

    def array(self, column: str, measurement: str, split: str, t: float | None = None) -> np.ndarray:
        """A per-token column as (repeats, sequences, L)."""
        same_t = pc.is_null(pc.field("t")) if t is None else pc.field("t") == t
        chosen = (pc.field("measurement") == measurement) & (pc.field("split") == split) & same_t
        found = self.tokens.filter(chosen).sort_by([("repeat", "ascending"), ("row", "ascending")])
        if not len(found):
            raise AttractorError(f"the run has no {measurement} for split {split} at t = {t}")
        repeats = len(pc.unique(found["repeat"]))
        values = np.stack(found[column].to_numpy())
        return values.reshape(repeats, len(found) // repeats, -1)

    def outcomes(self, split: str, t: float) -> Outcomes[np.ndarray]:
        """What became of each token when corrupted at t."""
        original, corrupted, recovered = (
            self.array(column, "recovery", split, t) for column in ("original", "corrupted", "recovered")
        )
        return Outcomes(original[0], corrupted, recovered)


def read_results(folder: Path) -> RunResults:
    """Read the results of a finished run.

    Raises:
        AttractorError: if there are none or they are of another schema.
    """
    try:
        records = pq.read_table(folder / RESULTS).to_pylist()
        tokens = pq.read_table(folder / TOKENS)
    except (OSError, pa.ArrowInvalid) as error:
        raise AttractorError(f"'{folder}' holds no finished run: {error}") from None
    stamps = [field.name for field in dataclasses.fields(Provenance)]
    if not records or records[0].get("schema") != SCHEMA:
        raise AttractorError(f"the results in '{folder}' are not of schema {SCHEMA}")
    provenance = Provenance(**{name: records[0][name] for name in stamps})
    rows = [Row(**{key: value for key, value in record.items() if key not in stamps}) for record in records]
    return RunResults(provenance=provenance, rows=rows, tokens=tokens)

"""Arrays of a run, read back: by measurement, kind of text and time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from attractor.results.blocks import TOKEN_TYPES, Key
from attractor.results.estimate import Groups
from attractor.results.files import TOKENS, damaged, made_of
from attractor.results.outcomes import Outcomes
from attractor.types import AttractorError


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
        tokens = pq.read_table(folder / TOKENS, schema=TOKEN_TYPES)
        told = made_of(folder / TOKENS) or {}
        return Arrays(tokens=tokens, resample=told.get("resample", "auto"))
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(folder / TOKENS, error) from None


def array_names(folder: Path) -> set[tuple[str, str]]:
    """Measurement and kind of text of each array of a set.

    Raises:
        AttractorError: if they are not there or damaged.
    """
    try:
        columns = pq.read_table(folder / TOKENS, columns=["measurement", "split"])
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(folder / TOKENS, error) from None
    distinct = columns.group_by(["measurement", "split"]).aggregate([]).to_pylist()
    return {(found["measurement"], found["split"]) for found in distinct}

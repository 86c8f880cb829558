"""Numbers as one tidy pandas table: a row for each, a column for each thing that tells it apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from attractor.measurements import declares, quantity
from attractor.report.view import Measured
from attractor.results.tables import Row, RunResults

COLUMNS = {
    "model": "name of the model's shape, in a sweep of several; empty otherwise",
    "n_train": "rows of the training set",
    "seed": "seed of training",
    "data_seed": "order of the training rows",
    "split": "kind of text: train, test (unseen), generated, random",
    "t": "corruption time; NaN for what does not depend on it",
    "at": "place on an axis of its own, such as nats of a density; NaN for what has none",
    "measurement": "name of the number, as in the list of numbers of the documentation",
    "unit": "its unit: share, nats, ...",
    "value": "the number",
    "low": "lower end of its 95% interval over sequences; NaN where it has no interval",
    "high": "upper end of it",
    "sequences": "sequences behind the number; 0 where that is not known",
}
"""What each column holds."""


def of_sweep(model: str, measured: Iterable[Measured]) -> pd.DataFrame:
    """The numbers of one model of a sweep."""
    return _table(_from_sweep(model, measured))


def of_run(results: RunResults) -> pd.DataFrame:
    """The numbers of one run."""
    stamp = results.provenance
    return _table(
        ("", stamp.n_train, stamp.seed, stamp.data_seed, *_numbers(row)) for row in results.rows
    )


def _from_sweep(model: str, measured: Iterable[Measured]) -> Iterator[tuple[Any, ...]]:
    for m in measured:
        yield (
            model,
            int(m.n_train),
            m.seed,
            m.data_seed,
            m.split,
            m.t,
            m.at,
            m.measurement,
            _unit(m.measurement),
            m.estimate.value,
            m.estimate.low,
            m.estimate.high,
            m.estimate.n,
        )


def _numbers(row: Row) -> tuple[Any, ...]:
    return (
        row.split,
        row.t,
        row.at,
        row.measurement,
        _unit(row.measurement),
        row.value,
        row.low,
        row.high,
        row.sequences,
    )


def _unit(name: str) -> str:
    return quantity(name).unit.name if declares(name) else ""


def _table(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=list(COLUMNS))
    # Columns that are empty throughout would be of no type.
    floats = ["t", "at", "value", "low", "high"]
    return made.astype(dict.fromkeys(floats, float))

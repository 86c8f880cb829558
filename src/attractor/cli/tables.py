"""What was measured and what is going on, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from rich.table import Column, Table

from attractor.analysis.advantage import basin_advantage
from attractor.api.headline import HEAD, headline
from attractor.cli.terminal import out, say
from attractor.config.settings import ProbeConfig
from attractor.data.subsets import SplitCounts
from attractor.machine.units import duration
from attractor.measurements import declares, quantity
from attractor.results.estimate import FEW
from attractor.results.tables import Row, RunResults
from attractor.sweeps.attempt import FAILED
from attractor.sweeps.status import State, read_status

PLACES = {
    "extraction_transition": "prefix extraction",
    "entropy_transition": "entropy",
    "calibration_transition": "calibration",
    "generation_transition": "generation",
    "own_entropy_transition": "entropy of own text",
}
PEAKS = {
    "perplexity_peak": "generative perplexity",
    "validation_peak": "validation perplexity",
}
"""Keys of places in transition.json, and what they are called."""


def show_status(folder: Path) -> None:
    """What is done, running, failed and waiting in a sweep's folder, and the time left."""
    status = read_status(folder)
    table = Table("run", "model", "state", "step", "left", box=None)
    for run, state, line, left in status.runs:
        step = "" if line is None else f"{line.step:,} of {run.config.train.steps:,}"
        table.add_row(run.run_id, run.title, state, step, "" if left is None else duration(left))
    out.print(table)
    counts = ", ".join(f"{status.count(state)} {state}" for state in get_args(State))
    waits = "unknown"
    if (seconds := status.seconds_left) is not None:
        at_a_time = max(1, status.count("running"))
        waits = f"{duration(seconds)} left with {at_a_time} at a time"
    say(f"{counts}; time left: {waits}")
    for run, state, _, _ in status.runs:
        if state == "failed":
            say(f"failed: {run.title}, see {folder / run.run_id / FAILED}")


def note_data(counts: SplitCounts, rows: int, probe: ProbeConfig) -> None:
    """What became of the corpus."""
    say(
        f"{counts.documents:,} documents: {counts.duplicates:,} exact duplicates and "
        f"{counts.near_duplicates:,} near-duplicates of test documents dropped; "
        f"{counts.train_documents:,} to train ({rows:,} rows), {counts.test_documents:,} held out; "
        f"{probe.rows} training and {probe.test_rows} unseen rows are probed"
    )


def show_transition(content: dict[str, Any], model: str = "") -> None:
    """The rows of transition.json as a table, and where the transition is."""
    first = ("recovery", "recovery_rate")
    if all(row["t"] is None for row in content["rows"]):  # without noise nothing is corrupted
        first = ("prefix", "prefix_tokens")
    measured = dict([first, ("entropy", "conditional_entropy")])
    columns = [f"{name} {split}" for name in measured for split in ("train", "test")]
    headings = (*columns[:2], "advantage", *columns[2:], "broken test")
    table = Table("n", "t", *headings, box=None, title=model or None)
    for train, test in _pairs(content["rows"]):
        cells = [
            _interval(row[quantity], *row[f"{name}_ci"])
            for name, quantity in measured.items()
            for row in (train, test)
        ]
        unstable = test["unstable_rate"]
        broken = "" if unstable is None else f"{unstable:.2f}"
        advantage = basin_advantage(*(row[first[1]] for row in (train, test)))
        cells.insert(2, f"{advantage:.2f}")
        table.add_row(
            f"{train['n_train']:,}", "" if train["t"] is None else f"{train['t']:g}", *cells, broken
        )
    out.print(table)
    for name, found in _places(content):
        say(f"{name} {_located(found)}")
    of = _runs(content["rows"])
    say(f"(places of {of}; 95% intervals over sequences unless stated; entropies in nats)")


def _runs(rows: list[dict[str, Any]]) -> str:
    """Of which training runs the places are."""
    seeds = len({row["seed"] for row in rows})
    orders = len({row.get("data_seed", 0) for row in rows})
    several = [f"{seeds} training seeds"] * (seeds > 1) + [f"{orders} orders of the data"] * (
        orders > 1
    )
    return " and ".join(several) or "this training run"


def _places(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of transition.json that was looked for, by its name."""
    for found in content["transition"]:
        yield f"t = {found['t']:g}: n*", found
    for key, name in PLACES.items():
        if content.get(key) is not None:
            yield f"{name}: n*", content[key]
    for key, name in PEAKS.items():
        if content.get(key) is not None:
            yield f"{name}: peak", {**content[key], "n_star": content[key]["n_train"]}


def show_headline(results: RunResults, title: str) -> None:
    """The handful of numbers that say most of one model."""
    table = Table(Column(HEAD[0], no_wrap=True), *HEAD[1:], title=title, box=None)
    for line in headline(results):
        table.add_row(*line)
    out.print(table)
    say("(brackets: 95% intervals over sequences)")


def show_rows(rows: list[Row], title: str) -> None:
    """Every measurement of one model."""
    columns = ("measurement", "of", "t", "value", "95% interval", "sequences", "unit")
    # In a narrow terminal it is the unit that breaks, and no name or number.
    heads = [Column(name, no_wrap=name != "unit") for name in columns]
    table = Table(*heads, title=title, box=None)
    # Of a profile, whose points have a place `at` on an axis of its own, a person wants a figure;
    # these two have a handful of points.
    shown = [row for row in rows if row.at is None or row.measurement in ("tpr", "recovery_steps")]
    for row in shown:
        t = ", ".join(f"{x:g}" for x in (row.t, row.at) if x is not None)
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        unit = quantity(row.measurement).unit.name if declares(row.measurement) else ""
        value, sequences = f"{row.value:.3f}", str(row.sequences)
        table.add_row(row.measurement, row.split, t, value, interval, sequences, unit)
    out.print(table)
    few = sum(row.sequences < FEW for row in shown)
    if few:
        say(f"{few} of these intervals rest on fewer than {FEW} sequences: take them as rough")


def _pairs(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row of training text, with that of unseen text under the same model and time."""

    def model(row: dict[str, Any]) -> tuple[Any, ...]:
        # Sweeps of earlier versions had one order of the data.
        return row["n_train"], row["seed"], row.get("data_seed", 0), row["t"]

    test = {model(row): row for row in rows if row["split"] == "test"}
    for row in rows:
        if row["split"] == "train":
            yield row, test[model(row)]


def _located(found: dict[str, Any]) -> str:
    if found["n_star"] is None:
        reason = found.get("reason") or "the curve has no half-way point inside the sizes"
        return f"not located: {reason}"
    if found["ci"] is None:
        return f"= {found['n_star']:,.0f}, without an interval: {found.get('reason')}"
    said = "= {:,.0f} [{:,.0f}, {:,.0f}]".format(found["n_star"], *found["ci"])
    if found.get("seed_ci"):
        said += ", over runs [{:,.0f}, {:,.0f}]".format(*found["seed_ci"])
    if found.get("sizes"):
        said += ", between sizes {:,.0f} and {:,.0f}".format(*found["sizes"])
    return said


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"

"""What a person sees in the terminal: progress, plans, tables."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from attractor import adapters
from attractor.audits.measure import Effort, check_effort
from attractor.audits.page import Audit, headline, standfirst
from attractor.audits.run import (
    PAGE,
    Audited,
    audit,
    texts_from_files,
    texts_of_run,
    tokenizer_beside,
    write_reference_of,
)
from attractor.config.settings import ProbeConfig, RunConfig, SweepConfig
from attractor.data.stream import Packed
from attractor.data.subsets import SplitCounts
from attractor.data.tokenizer import Tokenizer
from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes import sample
from attractor.results.estimate import FEW
from attractor.results.tables import Row, read_results
from attractor.runs.folder import read_json
from attractor.runs.measure import probe_run
from attractor.runs.run import run_alone
from attractor.sweeps.attempt import FAILED
from attractor.sweeps.devices import GPUS, UTILISATION
from attractor.sweeps.executor import Executor
from attractor.sweeps.follow import RunEvent
from attractor.sweeps.forecast import Forecast, at_a_time, forecast
from attractor.sweeps.run import config_of, measure_sweep, sweep
from attractor.sweeps.search import ADAPTIVE, most_sizes
from attractor.sweeps.second_models import add_twins
from attractor.sweeps.status import State, read_status
from attractor.sweeps.summary import TRANSITION, summary_folders
from attractor.train.state import Progress as Line
from attractor.types import AttractorError


class _Terminal(Console):
    """Of which the reader may go away: the exit code still says how it ended, and 1 is a
    verdict."""

    def on_broken_pipe(self) -> None:
        """Be silent from here on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


out = _Terminal()
WATTS = 100.0
"""Power of this machine unless stated."""


def run_sweep(
    config: SweepConfig,
    folder: Path,
    executor: Executor,
    *,
    precision: float | None,
    at_once: int,
    force: bool,
) -> None:
    """Sweep with a progress bar for each model; then the table and n_star."""
    with _bars() as bars:
        watcher = _Watcher(bars, config.train.steps)
        reports = sweep(
            config,
            folder,
            watcher,
            executor=executor,
            precision=precision,
            at_once=at_once,
            force=force,
            note=note_data,
            on_packing=_packing(bars),
        )
    if precision is not None:
        for model in read_json(folder / ADAPTIVE)["models"]:
            _say(f"{model['model']} {len(model['sizes'])} sizes: {model['reason']}".strip())
    for name, summary in summary_folders(config, folder).items():
        show_transition(read_json(summary / TRANSITION), name)
    _say("\n".join(f"report   {report}" for report in reports))
    _say(f"numbers  {folder / TRANSITION}")


def run_training(config: RunConfig, folder: Path, force: bool) -> None:
    """Train and measure one model, its data beside it; of several processes the first one
    speaks."""
    if not processes().is_main:
        return run_alone(config, folder, lambda line: None, force)
    with _bars() as bars:
        task = bars.add_task(f"n = {config.n_train:,}", total=config.train.steps, note="")
        run_alone(config, folder, lambda line: _advance(bars, task, line), force, _packing(bars))
    show_rows(read_results(folder).rows, f"n = {config.n_train:,}")
    _say(f"run  {folder}")


def run_probe(folder: Path, config: ProbeConfig, text: Path | None, column: str) -> None:
    """Measure what a run lacks, and show all that was asked for."""
    target = probe_run(folder, config, text, column)
    found = read_results(target)
    show_rows(found.rows, f"n = {found.provenance.n_train:,}")
    _say(f"results  {target}")


def run_measure(folder: Path, config: ProbeConfig, workers: int | None) -> None:
    """Measure what the models of a sweep lack; then the table and n_star."""
    asked = config_of(folder)
    with _bars() as bars:
        reports = measure_sweep(folder, config, _Watcher(bars, asked.train.steps), workers)
    for name, summary in summary_folders(asked, folder).items():
        show_transition(read_json(summary / TRANSITION), name)
    _say("\n".join(f"report   {report}" for report in reports))


def run_twins(folder: Path) -> None:
    """Train a twin of every model of a sweep, compare them, and write the report again."""
    with _bars() as bars:
        reports = add_twins(folder, _say, _Watcher(bars, config_of(folder).train.steps))
    _say("\n".join(f"report   {report}" for report in reports))


def run_generate(folder: Path, denoiser: Denoiser, n: int, steps: int, seed: int) -> None:
    """Print sequences that the model of a run writes by itself."""
    tokenizer = Tokenizer.load(folder)
    for row in sample(denoiser, n, steps=steps, seed=seed).tolist():
        _say("".join(c if c.isprintable() else "\ufffd" for c in tokenizer.decode(row)))


def run_audit(
    *, model: str, train: Path | None, test: Path | None, own_data: bool, column: str,
    tokenizer: Path | None,
    reference: Path | None, into: Path | None, weights: adapters.Weights, revision: str | None,
    family: str | None,
    settings: tuple[str, ...], **effort: Any,
) -> Audit:  # fmt: skip
    """Audit a model and say where the page is."""
    if own_data and (train or test):
        raise AttractorError(
            "--own-data takes the rows of the run: give it without --train and --test"
        )
    if train and not test:
        raise AttractorError(
            "--train needs --test beside it: text of the same kind that the model has not seen, "
            "without which "
            "memorized text cannot be told from easy text; an audit without data needs neither"
        )
    if test and not train:
        raise AttractorError(
            "--test is compared with --train: give both; an audit without data needs neither"
        )
    amount = Effort(**effort)
    check_effort(amount)
    denoiser = adapters.load(
        model, weights, family=family, revision=revision, **_settings(settings)
    )
    if denoiser.seq_len is None:
        raise AttractorError(f"'{model}' does not tell how long its sequences are")
    found, length, texts = tokenizer_beside(model, tokenizer), denoiser.seq_len, None
    if own_data:
        texts = texts_of_run(Path(model), amount.rows)
    elif train and test:
        texts = texts_from_files(
            train, test, column, found, length, denoiser.process.vocab_size, amount.rows
        )
    name = Path(model).expanduser().resolve().name if Path(model).expanduser().exists() else model
    folder = into or Path("audits") / name.replace("/", "--")
    with out.status("auditing") as status:
        made = audit(
            Audited(name, denoiser, length, found, texts),
            folder,
            amount,
            reference,
            lambda what: status.update(what),
        )
    _say("\n".join([headline(made.verdict), *standfirst(made)]))
    _say(f"page  {folder / PAGE}")
    return made


def run_reference(sweep: Path, target: Path, name: str, n: int) -> None:
    """Write reference curves of a finished sweep."""
    with out.status("auditing") as status:
        made = write_reference_of(
            sweep, target, name, Effort(n=n, minutes=0), lambda what: status.update(what)
        )
    for point in made.points:
        numbers = "  ".join(f"{key} {e.value:.3f}" for key, e in point.numbers.items())
        _say(f"n = {point.n_train:,}  advantage {point.advantage.value:.3f}  {numbers}")
    _say(f"reference  {target}")


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON where it can be read as such, else text."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise AttractorError(f"--settings takes name=value, not {pair!r}")
        try:
            found[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except ValueError:
            found[name] = value
    return found


def show_plan(
    config: SweepConfig, workers: int | None = None, watts: float = WATTS, *,
    precision: float | None = None,
    at_once: int = 1,
) -> None:  # fmt: skip
    """What a sweep would do and take, without doing it: this machine is timed for a few seconds.

    Of an adaptive one, which has a precision, the most it can take.
    """
    if not 0 < watts < math.inf:
        raise AttractorError(f"watts = {watts} must be positive")
    if workers is not None and workers < 1:
        raise AttractorError(f"workers = {workers} must be at least 1")
    together = None if precision is None else at_once
    most = len(config.sizes) if precision is None else most_sizes(config, precision, at_once)
    times = ", ".join(f"{t:g}" for t in config.probe.t)
    _say(f"noise     {config.process}")
    _say(f"sizes     {', '.join(f'{size:g}' for size in config.sizes)}")
    if precision is not None:
        _say(
            f"adaptive  sizes between the smallest and the largest, {at_once} at a time, until n* "
            "is known to a factor "
            f"of {precision:g};\n          the plan is for {most:,} of each model, about the most "
            "it can take"
        )
    _say(
        f"training  {config.train.steps:,} steps of {config.train.batch_size} rows of "
        f"{config.data.seq_len} tokens"
    )
    _say(
        f"probes    up to {config.probe.rows} + {config.probe.test_rows} rows, t = {times}, "
        f"{config.probe.steps} steps"
    )
    with out.status("timing this machine"):
        found = [
            each._replace(runs=most * len(config.seeds))
            for each in forecast(config, workers, together)
        ]
    out.print(_plan_table(found, at_a_time(config, workers, together), watts))
    _say(
        "A model's column is one run, the last one the whole sweep. FLOPs: 6 x parameters outside "
        "the token embedding\n"
        "x tokens, and 2 x for tokens of the probes. This machine was timed for a few seconds: "
        "good to a factor of 2.\n"
        f"GPUs are counted at {UTILISATION:.0%} of the datasheet's dense bf16 rate, one at a "
        "time, at board power."
    )


def _plan_table(found: list[Forecast], side_by_side: int, watts: float) -> Table:
    table = Table("", *(f.model or "a model" for f in found), "in all", box=None)
    total = sum(f.runs for f in found)

    def add(what: str, show: Callable[[float], str], each: list[float], shared: int = 1) -> None:
        table.add_row(
            what,
            *map(show, each),
            show(sum(x * f.runs for x, f in zip(each, found, strict=True)) / shared),
        )

    table.add_row("models", *(f"{f.runs:,}" for f in found), f"{total:,}, {side_by_side} at a time")
    table.add_row("parameters", *(f"{f.cost.parameters:,}" for f in found))
    add("tokens", lambda x: f"{x:,.0f}" if x < 1e9 else f"{x:.2e}", [f.cost.tokens for f in found])
    add("FLOPs, training", lambda x: f"{x:.2e}", [f.cost.train_flops for f in found])
    add("FLOPs, probes", lambda x: f"{x:.2e}", [f.cost.probe_flops for f in found])
    add("disk", _bytes, [f.cost.disk for f in found])
    add("this machine, training", _duration, [f.training for f in found], side_by_side)
    add("this machine, probes", _duration, [f.probing for f in found], side_by_side)
    add(f"  at {watts:g} W", _energy, [f.seconds * watts / side_by_side for f in found])
    for gpu in GPUS:
        seconds = [f.seconds_on(gpu) for f in found]
        add(gpu.name, _duration, seconds)
        add(f"  at {gpu.watts:g} W", _energy, [s * gpu.watts for s in seconds])
    return table


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _energy(joules: float) -> str:
    kwh = joules / 3.6e6
    return f"{kwh:,.1f} kWh" if kwh >= 1 else f"{1000 * kwh:,.1f} Wh"


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def show_status(folder: Path) -> None:
    """What is done, running, failed and waiting in a sweep's folder, and the time left."""
    status = read_status(folder)
    table = Table("run", "model", "state", "step", "left", box=None)
    for run, state, line, left in status.runs:
        step = "" if line is None else f"{line.step:,} of {run.config.train.steps:,}"
        table.add_row(run.run_id, run.title, state, step, "" if left is None else _duration(left))
    out.print(table)
    counts = ", ".join(f"{status.count(state)} {state}" for state in get_args(State))
    left = status.seconds_left
    waits = (
        f"{_duration(left)} left with {max(1, status.count('running'))} at a time"
        if left is not None
        else "unknown"
    )
    _say(f"{counts}; time left: {waits}")
    for run, state, _, _ in status.runs:
        if state == "failed":
            _say(f"failed: {run.title}, see {folder / run.run_id / FAILED}")


def note_data(counts: SplitCounts, rows: int, probe: ProbeConfig) -> None:
    """What became of the corpus."""
    _say(
        f"{counts.documents:,} documents: {counts.duplicates:,} exact duplicates and "
        f"{counts.near_duplicates:,} "
        f"near-duplicates of test documents dropped; {counts.train_documents:,} to train "
        f"({rows:,} rows), "
        f"{counts.test_documents:,} held out; {probe.rows} training and {probe.test_rows} unseen "
        "rows are probed"
    )


def show_transition(content: dict[str, Any], model: str = "") -> None:
    """The rows of transition.json as a table, and where the transition is."""
    columns = (
        "n",
        "t",
        "recovery train",
        "recovery test",
        "entropy train",
        "entropy test",
        "broken test",
    )
    table = Table(*columns, box=None, title=model or None)
    for train, test in _pairs(content["rows"]):
        broken = test["unstable_rate"]
        cells = [
            _interval(row[name], *row[interval])
            for name, interval in (
                ("recovery_rate", "recovery_ci"),
                ("conditional_entropy", "entropy_ci"),
            )
            for row in (train, test)
        ]
        table.add_row(
            f"{train['n_train']:,}",
            f"{train['t']:g}",
            *cells,
            "" if broken is None else f"{broken:.2f}",
        )
    out.print(table)
    for found in content["transition"]:
        _say(f"t = {found['t']:g}: n* {_located(found)}")
    _say(
        f"entropy: n* {_located(content['entropy_transition'])}   (95% intervals over sequences; "
        "entropies in nats)"
    )


def show_rows(rows: list[Row], title: str) -> None:
    """Every measurement of one model."""
    table = Table(
        "measurement", "of", "t", "value", "95% interval", "sequences", title=title, box=None
    )
    shown = [row for row in rows if row.at is None or row.measurement in ("tpr", "recovery_steps")]
    for row in shown:
        t = ", ".join(f"{x:g}" for x in (row.t, row.at) if x is not None)
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        table.add_row(
            row.measurement, row.split, t, f"{row.value:.3f}", interval, str(row.sequences)
        )
    out.print(table)
    few = sum(row.sequences < FEW for row in shown)
    if few:
        _say(f"{few} of these intervals rest on fewer than {FEW} sequences: take them as rough")


class _Watcher:
    """One bar for each model, from its first report to its last."""

    def __init__(self, bars: Progress, steps: int) -> None:
        self.bars, self.steps = bars, steps
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: RunEvent) -> None:
        if event.run.run_id not in self.tasks:
            self.tasks[event.run.run_id] = self.bars.add_task(
                event.run.title, total=self.steps, note=""
            )
        task = self.tasks[event.run.run_id]
        if event.progress is None:
            self.bars.update(task, note="measured")
        else:
            _advance(self.bars, task, event.progress)


def _advance(bars: Progress, task: TaskID, line: Line) -> None:
    loss = "not finite" if line.loss is None else f"{line.loss:.3f}"
    note = f"loss {loss}  {line.tokens_per_s:,.0f} tok/s"
    if line.validation_nelbo is not None:
        note += f"  validation {line.validation_nelbo:.3f}"
    if line.check is not None:
        note += f"  recovery {line.check.recovery_train:.2f}, {line.check.recovery_test:.2f} unseen"
    bars.update(task, completed=line.step, note=note)


def _packing(bars: Progress) -> Callable[[Packed], None]:
    """A bar, without an end, for a corpus that is streamed."""
    tasks: list[TaskID] = []

    def show(packed: Packed) -> None:
        tasks[:] = tasks or [bars.add_task("packing", total=None, note="")]
        bars.update(
            tasks[0],
            note=f"{packed.documents:,} documents, {_bytes(packed.characters)}, {packed.rows:,} "
            "rows",
        )

    return show


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description:>12}"), BarColumn(20), TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=out,
    )  # fmt: skip


def _pairs(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    test = {(row["n_train"], row["seed"], row["t"]): row for row in rows if row["split"] == "test"}
    for row in rows:
        if row["split"] == "train":
            yield row, test[row["n_train"], row["seed"], row["t"]]


def _located(found: dict[str, Any]) -> str:
    if found["n_star"] is None:
        return (
            "not located: "
            f"{found.get('reason') or 'the curve has no half-way point inside the sizes'}"
        )
    if found["ci"] is None:
        return f"= {found['n_star']:,.0f}, without an interval: {found.get('reason')}"
    return "= {:,.0f} [{:,.0f}, {:,.0f}]".format(found["n_star"], *found["ci"])


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _say(text: str) -> None:
    out.print(text, highlight=False, soft_wrap=True, markup=False)

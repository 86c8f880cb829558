"""What a sweep would do and take, without doing it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.table import Table

from attractor.analysis.training_runs import relative_reach
from attractor.cli.terminal import out, say
from attractor.config.settings import MonitorConfig, RunConfig, SweepConfig
from attractor.data.dataset import Dataset
from attractor.data.subsets import nested_sizes
from attractor.machine.gpus import FLOOR, GPUS, UTILISATION
from attractor.machine.units import duration, size
from attractor.measurements.sets import asked_of, spelled_out
from attractor.runs.folder import CONFIG
from attractor.runs.measure import texts_of
from attractor.sweeps.executor import check_workers
from attractor.sweeps.feasible import require_feasible, require_own, text_for
from attractor.sweeps.forecast import Forecast, at_a_time, forecast
from attractor.sweeps.run import SWEEP, require_locating, resolve
from attractor.sweeps.search import check_precision, most_sizes, require_searchable
from attractor.types import AttractorError


def plan_sweep(
    config: SweepConfig,
    folder: Path,
    workers: int | None,
    watts: float,
    *,
    precision: float | None,
    at_once: int,
    force: bool,
) -> None:
    """Refuse what the sweep would refuse, and print what it would do and take."""
    check_workers(workers)
    require_own(folder / SWEEP, config, force)
    require_locating(config.probe, config.process)
    require_feasible(config, folder, force)
    if precision is not None:
        check_precision(precision, at_once)
    with _text(config, folder, force) as data:
        if data is not None:
            resolved = resolve(config, data, folder)
            if precision is not None:
                require_searchable(resolved, len(data.train), precision, at_once)
        show_plan(config, data, workers, watts, precision=precision, at_once=at_once)


def plan_run(config: RunConfig, folder: Path, watts: float, *, force: bool) -> None:
    """The same for one run: the plan is that of a sweep of one size."""
    shared = {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if f.name not in ("n_train", "seed")
    }
    alone = SweepConfig(sizes=(config.n_train,), seeds=(config.seed,), **shared)
    require_own(folder / CONFIG, config, force)
    require_feasible(alone, folder, force)
    with _text(alone, folder, force) as data:
        if data is not None:
            nested_sizes([config.n_train], len(data.train))
            probe = spelled_out(asked_of(config))
            texts_of(data, config.n_train, probe, text=dataclasses.replace(config.data, order=0))
        show_plan(alone, data, None, watts)


@contextlib.contextmanager
def _text(config: SweepConfig, folder: Path, force: bool) -> Iterator[Dataset | None]:
    with out.status("packing the text") as status, text_for(config, folder, force) as data:
        status.stop()
        yield data


def show_plan(
    config: SweepConfig,
    data: Dataset | None,
    workers: int | None,
    watts: float,
    *,
    precision: float | None = None,
    at_once: int = 1,
) -> None:
    """Print what a sweep would do and take, after timing this machine for a few seconds.

    An adaptive sweep, which is one with a precision, chooses its sizes from what it finds; its plan
    is for the most it can take.
    """
    if not 0 < watts < math.inf:
        raise AttractorError(f"watts = {watts} must be positive")
    together = None if precision is None else at_once
    most = len(config.sizes) if precision is None else most_sizes(config, precision, at_once)
    times = ", ".join(f"{t:g}" for t in config.probe.t)
    say(f"noise     {config.process}")
    say(f"text      {_counted(config, data)}")
    say(f"sizes     {_sizes(config, data)}")
    if precision is not None:
        say(
            f"adaptive  sizes between the smallest and the largest, {at_once} at a time, until n* "
            f"is known to a factor of {precision:g};\n          the plan is for {most:,} of each "
            "model, about the most it can take"
        )
    say(
        f"training  {config.train.steps:,} steps of {config.train.batch_size} rows of "
        f"{config.data.seq_len} tokens"
    )
    say(
        f"probes    up to {config.probe.rows} + {config.probe.test_rows} rows, t = {times}, "
        f"{config.probe.steps} steps"
    )
    if config.monitor.checks:
        say(f"checks    {_checks(config.monitor)}")
    say(f"runs      {_runs(config)}")
    with out.status("timing this machine"):
        known = None if data is None else data.tokenizer.vocab_size
        found = forecast(config, workers, together, known)
    if precision is not None:
        found = [each._replace(runs=most * config.runs_each) for each in found]
    out.print(_plan_table(found, at_a_time(config, workers, together), watts))
    say(
        "A model's column is one run, the last one the whole sweep. FLOPs: 6 x parameters outside "
        "the token embedding\nx tokens, and 2 x for tokens of the probes and checks. This machine "
        "was timed for a few seconds: good to a factor of 2.\n"
        f"GPUs: one at a time, at {UTILISATION[1]:.0%} to {UTILISATION[0]:.0%} of the datasheet's "
        f"dense bf16 rate and at least {1000 * FLOOR:g} ms a step; small models\nare at the slow "
        "end; energy at board power."
    )


def _counted(config: SweepConfig, data: Dataset | None) -> str:
    """What the text holds, as far as it can be known before it is packed."""
    if data is None:
        return f"{config.data.source}, which is streamed: it can be opened, and is not counted here"
    counts = data.counts
    return (
        f"{counts.documents:,} documents, {counts.duplicates + counts.near_duplicates:,} of them "
        f"duplicates that are dropped;\n          {len(data.train):,} rows to train on, "
        f"{len(data.test):,} unseen, {data.tokenizer.vocab_size:,} tokens in the vocabulary"
    )


def _sizes(config: SweepConfig, data: Dataset | None) -> str:
    if data is None:
        return ", ".join(f"{n:g}" for n in config.sizes)
    sizes = nested_sizes(config.sizes, len(data.train))
    return f"{', '.join(f'{n:,}' for n in sizes)} rows"


def _checks(monitor: MonitorConfig) -> str:
    at = f"at steps {', '.join(f'{step:,}' for step in sorted(monitor.at))}"
    every = f"every {monitor.every:,} steps"
    when = " and ".join([at] * bool(monitor.at) + [every] * (monitor.every > 0))
    return f"{when}, {monitor.rows} rows of each kind, t = {monitor.t:g}, {monitor.steps} steps"


def _runs(config: SweepConfig) -> str:
    """How many training runs there are of each size, and what more would buy."""
    reaches = ", ".join(f"+-{relative_reach(k):.2g} of {k}" for k in (2, 3, 5, 10))
    orders = f", data seeds {_listed(config.orders)}" if any(config.orders) else ""
    at = f" of {_listed(config.seeds_at)}, else of the first seed" if config.seeds_at else ""
    return (
        f"{config.runs_each} of each size{at}: seeds {_listed(config.seeds)}{orders}\n"
        f"          a mean over runs is known to {reaches}, in standard deviations between runs,\n"
        "          and of one run nothing is known of them; data seeds and seeds count apart"
    )


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


def _plan_table(found: list[Forecast], side_by_side: int, watts: float) -> Table:
    """What one run of each model takes, a column each, and what all runs take together.

    Seconds of this machine are those of a run beside others. So all runs together take their sum
    divided by the number side by side; and of the machine's power a run has the share that it has
    of the machine, so that its joules are divided by that number once, and their sum is not.
    """
    table = Table("", *(f.model or "a model" for f in found), "in all", box=None)
    total = sum(f.runs for f in found)

    def add(what: str, show: Callable[[float], str], each: list[float], shared: int = 1) -> None:
        in_all = sum(x * f.runs for x, f in zip(each, found, strict=True))
        table.add_row(what, *map(show, each), show(in_all / shared))

    table.add_row("models", *(f"{f.runs:,}" for f in found), f"{total:,}, {side_by_side} at a time")
    table.add_row("parameters", *(f"{f.cost.parameters:,}" for f in found))
    add("tokens", lambda x: f"{x:,.0f}" if x < 1e9 else f"{x:.2e}", [f.cost.tokens for f in found])
    add("FLOPs, training", lambda x: f"{x:.2e}", [f.cost.train_flops for f in found])
    add("FLOPs, probes", lambda x: f"{x:.2e}", [f.cost.probe_flops for f in found])
    add("disk", size, [f.cost.disk for f in found])
    add("this machine, training", duration, [f.training for f in found], side_by_side)
    add("this machine, probes", duration, [f.probing for f in found], side_by_side)
    add(f"  at {watts:g} W", _energy, [f.seconds * watts / side_by_side for f in found])
    for gpu in GPUS:
        spans = [f.seconds_on(gpu) for f in found]
        in_all = [sum(s[end] * f.runs for s, f in zip(spans, found, strict=True)) for end in (0, 1)]
        table.add_row(gpu.name, *(_span(duration, *each) for each in (*spans, in_all)))
        joules = [[s * gpu.watts for s in span] for span in (*spans, in_all)]
        table.add_row(f"  at {gpu.watts:g} W", *(_span(_energy, *each) for each in joules))
    return table


def _span(show: Callable[[float], str], least: float, most: float) -> str:
    """Both ends of what something takes; one where they are written alike."""
    return " to ".join(dict.fromkeys((show(least), show(most))))


def _energy(joules: float) -> str:
    kwh = joules / 3.6e6
    return f"{kwh:,.1f} kWh" if kwh >= 1 else f"{1000 * kwh:,.1f} Wh"

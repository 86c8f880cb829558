"""What a sweep would do and take, without doing it."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.table import Table

from attractor.analysis.statistics import relative_reach
from attractor.cli.terminal import out, say
from attractor.config.settings import MonitorConfig, SweepConfig
from attractor.machine.units import duration, size
from attractor.sweeps.devices import GPUS, UTILISATION
from attractor.sweeps.forecast import Forecast, at_a_time, forecast
from attractor.sweeps.search import most_sizes
from attractor.types import AttractorError


def show_plan(
    config: SweepConfig,
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
    if workers is not None and workers < 1:
        raise AttractorError(f"workers = {workers} must be at least 1")
    together = None if precision is None else at_once
    most = len(config.sizes) if precision is None else most_sizes(config, precision, at_once)
    times = ", ".join(f"{t:g}" for t in config.probe.t)
    say(f"noise     {config.process}")
    say(f"sizes     {', '.join(f'{n:g}' for n in config.sizes)}")
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
        found = forecast(config, workers, together)
    found = [each._replace(runs=most * config.runs_each) for each in found]
    out.print(_plan_table(found, at_a_time(config, workers, together), watts))
    say(
        "A model's column is one run, the last one the whole sweep. FLOPs: 6 x parameters outside "
        "the token embedding\nx tokens, and 2 x for tokens of the probes and checks. This machine "
        "was timed for a few seconds: good to a factor of 2.\n"
        f"GPUs are counted at {UTILISATION:.0%} of the datasheet's dense bf16 rate, one at a time, "
        "at board power."
    )


def _checks(monitor: MonitorConfig) -> str:
    at = f"at steps {', '.join(f'{step:,}' for step in sorted(monitor.at))}"
    every = f"every {monitor.every:,} steps"
    when = " and ".join([at] * bool(monitor.at) + [every] * (monitor.every > 0))
    return f"{when}, {monitor.rows} rows of each kind, t = {monitor.t:g}, {monitor.steps} steps"


def _runs(config: SweepConfig) -> str:
    """How many training runs there are of each size, and what more would buy."""
    reaches = ", ".join(f"+-{relative_reach(k):.2g} of {k}" for k in (2, 3, 5, 10))
    orders = f", data seeds {_listed(config.orders)}" if any(config.orders) else ""
    return (
        f"{config.runs_each} of each size: seeds {_listed(config.seeds)}{orders}\n"
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
        seconds = [f.seconds_on(gpu) for f in found]
        add(gpu.name, duration, seconds)
        add(f"  at {gpu.watts:g} W", _energy, [s * gpu.watts for s in seconds])
    return table


def _energy(joules: float) -> str:
    kwh = joules / 3.6e6
    return f"{kwh:,.1f} kWh" if kwh >= 1 else f"{1000 * kwh:,.1f} Wh"

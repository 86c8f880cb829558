"""What a command does: the call, the bars beside it, and what is said at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attractor.api.generating import generate
from attractor.api.measuring import measure_all, measure_one
from attractor.api.progress import shown
from attractor.api.sweeping import train_sweep
from attractor.api.training import train_one
from attractor.cli.tables import note_data, show_headline, show_rows, show_transition
from attractor.cli.terminal import out, say
from attractor.cli.terminal import out as terminal
from attractor.config.settings import DataConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.machine.processes import processes
from attractor.notebook import printable
from attractor.report.page import FILE as REPORT
from attractor.report.sweep_files import read_report
from attractor.results.tables import RESULTS
from attractor.runs.folder import read_json
from attractor.runs.run import run_alone
from attractor.sweeps.checkpoints import find_checkpoints, measure_checkpoints
from attractor.sweeps.executor import Executor
from attractor.sweeps.run import config_of
from attractor.sweeps.search import ADAPTIVE
from attractor.sweeps.second_models import add_twins
from attractor.sweeps.summary import TRANSITION, summary_folders


def run_sweep(
    config: SweepConfig,
    folder: Path,
    executor: Executor,
    *,
    precision: float | None,
    at_once: int,
    force: bool,
) -> None:
    """Sweep with a progress bar for each model; then print the table and n*."""
    made = train_sweep(
        config,
        folder,
        console=out,
        executor=executor,
        precision=precision,
        at_once=at_once,
        force=force,
        note=note_data,
    )
    if precision is not None:
        for model in read_json(folder / ADAPTIVE)["models"]:
            say(f"{model['model']} {len(model['sizes'])} sizes: {model['reason']}".strip())
    for name, summary in summary_folders(config, made.folder).items():
        show_transition(read_json(summary / TRANSITION), name)
        say(f"report   {summary / REPORT}")
    say(f"numbers  {folder / TRANSITION}")


def run_training(config: RunConfig, folder: Path, force: bool) -> None:
    """Train and measure one model, its data beside it; of several processes the first one
    speaks."""
    if not processes().is_main:
        return run_alone(config, folder, lambda line: None, force)
    made = train_one(config, folder, out, force)
    measured = made.measured or folder
    show_headline(made.results, f"n = {config.n_train:,}")
    say(f"run  {folder}" if measured == folder else f"run  {folder}, measured in {measured}")
    say(f"all numbers: attractor.open('{folder}').to_pandas(), or {measured / RESULTS}")


def run_probe(folder: Path, config: ProbeConfig, text: Path | None, column: str) -> None:
    """Measure what a run lacks, and show all that was asked for."""
    found = measure_one(folder, config, text, column)
    show_rows(found.results.rows, f"n = {found.n_train:,}")
    say(f"results  {found.measured}")


def run_measure(folder: Path, config: ProbeConfig, workers: int | None) -> None:
    """Measure what the models of a sweep lack; then print the table and n*."""
    made = measure_all(folder, config, workers, out)
    summaries = summary_folders(made.config, folder)
    for name, summary in summaries.items():
        show_transition(read_json(summary / TRANSITION), name)
    for summary in summaries.values():
        for notice in read_report(summary).notices:
            say(f"note     {notice}")
        say(f"report   {summary / REPORT}")


def run_family(pattern: str, data: DataConfig, probe: ProbeConfig, out: Path) -> None:
    """Measure checkpoints by the sizes in their names; then print the table and n*."""
    with terminal.status("measuring") as status:
        found = find_checkpoints(pattern)
        reports = measure_checkpoints(found, data, probe, out, say=status.update)
    show_transition(read_json(out / TRANSITION), "")
    for report in reports:
        say(f"report   {report}")


def run_twins(folder: Path) -> None:
    """Train a twin of every model of a sweep, compare them, and write the report again."""
    with shown(config_of(folder).train.steps, out) as watched:
        reports = add_twins(folder, say, watched.runs)
    say("\n".join(f"report   {report}" for report in reports))


def run_generate(model: Path, n: int, **how: Any) -> None:
    """Print sequences that a model writes by itself."""
    for text in generate(model, n, **how).texts:
        # A model may write what would move the cursor or colour the terminal.
        say(printable(text))

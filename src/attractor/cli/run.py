"""What a command does: the call, the bars beside it, and what is said at the end."""

from __future__ import annotations

from pathlib import Path

from attractor.cli.bars import Watcher, packing_bar, progress_bars, training_bar
from attractor.cli.tables import note_data, show_rows, show_transition
from attractor.cli.terminal import out as terminal
from attractor.cli.terminal import say
from attractor.config.settings import DataConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.data.tokenizer import Tokenizer
from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes import sample
from attractor.report.sweep_files import read_report
from attractor.results.tables import read_results
from attractor.runs.folder import read_json
from attractor.runs.measure import probe_run, results_of
from attractor.runs.run import run_alone
from attractor.sweeps.checkpoints import find_checkpoints, measure_checkpoints
from attractor.sweeps.executor import Executor
from attractor.sweeps.run import config_of, measure_sweep, sweep
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
    with progress_bars() as bars:
        watcher = Watcher(bars, config.train.steps)
        reports = sweep(
            config,
            folder,
            watcher,
            executor=executor,
            precision=precision,
            at_once=at_once,
            force=force,
            note=note_data,
            on_packing=packing_bar(bars),
        )
    if precision is not None:
        for model in read_json(folder / ADAPTIVE)["models"]:
            say(f"{model['model']} {len(model['sizes'])} sizes: {model['reason']}".strip())
    for name, summary in summary_folders(config, folder).items():
        show_transition(read_json(summary / TRANSITION), name)
    say("\n".join(f"report   {report}" for report in reports))
    say(f"numbers  {folder / TRANSITION}")


def run_training(config: RunConfig, folder: Path, force: bool) -> None:
    """Train and measure one model, its data beside it; of several processes the first one
    speaks."""
    if not processes().is_main:
        return run_alone(config, folder, lambda line: None, force)
    with progress_bars() as bars:
        bar = training_bar(bars, f"n = {config.n_train:,}", config.train.steps)
        run_alone(config, folder, bar, force, packing_bar(bars))
    measured = results_of(folder, config.probe) or folder
    show_rows(read_results(measured).rows, f"n = {config.n_train:,}")
    say(f"run  {folder}" if measured == folder else f"run  {folder}, measured in {measured}")


def run_probe(folder: Path, config: ProbeConfig, text: Path | None, column: str) -> None:
    """Measure what a run lacks, and show all that was asked for."""
    target = probe_run(folder, config, text, column)
    found = read_results(target)
    show_rows(found.rows, f"n = {found.provenance.n_train:,}")
    say(f"results  {target}")


def run_measure(folder: Path, config: ProbeConfig, workers: int | None) -> None:
    """Measure what the models of a sweep lack; then print the table and n*."""
    asked = config_of(folder)
    with progress_bars() as bars:
        reports = measure_sweep(folder, config, Watcher(bars, asked.train.steps), workers)
    for name, summary in summary_folders(asked, folder).items():
        show_transition(read_json(summary / TRANSITION), name)
    for report in reports:
        for notice in read_report(report.parent).notices:
            say(f"note     {notice}")
        say(f"report   {report}")


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
    with progress_bars() as bars:
        reports = add_twins(folder, say, Watcher(bars, config_of(folder).train.steps))
    say("\n".join(f"report   {report}" for report in reports))


def run_generate(folder: Path, denoiser: Denoiser, n: int, steps: int, seed: int) -> None:
    """Print sequences that the model of a run writes by itself."""
    tokenizer = Tokenizer.load(folder)
    for row in sample(denoiser, n, steps=steps, seed=seed).tolist():
        # A model may write what would move the cursor or colour the terminal.
        say("".join(c if c.isprintable() else "\ufffd" for c in tokenizer.decode(row)))

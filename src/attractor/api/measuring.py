"""More measurements of models that are trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from attractor.adapters.sweep_folder import find_run, is_run, no_sweep, resolved
from attractor.api.progress import console_of, shown
from attractor.api.run import Run
from attractor.api.settings import probe_settings
from attractor.api.sweeps import Sweep
from attractor.config.identity import run_config_from_dict
from attractor.config.settings import ProbeConfig
from attractor.machine.paths import expanded, nearest_name
from attractor.measurements import known
from attractor.runs.folder import CONFIG, read_json
from attractor.runs.measure import probe_run
from attractor.sweeps.run import config_of, measure_sweep
from attractor.types import AttractorError


def measure(
    target: str | Path | Sweep | Run,
    *,
    text: str | Path | None = None,
    column: str = "text",
    workers: int | None = None,
    progress: bool | Console = True,
    **settings: Any,
) -> Sweep | Run:
    """Make the measurements that a sweep or a run lacks; nothing is trained.

    Args:
        target: a sweep or a run, or the path of one; of a run also "runs/demo:n=32".
        text: a file or folder of unseen text for a run, in place of its own unseen rows.
        column: of the text in .jsonl and .parquet files.
        workers: models measured side by side, of a sweep.
        progress: whether to show how far it is; a console of rich to show it there.
        settings: what to measure, and how: `measure=("exact_match",)`, `t=(0.1, 0.5)`, `rows=100`,
            ... as the settings of `ProbeConfig`; those of the sweep or the run unless given.

    Returns:
        the sweep or the run with its new numbers.

    Raises:
        AttractorError: for bad input, what is not trained yet, or if somebody works on it.
    """
    if not isinstance(target, str | Path | Sweep | Run):
        raise AttractorError(
            f"{target!r:.80} is no sweep and no run: a model by itself is measured by "
            "attractor.probes"
        )
    folder = resolved(target.folder if isinstance(target, Sweep | Run) else target)
    if not folder.exists():
        raise AttractorError(f"'{target}' does not exist{nearest_name(folder)}")
    config = probe_settings(settings_of(folder), settings)
    if is_run(folder):
        return measure_one(folder, config, None if text is None else expanded(text), column)
    if text is not None:
        raise AttractorError(f"text = '{text}' is for one run: name one, as in '{folder}:n=32'")
    return measure_all(folder, config, workers, console_of(progress))


def measure_one(run: Path, config: ProbeConfig, text: Path | None, column: str) -> Run:
    """Measure one run; see `runs.measure.probe_run`."""
    return Run(find_run(run), probe_run(run, config, text, column))


def measure_all(
    sweep: Path, config: ProbeConfig, workers: int | None, console: Console | None
) -> Sweep:
    """Measure every model of a sweep; see `sweeps.run.measure_sweep`."""
    with shown(config_of(sweep).train.steps, console) as watched:
        measure_sweep(sweep, config, watched.runs, workers)
    return Sweep(sweep)


def settings_of(folder: Path) -> ProbeConfig:
    """What a sweep or a run was measured with.

    Raises:
        AttractorError: if the folder holds neither.
    """
    if is_run(folder):
        probe = run_config_from_dict(read_json(folder / CONFIG), folder / CONFIG).probe
        return dataclasses.replace(probe, measure=known(probe.measure))
    try:
        return config_of(folder).probe
    except AttractorError:
        if (folder / CONFIG).exists():
            raise
        raise no_sweep(folder) from None

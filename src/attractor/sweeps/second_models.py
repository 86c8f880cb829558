"""The two-model test of a finished sweep: at each size a second model on the rows that follow those
of the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attractor import adapters
from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset, open_dataset
from attractor.data.replicas import ordered
from attractor.machine.files import locked
from attractor.measurements import rows_of
from attractor.measurements.measurement import block
from attractor.probes import twins
from attractor.results.tables import read_arrays, write_rows, write_tokens
from attractor.runs.folder import DATA, held, is_finished, require_same_rows
from attractor.runs.measure import provenance
from attractor.runs.train import train_run
from attractor.sweeps.executor import execute
from attractor.sweeps.follow import Watcher
from attractor.sweeps.plan import PlannedRun
from attractor.sweeps.run import config_of, planned_runs, summarize
from attractor.sweeps.summary import TWIN
from attractor.types import AttractorError


def add_twins(sweep: Path, note: Callable[[str], None], watch: Watcher) -> list[Path]:
    """Train and compare a twin for every finished run that leaves enough rows; finished twins are
    kept.

    Args:
        sweep: its folder.
        note: hears which sizes leave too few rows.
        watch: hears of progress.

    Returns:
        the path of each model's report.html, written again.

    Raises:
        AttractorError: if the folder holds no sweep or no finished run, or somebody works on it; in
            the end, if a twin failed.
    """
    config_of(sweep)  # whether there is a sweep
    with locked(sweep):
        runs = [run for run in planned_runs(sweep) if is_finished(sweep / run.run_id)]
        if not runs:
            raise AttractorError(
                f"'{sweep}' holds no finished run: twins are added to a finished sweep"
            )
        available = len(open_dataset(sweep / DATA).train)
        waiting = []
        for run in runs:
            twin = PlannedRun(f"{run.run_id}/{TWIN}", run.config, run.model)
            if available < 2 * run.config.n_train:
                note(f"{run.title}: only {available - run.config.n_train:,} other rows, no twin")
            elif not is_finished(sweep / twin.run_id):
                waiting.append(twin)
        execute(waiting, sweep / DATA, sweep, watch, work=_train_and_compare)
        return summarize(sweep)


def _train_and_compare(config: RunConfig, data: Dataset, folder: Path) -> None:
    """A model on other rows, in a folder inside that of the model with which it is compared."""
    # The first model has seen the rows before these.
    data = ordered(data, config.data.order)
    rows = np.asarray(data.train[config.n_train : 2 * config.n_train])
    require_same_rows(folder.parent, data)
    with held(folder, config):
        require_same_rows(folder, data)
        train_run(config, rows, data, folder, lambda progress: None)
        first, second, probe = adapters.load(folder.parent), adapters.load(folder), config.probe
        found = twins(first, second, probe.generated, rows.shape[1], probe.steps, probe.seed)
        values = {"twins": found.agreement(), "twins_chance": found.chance()}
        blocks = (block(name, "generated", found.first, value) for name, value in values.items())
        write_tokens(folder, blocks)
        numbers = rows_of(read_arrays(folder), probe.seed)
        write_rows(folder, numbers, provenance(config, data.tokenizer))

"""The two-model test of a finished sweep: at each size a second model on the rows that follow those of the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attractor import adapters, pipeline
from attractor.analysis.rows import rows_of
from attractor.config import RunConfig, run_config_from_dict, to_json
from attractor.files import locked, make_directory, write_atomically
from attractor.probes import twins
from attractor.results import Block, read_arrays, write_rows, write_tokens
from attractor.sweep.run import summarize
from attractor.sweep.summary import TWIN
from attractor.train.state import Progress
from attractor.training import train_run
from attractor.types import AttractorError


def add_twins(sweep: Path, note: Callable[[str], None], watch: Callable[[Progress], None]) -> list[Path]:
    """Train and compare a twin for every finished run that leaves enough rows; finished twins are kept.

    Returns:
        the path of each model's report.html, written again.

    Raises:
        AttractorError: if the folder holds no finished run, or somebody works on it.
    """
    runs = sorted(path for path in sweep.iterdir() if pipeline.is_finished(path)) if sweep.is_dir() else []
    if not runs:
        raise AttractorError(f"'{sweep}' holds no finished run: twins are added to a finished sweep")
    with locked(sweep):
        for run in runs:
            config = run_config_from_dict(pipeline.read_json(run / pipeline.CONFIG))
            note(f"n = {config.n_train:,}: {_add(run, config, watch)}")
        return summarize(sweep)


def _add(run: Path, config: RunConfig, watch: Callable[[Progress], None]) -> str:
    data, target = pipeline.data_of(run), run / TWIN
    rows = np.asarray(data.train[config.n_train : 2 * config.n_train])
    if len(rows) < config.n_train:
        return f"only {len(rows):,} other rows, no twin"
    if pipeline.is_finished(target):
        return "kept"
    make_directory(target)
    write_atomically(target / pipeline.CONFIG, to_json(config))
    train_run(config, rows, data, target, watch)
    probe = config.probe
    found = twins(adapters.load(run), adapters.load(target), probe.generated, rows.shape[1], probe.steps, probe.seed)
    values = {"twins": found.agreement(), "twins_chance": found.chance()}
    write_tokens(
        target,
        (
            Block(measurement=name, split="generated", original=found.first.numpy(), value=value.numpy()[:, None])
            for name, value in values.items()
        ),
    )
    write_rows(target, rows_of(read_arrays(target), probe.seed), pipeline.provenance(config, data.tokenizer))
    return "trained and compared"

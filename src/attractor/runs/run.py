"""One run: data -> train -> measure -> rows on disk."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset, open_dataset
from attractor.data.replicas import ordered, training_set
from attractor.data.stream import Packed
from attractor.machine.processes import processes
from attractor.measurements.sets import asked_of, recognised
from attractor.runs.folder import (
    CONFIG,
    DATA,
    claimed,
    held,
    is_finished,
    prepare,
    require_same_rows,
)
from attractor.runs.measure import is_complete, measure_run, texts_of
from attractor.runs.tracking import require_tracker
from attractor.runs.train import train_run
from attractor.train.state import Progress
from attractor.types import AttractorError


class FinishedError(AttractorError):
    """Raised where nothing is left to do."""


def run(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train one model on the first `n_train` rows and measure it, or go on where that was
    interrupted.

    A run that has results is trained; of its measurements only those that are missing are made.

    Raises:
        AttractorError: if the training set has fewer rows, `folder` is of another config, of other
            data or in use, training diverges or the disk is full; what has been saved stays.
    """
    require_tracker(config.monitor.track)
    data = ordered(data, config.data.order)
    texts = texts_of(data, config.n_train, config.probe, text=config.data)  # before training
    require_same_rows(folder, data)
    is_main = processes().is_main
    # One process holds the folder for all: a lock keeps out other processes, these among them.
    with held(folder, config) if is_main else contextlib.nullcontext():
        # The others look into the folder only now that what a killed process left is cleared away:
        # all of them must come to the same answer about what is to be done.
        processes().wait()
        if not is_finished(folder):
            if is_main:
                data.tokenizer.save(folder)
            rows = training_set(
                data.train, config.n_train, config.data.repeat, config.data.repeat_rows
            )
            train_run(config, rows, data, folder, on_progress)
        measure_run(folder, config, texts, data.tokenizer)


def run_alone(
    config: RunConfig,
    folder: Path,
    on_progress: Callable[[Progress], None],
    force: bool = False,
    on_packing: Callable[[Packed], None] = lambda packed: None,
) -> None:
    """A run that brings its own data, in `folder/data`; otherwise as `run`. With `force` an earlier
    run is replaced.

    Raises:
        FinishedError: if there is nothing left to do.
        AttractorError: as `run`.
    """
    require_tracker(config.monitor.track)
    probe = recognised(asked_of(config))
    config = dataclasses.replace(config, probe=probe)
    if processes().is_main:
        with claimed(folder, CONFIG, config, force):
            if is_complete(folder, config.probe):
                raise FinishedError(
                    f"'{folder}' holds this run already, finished; --force trains it again, and "
                    "`attractor probe` adds measurements to it"
                )
            data = prepare(config.data, folder / DATA, on_packing, anew=force)
            # While an earlier run can come back.
            texts_of(data, config.n_train, config.probe, text=config.data)
    processes().wait()  # until the data are there
    run(config, open_dataset(folder / DATA), folder, on_progress)

"""One run of a sweep as a worker does it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset, open_dataset
from attractor.machine.files import InUseError, make_directory
from attractor.runs.run import run as run_model
from attractor.sweeps.plan import PlannedRun

FAILED = "failed.txt"
"""Traceback of the last failure, in the folder of the run."""
ATTEMPTS = 5
"""How often a run is begun again whose process died, or whose node."""
GRACE = 30.0
"""Seconds that runs have to save a checkpoint when they are asked to stop."""
PATIENCE = 60.0
"""Seconds to wait for a process that holds the run, and may be dying."""

Work = Callable[[RunConfig, Dataset, Path], None]
"""What is done for a run, in its folder."""


def attempt(planned: PlannedRun, data: Path, sweep: Path, work: Work = run_model) -> None:
    """Do a run, or go on where an earlier attempt was stopped; a finished one is left alone.

    Raises:
        AttractorError: as `work`; the traceback of this or any other error is kept in `failed.txt`.
    """
    folder = sweep / planned.run_id
    try:
        _when_free(lambda: work(planned.config, open_dataset(data), folder))
    except Exception:
        # Workers may be on other machines; the folder is what all of them have in common.
        make_directory(folder)
        (folder / FAILED).write_text(traceback.format_exc())
        raise


def _when_free(task: Callable[[], None]) -> None:
    """Do a task as soon as nobody else holds its folder: a run is begun again when its process or
    node is lost, and what was lost may take a while to die and give its lock back."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return task()
        except InUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)

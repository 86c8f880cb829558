"""One run of a sweep as a worker does it, and what its folder tells about it."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from attractor import pipeline
from attractor.data.dataset import open_dataset
from attractor.files import InUseError, make_directory
from attractor.sweep.plan import PlannedRun
from attractor.train.logbook import METRICS, SPEED
from attractor.train.state import Progress
from attractor.types import AttractorError

FAILED = "failed.txt"
"""Traceback of the last failure, in the folder of the run."""
PATIENCE = 60.0
"""Seconds to wait for a process that holds the run, and may be dying."""


def attempt(
    planned: PlannedRun,
    data: Path,
    sweep: Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Do a run, or go on where an earlier attempt was stopped; a finished one is left alone.

    Raises:
        AttractorError: as `pipeline.run`; the traceback of this or any other error is kept in `failed.txt`.
    """
    folder = sweep / planned.run_id
    try:
        _when_free(lambda: pipeline.run(planned.config, open_dataset(data), folder, on_progress))
    except Exception:
        make_directory(folder)
        (folder / FAILED).write_text(traceback.format_exc())
        raise
    (folder / FAILED).unlink(missing_ok=True)


def _when_free(work: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except InUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


class Failures:
    """Runs that failed, while the others go on."""

    def __init__(self, sweep: Path) -> None:
        self.sweep = sweep
        self.found: list[tuple[PlannedRun, BaseException]] = []

    def add(self, run: PlannedRun, error: BaseException) -> None:
        """Note a failure; one that could not leave its traceback, as its process died, gets it here."""
        folder = self.sweep / run.run_id
        make_directory(folder)
        if not (folder / FAILED).is_file():
            (folder / FAILED).write_text("".join(traceback.format_exception(error)))
        self.found.append((run, error))

    def complain(self, of: int) -> None:
        """Raise AttractorError, with the first message, if there are any."""
        if self.found:
            run, error = self.found[0]
            message = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            where = self.sweep / run.run_id / FAILED
            raise AttractorError(f"{len(self.found)} of {of} runs failed; {run.title}: {message}; see '{where}'")


def last_line(run: Path) -> Progress | None:
    """What a run has last reported, None before it has."""
    try:
        values, speed = (json.loads((run / name).read_text().splitlines()[-1]) for name in (METRICS, SPEED))
        return Progress(**values, tokens_per_s=speed["tokens_per_s"])
    except (OSError, IndexError, ValueError):  # not there yet, or half a line
        return None

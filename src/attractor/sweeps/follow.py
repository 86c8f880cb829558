"""Follows runs until all are done, wherever they run: what they report is read from their
folders."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from attractor.machine.files import make_directory
from attractor.sweeps.attempt import FAILED
from attractor.sweeps.plan import PlannedRun
from attractor.train.logbook import METRICS, SPEED
from attractor.train.state import Check, Progress
from attractor.types import AttractorError

PAUSE = 0.5
"""Seconds between two looks."""


class RunEvent(NamedTuple):
    """What a watcher hears of a run; `progress` is None when it has finished."""

    run: PlannedRun
    progress: Progress | None


Watcher = Callable[[RunEvent], None]


class Ended(NamedTuple):
    """A task that has ended."""

    task: Any
    error: str | None
    """how it failed, for want of a traceback"""


def follow(
    tasks: dict[Any, PlannedRun],
    wait: Callable[[list[Any]], list[Ended]],
    sweep: Path,
    watch: Watcher,
) -> None:
    """Hand what runs report to the watcher, until all have ended; one that fails does not stop the
    others.

    Args:
        tasks: what does each run.
        wait: waits up to `PAUSE` seconds for some of these tasks, and tells which have ended.
        sweep: the sweep's folder.
        watch: hears of progress.

    Raises:
        AttractorError: in the end, if any failed.
    """
    pending, reported = dict(tasks), dict[str, int]()
    failures = _Failures(sweep)
    for run in tasks.values():
        (sweep / run.run_id / FAILED).unlink(missing_ok=True)  # of an earlier attempt
    while pending:
        ended = wait(list(pending))
        # Of those that have ended, too: their last line comes before the news that they are done.
        for run in pending.values():
            line = last_line(sweep / run.run_id)
            if line is not None and line.step != reported.get(run.run_id):
                reported[run.run_id] = line.step
                watch(RunEvent(run, line))
        for task, error in ended:
            run = pending.pop(task)
            if error is None:
                watch(RunEvent(run, None))
            else:
                failures.add(run, error)
    failures.complain(len(tasks))


class _Failures:
    """Runs that failed, while the others go on."""

    def __init__(self, sweep: Path) -> None:
        self.sweep = sweep
        self.runs: list[PlannedRun] = []
        self.message = ""
        """of the first one"""

    def add(self, run: PlannedRun, error: str) -> None:
        traceback = ""
        with contextlib.suppress(OSError):  # of a full disk, where a traceback may be empty
            make_directory(self.sweep / run.run_id)
            traceback = _text(self.sweep / run.run_id / FAILED)
            if not traceback:  # it died too soon to leave one
                (self.sweep / run.run_id / FAILED).write_text(error)
        self.runs.append(run)
        self.message = self.message or traceback or error

    def complain(self, of: int) -> None:
        """Raise AttractorError, with the first message, if there are any."""
        if not self.runs:
            return
        kind, _, message = self.message.splitlines()[-1].partition(": ")
        where = self.sweep / self.runs[0].run_id / FAILED
        raise AttractorError(
            f"{len(self.runs)} of {of} runs failed; {self.runs[0].title}: {message or kind}; see "
            f"'{where}'"
        )


def _text(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""


def last_line(run: Path) -> Progress | None:
    """What a run has last reported, None before it has."""
    try:
        values, speed = (json.loads(_end(run / name)) for name in (METRICS, SPEED))
        check = values.pop("check")
        check = check and Check(**check)
        return Progress(**values, check=check, tokens_per_s=speed["tokens_per_s"])
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # not there yet, half a line that is being written, or damaged


def _end(file: Path) -> bytes:
    """The last line; lines are short, and files may be long."""
    with file.open("rb") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - 4096))
        return handle.read().splitlines()[-1]

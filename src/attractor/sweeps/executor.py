"""Runs a plan on this machine: several models side by side, each on its own core."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from attractor.machine.processes import cores
from attractor.runs.run import run as run_model
from attractor.sweeps.attempt import ATTEMPTS, GRACE, Work, attempt
from attractor.sweeps.follow import PAUSE, Ended, Watcher, follow
from attractor.sweeps.forking import BLOCKED, apart_from_script, forking
from attractor.sweeps.plan import PlannedRun
from attractor.types import AttractorError

Executor = Callable[[list[PlannedRun], Path, Path, Watcher], None]
"""Does runs, given the data's folder and the sweep's, and raises AttractorError in the end if any
failed."""


def default_workers() -> int:
    """One process for each core on a CPU, where small models gain little from threads; one process
    where there is a GPU."""
    return 1 if torch.cuda.is_available() else cores()


def check_workers(workers: int | None) -> None:
    """Raise AttractorError unless so many processes can do something."""
    if workers is not None and workers < 1:
        raise AttractorError(f"workers = {workers} must be at least 1")


def execute(
    runs: list[PlannedRun],
    data: Path,
    sweep: Path,
    watch: Watcher,
    workers: int | None = None,
    work: Work = run_model,
) -> None:
    """Do every run of the plan; one that fails does not stop the others, and one whose process dies
    is begun again.

    Raises:
        AttractorError: if any failed; what has been done stays.
    """
    check_workers(workers)
    workers = min(workers or default_workers(), len(runs))
    if not runs:
        return
    crew = _Crew(runs, data, sweep, workers, work)
    try:
        follow({run.run_id: run for run in runs}, crew.wait, sweep, watch)
    finally:
        crew.stop()
        for left in sweep.glob(".*.partial"):  # of workers that were stopped
            shutil.rmtree(left, ignore_errors=True)


class _Crew:
    """A process for each run, a few at a time, forked from one that has imported the package."""

    def __init__(
        self, runs: list[PlannedRun], data: Path, sweep: Path, count: int, work: Work
    ) -> None:
        self.data, self.sweep, self.count, self.work = data, sweep, count, work
        self.waiting, self.deaths = list(runs), Counter[str]()
        self.running: dict[str, tuple[PlannedRun, BaseProcess]] = {}
        self.context = forking(attempt.__module__)

    def wait(self, pending: list[str]) -> list[Ended]:
        """Start what there is room for, wait a little, and tell which runs have ended."""
        while self.waiting and len(self.running) < self.count:
            self._start(self.waiting.pop(0))
        wait([process.sentinel for _, process in self.running.values()], PAUSE)
        gone = [(run, process) for run, process in self.running.values() if not process.is_alive()]
        return [ended for run, process in gone if (ended := self._end(run, process))]

    def _start(self, run: PlannedRun) -> None:
        threads = max(1, cores() // self.count)
        task = run, self.data, self.sweep, threads, self.work
        process = self.context.Process(target=_work, args=task, name=run.title)
        # Listed before it begins: an interruption in between would leave it behind.
        self.running[run.run_id] = run, process
        with apart_from_script():
            process.start()

    def _end(self, run: PlannedRun, process: BaseProcess) -> Ended | None:
        del self.running[run.run_id]
        code = process.exitcode or 0
        # Below zero a signal has ended it, such as that of a system without memory. It goes on from
        # its last checkpoint, and before those that have not begun, for the longest come first. An
        # error of its own would only come again.
        if code < 0 and self.deaths[run.run_id] < ATTEMPTS:
            self.deaths[run.run_id] += 1
            self.waiting.insert(0, run)
            return None
        return Ended(run.run_id, f"its process ended with code {code}" if code else None)

    def stop(self) -> None:
        """Ask whoever is left to leave, at which training saves a checkpoint, and wait until they
        have; whoever has not then, since it hangs for instance, is killed."""
        begun = [process for _, process in self.running.values() if process.pid is not None]
        for process in begun:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in begun:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()  # else the interpreter would wait for it at its end, for ever


def _work(run: PlannedRun, data: Path, sweep: Path, threads: int, work: Work) -> None:
    # Ctrl-C, and the end of a terminal, reach every process of it; the parent decides, and sends
    # SIGTERM. That one must come through, although the server, of which this is a copy, keeps it
    # out.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        attempt(run, data, sweep, work)
    except Exception:
        raise SystemExit(1) from None  # the traceback is in the run's folder


def _exit_with_parent() -> None:
    """A worker whose parent was killed does not go on by itself: the same command, given again,
    would find its runs in use."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # from a thread nothing gentler ends a process; its last checkpoint stays

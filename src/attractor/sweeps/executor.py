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
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from attractor.machine.processes import cores
from attractor.runs.run import run as run_model
from attractor.sweeps.attempt import ATTEMPTS, GRACE, Work, attempt
from attractor.sweeps.follow import PAUSE, Ended, Watcher, follow
from attractor.sweeps.plan import PlannedRun
from attractor.types import AttractorError

Executor = Callable[[list[PlannedRun], Path, Path, Watcher], None]
"""Does runs, given the data's folder and the sweep's, and raises AttractorError in the end if any
failed."""


def default_workers() -> int:
    """One process a core on a CPU, where small models gain little from threads; one process on a
    GPU."""
    return 1 if torch.cuda.is_available() else cores()


def execute(
    runs: list[PlannedRun], data: Path, sweep: Path, watch: Watcher, workers: int | None = None,
    work: Work = run_model,
) -> None:  # fmt: skip
    """Do every run of the plan; one that fails does not stop the others, and one whose process dies
    is begun again.

    Raises:
        AttractorError: if any failed; what has been done stays.
    """
    if workers is not None and workers < 1:
        raise AttractorError(f"workers = {workers} must be at least 1")
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
        self.context = _forking()

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
        process.start()
        self.running[run.run_id] = run, process

    def _end(self, run: PlannedRun, process: BaseProcess) -> Ended | None:
        del self.running[run.run_id]
        code = process.exitcode or 0
        if code < 0 and self.deaths[run.run_id] < ATTEMPTS:
            self.deaths[run.run_id] += 1
            self.waiting.insert(0, run)
            return None
        return Ended(run.run_id, f"its process ended with code {code}" if code else None)

    def stop(self) -> None:
        """Ask whoever is left to leave, at which training saves a checkpoint, and wait until they
        have."""
        processes = [process for _, process in self.running.values()]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))


def _forking() -> ForkServerContext:
    """What forks workers; SIGTERM for all does not end it, for then nobody could wait for them."""
    context = multiprocessing.get_context("forkserver")
    # The second is what torch's optimizers import when the first of them is made: seconds, which
    # would otherwise be spent by every run.
    context.set_forkserver_preload([attempt.__module__, "torch._dynamo"])
    resource_tracker.ensure_running()  # which lifts the block, so it goes first
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return context


def _work(run: PlannedRun, data: Path, sweep: Path, threads: int, work: Work) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        attempt(run, data, sweep, work)
    except Exception:
        raise SystemExit(1) from None  # the traceback is in the run's folder


def _exit_with_parent() -> None:
    """A worker whose parent was killed does not go on by itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

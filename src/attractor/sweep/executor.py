"""Runs a plan on this machine: several models side by side, each on its own core."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from attractor.runtime import cores
from attractor.sweep.attempt import Failures, attempt
from attractor.sweep.plan import PlannedRun
from attractor.train.state import Progress
from attractor.types import AttractorError


class RunEvent(NamedTuple):
    """What a watcher hears of a run; `progress` is None when it has finished."""

    run: PlannedRun
    progress: Progress | None


Watcher = Callable[[RunEvent], None]
Executor = Callable[[list[PlannedRun], Path, Path, Watcher], None]
"""Does runs, given the data's folder and the sweep's, and raises AttractorError in the end if any failed."""


def default_workers() -> int:
    """One process a core on a CPU, where small models gain little from threads; one process on a GPU."""
    return 1 if torch.cuda.is_available() else cores()


def execute(runs: list[PlannedRun], data: Path, sweep: Path, watch: Watcher, workers: int | None = None) -> None:
    """Do every run of the plan; one that fails does not stop the others.

    Raises:
        AttractorError: if any failed; what has been done stays.
    """
    if workers is not None and workers < 1:
        raise AttractorError(f"workers = {workers} must be at least 1")
    workers = min(workers or default_workers(), len(runs))
    if not runs:
        return
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        queue = manager.Queue()
        with _relayed(queue, runs, watch), ProcessPoolExecutor(workers, context, _single_thread, (workers,)) as pool:
            futures = [pool.submit(_reported, run, data, sweep, queue) for run in runs]
            try:
                _collect(dict(zip(futures, runs, strict=True)), pool, sweep)
            finally:
                for left in sweep.glob(".*.partial"):  # of workers that were stopped
                    shutil.rmtree(left, ignore_errors=True)


def _reported(planned: PlannedRun, data: Path, sweep: Path, queue: Any) -> None:
    attempt(planned, data, sweep, lambda progress: queue.put((planned.run_id, progress)))
    queue.put((planned.run_id, None))


def _single_thread(workers: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, cores() // workers))


def _exit_with_parent() -> None:
    """A worker whose parent was killed does not go on by itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _collect(futures: dict[Future[None], PlannedRun], pool: ProcessPoolExecutor, sweep: Path) -> None:
    failures = Failures(sweep)
    try:
        for future in as_completed(futures):
            if error := future.exception():
                failures.add(futures[future], error)
        failures.complain(len(futures))
    except BaseException:
        processes = list((pool._processes or {}).values())  # shutdown forgets them
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(timeout=10)
        raise


@contextmanager
def _relayed(queue: Any, runs: list[PlannedRun], watch: Watcher) -> Iterator[None]:
    """Hand what workers report to the watcher, in a thread of this process."""
    by_id = {run.run_id: run for run in runs}

    def relay() -> None:
        while (message := queue.get()) is not None:
            run_id, progress = message
            watch(RunEvent(by_id[run_id], progress))

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        thread.join()

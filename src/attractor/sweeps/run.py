"""A sweep from its config to transition.json and report.html."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

from attractor.config.identity import sweep_config_from_dict
from attractor.config.settings import ProbeConfig, SweepConfig
from attractor.data.dataset import Dataset, open_dataset
from attractor.data.stream import Packed
from attractor.data.subsets import SplitCounts
from attractor.report.page import write_report
from attractor.runs import run as pipeline
from attractor.sweeps.executor import Executor, execute
from attractor.sweeps.follow import Watcher
from attractor.sweeps.plan import PlannedRun, plan, runs_of
from attractor.sweeps.search import ADAPTIVE, require_searchable, search
from attractor.sweeps.summary import summarized, summary_folders, write_summary
from attractor.types import AttractorError

SWEEP = "sweep.json"
LOCATING = ("recovery", "entropy")
"""What every model of a sweep must be measured by."""


def resolve(config: SweepConfig, data: Dataset) -> SweepConfig:
    """Probe rows are at most the smallest training set, so that the same rows are probed at every
    size.

    Raises:
        AttractorError: if that is too small, or what locates the transition is not measured.
    """
    for name in LOCATING:
        if name not in config.probe.measure:
            raise AttractorError(
                f"measure = {', '.join(config.probe.measure)}: a sweep needs "
                f"{' and '.join(LOCATING)}"
            )
    smallest = min(run.config.n_train for run in plan(config, len(data.train)))
    rows = min(config.probe.rows, smallest)
    if rows < 2:
        raise AttractorError(
            f"the smallest training set has {smallest} row: an interval needs at least 2"
        )
    probe = dataclasses.replace(config.probe, rows=rows)
    pipeline.texts_of(data, smallest, probe)  # fails before any training
    return dataclasses.replace(config, probe=probe)


def sweep(
    config: SweepConfig, out: Path, watch: Watcher, *, workers: int | None = None,
    executor: Executor | None = None,
    precision: float | None = None, at_once: int = 1, force: bool = False,
    note: Callable[[SplitCounts, int, ProbeConfig], None] = lambda counts, rows, probe: None,
    on_packing: Callable[[Packed], None] = lambda packed: None,
) -> list[Path]:  # fmt: skip
    """Train and measure every model, locate the transition, write the report; finished runs are
    kept.

    Args:
        config: what to do; see `resolve`.
        out: the sweep's directory.
        watch: hears of progress.
        workers: processes side by side on this machine.
        executor: what does the runs, if not processes of this machine.
        precision: choose sizes one after another until n* is known to this factor; see `search`.
        at_once: sizes that are then chosen at a time.
        force: throw away what another config, or an earlier sweep, left in `out`.
        note: hears what became of the corpus: its counts, rows to train on, what will be probed.
        on_packing: hears of a corpus that is streamed.

    Returns:
        the path of each model's report.html.

    Raises:
        AttractorError: for bad input, if `out` holds something else, and at once if somebody works
            on the same sweep.
    """
    start = time.perf_counter()
    with pipeline.claimed(out, SWEEP, config, force) as lock:
        data = pipeline.prepare(config.data, out / pipeline.DATA, on_packing)
        resolved = resolve(config, data)
        if precision is not None:
            require_searchable(resolved, len(data.train), precision, at_once)
        held = lock.pop_all()
    with held:
        note(data.counts, len(data.train), resolved.probe)
        do, trained = executor or functools.partial(execute, workers=workers), list[PlannedRun]()

        def finish(planned: list[PlannedRun]) -> None:
            waiting = [run for run in planned if not pipeline.is_finished(out / run.run_id)]
            trained.extend(waiting)
            do(waiting, out / pipeline.DATA, out, watch)

        if precision is None:
            (out / ADAPTIVE).unlink(missing_ok=True)
            runs = plan(resolved, len(data.train))
            finish(runs)
        else:
            runs = search(resolved, len(data.train), out, precision, finish, at_once)
        return write_summary(
            resolved, runs, data, out, time.perf_counter() - start if trained else None
        )


def config_of(out: Path) -> SweepConfig:
    """The config of the sweep in a folder, as it was asked for.

    Raises:
        AttractorError: if there is no sweep, or its file is damaged or of a newer schema.
    """
    if not (out / SWEEP).is_file():
        raise AttractorError(f"'{out}' holds no sweep: there is no {SWEEP}")
    return sweep_config_from_dict(pipeline.read_json(out / SWEEP))


def planned_runs(out: Path) -> list[PlannedRun]:
    """The runs of the sweep in a folder; of an adaptive one, those chosen so far.

    Raises:
        AttractorError: as `config_of`, or if no run has begun.
    """
    config = config_of(out)
    if not (out / pipeline.DATA).is_dir():
        raise AttractorError(f"the text of '{out}' is not prepared yet, so no run has begun")
    data = open_dataset(out / pipeline.DATA)
    resolved = resolve(config, data)
    if not (out / ADAPTIVE).is_file():
        return plan(resolved, len(data.train))
    try:
        models = pipeline.read_json(out / ADAPTIVE)["models"]
        return [
            run for model in models for run in runs_of(resolved, model["model"], model["sizes"])
        ]
    except (LookupError, TypeError) as error:
        raise AttractorError(f"'{out / ADAPTIVE}' is damaged: {error!r}") from None


def summarize(out: Path) -> list[Path]:
    """Write the summary of a sweep again, from the results of its runs; returns the path of each
    model's report.html.

    Of a sweep that is not finished, the sizes that are; the page names what is left out. A folder
    without a sweep may hold a transition.json of any origin, and one whose runs are elsewhere that
    of the sweep: the page is drawn of it.

    Raises:
        AttractorError: if no size is finished, if runs were not measured alike, or if the results
            of a run that an earlier summary holds are gone or damaged while others are here.
    """
    if not (out / SWEEP).is_file():
        return [write_report(out)]
    runs, data = planned_runs(out), open_dataset(out / pipeline.DATA)
    config = resolve(config_of(out), data)
    missing, folders = (
        [run for run in runs if not pipeline.is_finished(out / run.run_id)],
        summary_folders(config, out),
    )
    known = [run for run in missing if summarized(folders[run.model], run)]
    if len(known) == len(runs):
        return [write_report(folder) for folder in folders.values()]
    if known:
        raise AttractorError(
            f"the results of {known[0].title} are gone from '{out / known[0].run_id}', or damaged "
            "there; the sweep's "
            "own command measures them again"
        )
    incomplete = {(run.model, run.config.n_train) for run in missing}
    whole = [run for run in runs if (run.model, run.config.n_train) not in incomplete]
    if not whole:
        raise AttractorError(
            f"'{out}' has no finished size yet: {len(missing)} of {len(runs)} runs have no results"
        )
    return write_summary(config, whole, data, out, None, missing)

"""A sweep from its config to transition.json and report.html."""

from __future__ import annotations

import dataclasses
import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from attractor.adapters.sweep_folder import SWEEP as SWEEP
from attractor.adapters.sweep_folder import is_run, no_sweep
from attractor.config.identity import sweep_config_from_dict, to_json
from attractor.config.settings import ProbeConfig, SweepConfig
from attractor.data.dataset import Dataset, open_dataset
from attractor.data.stream import Packed
from attractor.data.subsets import SplitCounts
from attractor.machine.files import clear_up, locked, write_atomically
from attractor.measurements import known
from attractor.measurements.sets import (
    agree,
    asked_of,
    for_process,
    joined,
    recognised,
    spelled_out,
)
from attractor.report.page import write_report
from attractor.runs.folder import DATA, claimed, is_finished, prepare, read_json
from attractor.runs.measure import is_complete, results_of, texts_of
from attractor.runs.monitor import require_watchable
from attractor.sweeps.executor import Executor, check_workers, execute
from attractor.sweeps.follow import Watcher
from attractor.sweeps.plan import PlannedRun, located, plan, runs_of
from attractor.sweeps.search import ADAPTIVE, check_precision, require_searchable, search
from attractor.sweeps.summary import summarized, summary_folders, write_summary
from attractor.types import AttractorError, ProcessName


def locating(process: ProcessName) -> tuple[str, str]:
    """What every model of a sweep must be measured by."""
    first = "prefix_extraction" if process == "autoregressive" else "recovery"
    return first, "entropy"


def resolve(config: SweepConfig, data: Dataset, out: Path) -> SweepConfig:
    """Every measurement named; everything checked that needs no training.

    Raises:
        AttractorError: if a training set is too small, or what locates the transition is not
            measured.
    """
    require_locating(config.probe, config.process)
    probe = spelled_out(for_process(config.probe, config.process))
    config = dataclasses.replace(config, probe=probe)
    planned = plan(config, len(data.train), out)
    smallest = min((run.config for run in planned), key=lambda c: c.n_train)
    if smallest.n_train < 2:
        raise AttractorError(
            f"the smallest training set has {smallest.n_train} row: an interval needs at least 2"
        )
    # In the order that the data have: the others may not be written yet.
    text = dataclasses.replace(config.data, order=0)
    texts_of(data, smallest.n_train, smallest.probe, text=text)  # fails before any training
    if config.monitor.checks:
        rows = min(config.monitor.rows, smallest.n_train, len(data.test))
        require_watchable(config.monitor, rows, data.train.shape[1])
    return config


def require_locating(probe: ProbeConfig, process: ProcessName) -> None:
    """Raise AttractorError unless what locates the transition is measured."""
    measured, needed = spelled_out(for_process(probe, process)).measure, locating(process)
    for name in needed:
        if name not in measured:
            raise AttractorError(
                f"measure = {', '.join(probe.measure)}: a sweep needs {' and '.join(needed)}"
            )


def sweep(
    config: SweepConfig,
    out: Path,
    watch: Watcher,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    precision: float | None = None,
    at_once: int = 1,
    force: bool = False,
    note: Callable[[SplitCounts, int, ProbeConfig], None] = lambda counts, rows, probe: None,
    on_packing: Callable[[Packed], None] = lambda packed: None,
) -> list[Path]:
    """Train and measure every model, locate the transition, write the report.

    Models that are trained are kept, and so are their measurements: given again with more or other
    measurements, only those that are missing are made.

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
    check_workers(workers)
    if precision is not None:
        check_precision(precision, at_once)
    require_locating(config.probe, config.process)
    probe = recognised(asked_of(config))
    config = dataclasses.replace(config, probe=probe)
    # In this block everything is checked that needs no training, so that bad input leaves the
    # folder as it was. The lock is then kept for all that follows.
    with claimed(out, SWEEP, config, force) as lock:
        data = prepare(config.data, out / DATA, on_packing, anew=force, orders=config.orders)
        config = _with_earlier(config, out)
        resolved = resolve(config, data, out)
        if precision is not None:
            require_searchable(resolved, len(data.train), precision, at_once)
        write_atomically(out / SWEEP, to_json(config))
        held = lock.pop_all()
    with held:
        for folder in summary_folders(config, out).values():
            clear_up(folder)
        note(data.counts, len(data.train), resolved.probe)
        do = executor or functools.partial(execute, workers=workers)
        trained: list[PlannedRun] = []

        def finish(planned: list[PlannedRun]) -> None:
            trained.extend(run for run in planned if not is_finished(out / run.run_id))
            do(_incomplete(planned, out), out / DATA, out, watch)

        if precision is None:
            (out / ADAPTIVE).unlink(missing_ok=True)  # otherwise it would say which runs there are
            runs = _runs(resolved, data, out)
            finish(runs)
        else:
            runs = search(resolved, len(data.train), out, precision, finish, at_once)
        # Measuring alone does not count: the page tells how long the models took.
        elapsed = time.perf_counter() - start if trained else None
        return write_summary(resolved, runs, data, out, elapsed)


def measure_sweep(
    out: Path, probe: ProbeConfig, watch: Watcher, workers: int | None = None
) -> list[Path]:
    """Make what the trained models of a sweep lack of these measurements, and write its summary and
    report again. Nothing is trained.

    Args:
        out: the sweep's directory.
        probe: what to measure, and how. What agrees with the measurements that are there is added
            to them; what was asked for in another way goes into a set of its own beside them, which
            the report shows from then on.
        watch: hears of progress.
        workers: processes side by side on this machine.

    Returns:
        the path of each model's report.html.

    Raises:
        AttractorError: for bad input, if `out` holds no sweep with a trained model, or if somebody
            works on it.
    """
    check_workers(workers)
    earlier = config_of(out)
    probe = recognised(for_process(probe, earlier.process))
    with locked(out):
        data = open_prepared(out)
        if not agree(earlier.probe, probe):  # a set of its own, which is to be a sweep's as well
            names = (*spelled_out(probe).measure, *locating(earlier.process))
            probe = dataclasses.replace(probe, measure=names)
        config = _with_earlier(dataclasses.replace(earlier, probe=probe), out)
        planned = _runs(config, data, out)
        runs = [run for run in planned if is_finished(out / run.run_id)]
        if not runs:
            raise AttractorError(
                f"'{out}' has no finished model to measure: `attractor sweep` trains them first"
            )
        _require_present(config, planned, out)
        write_atomically(out / SWEEP, to_json(config))
        execute(_incomplete(runs, out), out / DATA, out, watch, workers=workers)
        return summarize(out)


def _with_earlier(config: SweepConfig, out: Path) -> SweepConfig:
    """The config with what the sweep was asked to measure before, if that goes together."""
    earlier = config_of(out).probe
    if not agree(earlier, config.probe):
        return config
    return dataclasses.replace(config, probe=joined(earlier, config.probe))


def _incomplete(runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    return [run for run in runs if not is_complete(out / run.run_id, run.config.probe)]


def config_of(out: Path) -> SweepConfig:
    """The config of the sweep in a folder, as it was asked for.

    Raises:
        AttractorError: if there is no sweep, or its file is damaged or of a newer schema.
    """
    if not (out / SWEEP).is_file():
        raise no_sweep(out)
    config = sweep_config_from_dict(read_json(out / SWEEP), out / SWEEP)
    names = known(config.probe.measure)
    if names == config.probe.measure:
        return config
    lost = ", ".join(name for name in config.probe.measure if name not in names)
    warnings.warn(
        f"'{out / SWEEP}' asks for {lost}, which this version does not measure: what is there of "
        "it is kept, and not shown",
        stacklevel=2,
    )
    return dataclasses.replace(
        config, probe=dataclasses.replace(config.probe, measure=names or locating(config.process))
    )


def open_prepared(out: Path) -> Dataset:
    """The text of the sweep in a folder.

    Raises:
        AttractorError: if it is not there yet.
    """
    if not (out / DATA).is_dir():
        raise AttractorError(f"the text of '{out}' is not prepared yet, so no run has begun")
    return open_dataset(out / DATA)


def planned_runs(out: Path) -> list[PlannedRun]:
    """The runs of the sweep in a folder; of an adaptive one, those chosen so far.

    Raises:
        AttractorError: as `config_of`, or if no run has begun.
    """
    return _runs(config_of(out), open_prepared(out), out)


def _runs(config: SweepConfig, data: Dataset, out: Path) -> list[PlannedRun]:
    resolved = resolve(config, data, out)
    if not (out / ADAPTIVE).is_file():
        return _as_probed_before(located(plan(resolved, len(data.train), out), out), out)
    try:
        models = read_json(out / ADAPTIVE)["models"]
        chosen = [runs_of(resolved, model["model"], model["sizes"]) for model in models]
    except (LookupError, TypeError) as error:
        raise AttractorError(f"'{out / ADAPTIVE}' is damaged: {error!r}") from None
    return located([run for runs in chosen for run in runs], out)


def _as_probed_before(runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    """The same runs, or, where an earlier version has measured them, with its number of rows: of
    every training set it probed only as many as the smallest one has."""
    smallest = min(run.config.n_train - run.config.data.copies for run in runs)
    larger = [run for run in runs if run.config.probe.rows > max(2, smallest)]
    if any(results_of(out / run.run_id, run.config.probe) for run in larger):
        return runs
    alike = [_with_rows(run, min(run.config.probe.rows, max(2, smallest))) for run in runs]
    before = [run for run in alike if results_of(out / run.run_id, run.config.probe)]
    grown = any(run.config.n_train - run.config.data.copies > smallest for run in before)
    return alike if grown else runs


def _with_rows(run: PlannedRun, rows: int) -> PlannedRun:
    probe = dataclasses.replace(run.config.probe, rows=rows)
    return run._replace(config=dataclasses.replace(run.config, probe=probe))


def summarize(out: Path, row: int | None = None) -> list[Path]:
    """Write the summary of a sweep again, from the results of its runs; returns the path of each
    model's report.html.

    Of a sweep that is not finished, the sizes that are; the page names what is left out. A folder
    without a sweep may hold a transition.json of any origin, and one whose runs are elsewhere that
    of the sweep: the page is drawn of it.

    Args:
        out: the sweep's folder.
        row: which row of each kind of text the passages show; by default a typical one.

    Raises:
        AttractorError: if a row is asked for and there are no runs, if no size is finished, if runs
            were not measured alike, or if the results of a run that an earlier summary holds are
            gone or damaged while others are here.
    """
    if not (out / SWEEP).is_file() and not is_run(out):
        _require_runs(out, row)
        return [write_report(out)]
    runs, data = planned_runs(out), open_dataset(out / DATA)
    config = resolve(config_of(out), data, out)
    if len(_gone(config, runs, out)) == len(runs):  # a published page whose runs were left behind
        _require_runs(out, row)
        return [write_report(folder) for folder in summary_folders(config, out).values()]
    _require_present(config, runs, out)
    missing = [run for run in runs if results_of(out / run.run_id, run.config.probe) is None]
    # A size counts when all its seeds are there: some of them would be another mean.
    incomplete = {(run.model, run.config.n_train) for run in missing}
    whole = [run for run in runs if (run.model, run.config.n_train) not in incomplete]
    if not whole:
        raise AttractorError(
            f"'{out}' has no finished size yet: {len(missing)} of {len(runs)} runs have no results"
        )
    return write_summary(config, whole, data, out, None, missing, row)


def _require_runs(out: Path, row: int | None) -> None:
    if row is not None:
        raise AttractorError(
            f"row = {row}: the runs of '{out}' are not there, and only passages.json is; "
            "leave --row out"
        )


def _gone(config: SweepConfig, runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    """Runs without results that an earlier summary holds: theirs are lost, while other runs without
    results have not been reached yet."""
    folders = summary_folders(config, out)
    unfinished = [run for run in runs if not is_finished(out / run.run_id)]
    return [run for run in unfinished if summarized(folders[run.model], run)]


def _require_present(config: SweepConfig, runs: list[PlannedRun], out: Path) -> None:
    """Raise AttractorError if results are lost: a page without them would look as if they had never
    been."""
    if gone := _gone(config, runs, out):
        raise AttractorError(
            f"the results of {gone[0].title} are gone from '{out / gone[0].run_id}', or damaged "
            "there; the sweep's own command measures them again"
        )

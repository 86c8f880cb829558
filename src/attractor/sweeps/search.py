"""An adaptive sweep: rounds of few models, each chosen from what the others have shown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attractor.analysis.adaptive import Decision, decide
from attractor.analysis.summary import RecoveryCurves, recovery_curves
from attractor.analysis.transition import Table
from attractor.config.settings import SweepConfig
from attractor.data.subsets import nested_sizes
from attractor.machine.files import write_atomically
from attractor.results.tables import RunResults, read_results
from attractor.runs.measure import results_of
from attractor.sweeps.plan import PlannedRun, located, runs_of, sizes_of
from attractor.types import AttractorError

ADAPTIVE = "adaptive.json"


def search(
    config: SweepConfig,
    available: int,
    out: Path,
    precision: float,
    finish: Callable[[list[PlannedRun]], None],
    at_once: int = 1,
) -> list[PlannedRun]:
    """Train models until n* of recovery at the smallest time is known to `precision`, or cannot be.

    Args:
        config: the sweep; sizes are chosen between its smallest and its largest.
        available: rows of the training set.
        out: the sweep's folder; adaptive.json in it says what was chosen, and why the search ended.
        precision: largest ratio of the ends of the interval of n*, and of the sizes around it.
        finish: sees to it that runs are finished.
        at_once: sizes of each model to train side by side.

    Returns:
        the runs it took.
    """
    # What to measure next is a function of what has been measured and of nothing else. So a search
    # that was interrupted begins from nothing and decides as it did before, and comes in an instant
    # to where it was, since runs that are finished are not done again.
    candidates = candidate_sizes(sizes_of(config, available, out), precision)
    chosen: dict[str, list[int]] = {name: [] for name in config.each_model()}
    t = min(config.probe.t)
    while True:
        decisions = {}
        for name, sizes in chosen.items():
            results = [_results(out, run) for run in runs_of(config, name, sizes)]
            nothing = RecoveryCurves(np.empty(0), *[Table(np.empty(0))] * 2)
            seen = recovery_curves(results, t) if results else nothing
            decisions[name] = decide(
                seen.sizes, seen.train, seen.test, candidates, precision, at_once
            )
        for name, decision in decisions.items():
            chosen[name] += decision.sizes
        # Before the training, so that from elsewhere it can be seen which runs there are to be.
        record = _record(t, precision, chosen, decisions)
        write_atomically(out / ADAPTIVE, json.dumps(record, indent=1))
        wanted = [
            run
            for name, decision in decisions.items()
            for run in runs_of(config, name, reversed(decision.sizes))  # the longest ones first
        ]
        if not wanted:
            runs = [run for name, sizes in chosen.items() for run in runs_of(config, name, sizes)]
            return located(runs, out)
        finish(located(wanted, out))


def _results(out: Path, run: PlannedRun) -> RunResults:
    """Of a run that is finished, wherever it lies."""
    folder = out / located([run], out)[0].run_id
    return read_results(results_of(folder, run.config.probe) or folder)


def require_searchable(config: SweepConfig, available: int, precision: float, at_once: int) -> None:
    """Raise AttractorError unless there is something to search, and an end to it."""
    check_precision(precision, at_once)
    if len(nested_sizes(config.sizes, available)) < 2:
        raise AttractorError(
            f"sizes = {config.sizes}: an adaptive sweep needs a smallest and a largest one"
        )


def check_precision(precision: float, at_once: int) -> None:
    """Raise AttractorError unless a search of this precision can end."""
    if not 1 < precision < math.inf or at_once < 1:
        raise AttractorError(
            f"precision = {precision} must be above 1, and at_once = {at_once} at least 1"
        )


def candidate_sizes(sizes: list[int], precision: float) -> np.ndarray:
    """The sizes asked for, and between their ends steps so small that two of them are within the
    precision."""
    low, high = sizes[0], sizes[-1]
    steps = _steps(low, high, precision)
    if steps < high - low:
        filled = np.rint(np.geomspace(low, high, steps + 1)).astype(int)
    else:
        filled = np.arange(low, high + 1)  # every size there is
    return np.union1d(sizes, filled).astype(np.float64)


def most_sizes(config: SweepConfig, precision: float, at_once: int) -> int:
    """How many sizes of each model a search can take at most, before the corpus is read.

    Fractions are taken of a very large one: of a small one, rounding to rows makes it a few more or
    fewer.

    Raises:
        AttractorError: as `require_searchable`.
    """
    large = max(10**9, *map(int, config.sizes))
    require_searchable(config, large, precision, at_once)
    sizes = nested_sizes(config.sizes, large)
    low, high = sizes[0], sizes[-1]
    return min(len(sizes) + _steps(low, high, precision) - 1, high - low + 1)


def _steps(low: int, high: int, precision: float) -> int:
    """Equal steps in log n from one end to the other, two of which are within the precision."""
    return 1 + math.ceil(math.log(high / low) / math.log(precision) * 2)


def _record(
    t: float, precision: float, chosen: dict[str, list[int]], decisions: dict[str, Decision]
) -> dict[str, Any]:
    models = [
        {
            "model": name,
            "sizes": chosen[name],
            "next": decision.sizes,
            "reason": decision.reason,
            "n_star": decision.found.n_star,
            "ci": decision.found.ci,
        }
        for name, decision in decisions.items()
    ]
    return {"schema": 1, "t": t, "precision": precision, "models": models}

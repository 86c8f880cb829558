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
from attractor.config.settings import SweepConfig
from attractor.data.subsets import nested_sizes
from attractor.machine.files import write_atomically
from attractor.results.tables import RunResults, read_results
from attractor.runs.measure import results_of
from attractor.sweeps.plan import PlannedRun, located, runs_of
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
        precision: largest ratio of the ends of the interval of n*.
        finish: sees to it that runs are finished.
        at_once: sizes of each model to train side by side.

    Returns:
        the runs it took.
    """
    candidates = candidate_sizes(nested_sizes(config.sizes, available), precision)
    chosen: dict[str, list[int]] = {name: [] for name in config.each_model()}
    t = min(config.probe.t)
    while True:
        decisions = {}
        for name, sizes in chosen.items():
            results = [_results(out, run) for run in runs_of(config, name, sizes)]
            measured = (
                recovery_curves(results, t) if results else RecoveryCurves(*[np.empty(0)] * 3)
            )
            decisions[name] = decide(
                measured.sizes, measured.train, measured.test, candidates, precision, at_once
            )
        for name, decision in decisions.items():
            chosen[name] += decision.sizes
        write_atomically(
            out / ADAPTIVE, json.dumps(_record(t, precision, chosen, decisions), indent=1)
        )
        wanted = [
            run
            for name in decisions
            for run in runs_of(config, name, reversed(decisions[name].sizes))
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
    if not 1 < precision < math.inf or at_once < 1:
        raise AttractorError(
            f"precision = {precision} must be above 1, and at_once = {at_once} at least 1"
        )
    if len(nested_sizes(config.sizes, available)) < 2:
        raise AttractorError(
            f"sizes = {config.sizes}: an adaptive sweep needs a smallest and a largest one"
        )


def candidate_sizes(sizes: list[int], precision: float) -> np.ndarray:
    """The sizes asked for, and between their ends steps so small that two of them are within the
    precision."""
    low, high = sizes[0], sizes[-1]
    steps = _steps(low, high, precision)
    few = steps < high - low
    filled = (
        np.rint(np.geomspace(low, high, steps + 1)).astype(int) if few else np.arange(low, high + 1)
    )
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
    return 1 + math.ceil(math.log(high / low) / math.log(precision) * 2)


def _record(
    t: float, precision: float, chosen: dict[str, list[int]], decisions: dict[str, Decision]
) -> dict[str, Any]:
    models = [
        {"model": name, "sizes": chosen[name], "next": decision.sizes, "reason": decision.reason,
         "n_star": decision.found.n_star, "ci": decision.found.ci}
        for name, decision in decisions.items()
    ]  # fmt: skip
    return {"schema": 1, "t": t, "precision": precision, "models": models}

"""The transition over training time: what the checks of a sweep's trainings say of it together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attractor.analysis.onset import (
    MIN_CHECKS,
    Course,
    Onset,
    Watched,
    courses,
    growth,
    onset,
    order,
    order_over_sizes,
)
from attractor.analysis.statistics import mean_interval
from attractor.results.tables import Replicate
from attractor.results.thresholds import NEAR
from attractor.sweeps.plan import PlannedRun
from attractor.train.logbook import METRICS
from attractor.types import AttractorError

SPACING = 1.1
"""Factor by which the steps of checks that are used are at least apart: more of them tell nothing
more of an onset, and checks every so many steps can be thousands."""
PAIRS = (("advantage", "copies"), ("advantage", "entropy"))
"""Recovery beside the two sides of generation."""
Rows = dict[str, list[float | None]]


class _Size(NamedTuple):
    n_train: int
    watched: Watched


def onset_summary(runs: Sequence[PlannedRun], out: Path) -> dict[str, Any] | None:
    """What transition.json holds of the transition over training time; None without checks.

    Args:
        runs: finished runs of one model.
        out: the sweep's folder.

    Raises:
        AttractorError: for a damaged metrics.jsonl, naming it.
    """
    found: dict[int, dict[Replicate, dict[int, Rows]]] = {}
    for run in runs:
        replicate = Replicate(run.config.data.order, run.config.seed)
        checks = read_checks(out / run.run_id / METRICS)
        found.setdefault(run.config.n_train, {})[replicate] = checks
    if not any(checks for there in found.values() for checks in there.values()):
        return None
    sizes = [size for n in sorted(found) if (size := _size(n, found[n]))]
    settings = runs[0].config.monitor
    said: dict[str, Any] = {"t": settings.t, "checks": [], "onsets": [], "growth": [], "order": []}
    if not sizes:
        return {**said, "reason": f"fewer than {MIN_CHECKS} checks at any size"}
    largest = sizes[-1] if len(sizes) > 1 else None
    every = {size.n_train: _courses(size, largest) for size in sizes}
    onsets = {
        n: {name: onset(course) for name, course in there.items()} for n, there in every.items()
    }
    return {
        **said,
        "reason": None,
        "reference": largest.n_train if largest else None,
        "checks": [line for size in sizes for line in _checks(size, every[size.n_train])],
        "onsets": [
            {"n_train": n, "quantity": name, **place.plain()}
            for n, there in onsets.items()
            for name, place in there.items()
        ],
        "growth": [{"quantity": name, **_growth(onsets, name)} for name in every[sizes[0].n_train]],
        "order": [line for pair in PAIRS for line in _order(onsets, *pair)],
    }


def read_checks(path: Path) -> dict[int, Rows]:
    """The rows of every check of a metrics.jsonl by step; none where there is no such file, or
    where an earlier version watched.

    Raises:
        AttractorError: for a damaged file.
    """
    if not path.is_file():
        return {}
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        checks = {line["step"]: line.get("check") or {} for line in lines}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise AttractorError(f"{path}: not the metrics of a training ({error})") from None
    found = {step: check["per_row"] for step, check in checks.items() if check.get("per_row")}
    # A training that was taken up again with other settings of its checks has some of either kind:
    # those of the last one count.
    shapes = {step: {name: len(x) for name, x in rows.items()} for step, rows in found.items()}
    last = shapes[max(shapes)] if shapes else {}
    return {step: rows for step, rows in found.items() if shapes[step] == last}


def _size(n_train: int, found: dict[Replicate, dict[int, Rows]]) -> _Size | None:
    """The checks that all training runs of a size share; None where they are too few, or say
    nothing of recovery."""
    replicates = sorted(found)
    each = [found[replicate] for replicate in replicates]
    steps = list(_spaced(sorted(set.intersection(*(set(checks) for checks in each)))))
    if len(steps) < MIN_CHECKS:
        return None

    def rows(name: str) -> np.ndarray:
        at = [[checks[step][name] for step in steps] for checks in each]
        return np.array(at, dtype=np.float64).transpose(0, 2, 1)

    for split in ("train", "test"):
        if np.isnan(rows(f"recovery_{split}")).all(1).any():
            return None  # of so few tokens that none of them was corrupted in any row
    watched = Watched(
        np.array(steps, dtype=np.float64),
        rows("recovery_train"),
        rows("recovery_test"),
        rows("entropy_generated"),
        (rows("nearest_generated") <= NEAR).astype(np.float64),
        (rows("nearest_test") <= NEAR).astype(np.float64),
        tuple(replicates),
    )
    return _Size(n_train, watched)


def _spaced(steps: Iterable[int]) -> Iterator[int]:
    last = 0.0
    for step in steps:
        if step >= SPACING * last:
            last = step
            yield step


def _courses(size: _Size, largest: _Size | None) -> dict[str, Course]:
    """The courses of a size, its entropy relative to that of the largest where both were watched at
    the same steps."""
    same = largest is not None and np.array_equal(size.watched.steps, largest.watched.steps)
    apart = largest is not None and size.n_train != largest.n_train
    return courses(size.watched, largest.watched if largest and same and apart else None)


def _checks(size: _Size, found: dict[str, Course]) -> Iterator[dict[str, Any]]:
    ends = {name: course.ci() for name, course in found.items()}
    for i, step in enumerate(size.watched.steps.tolist()):
        line: dict[str, Any] = {"n_train": size.n_train, "step": int(step)}
        for name in ("advantage", "copies"):
            line |= {name: float(found[name].mean[i]), f"{name}_ci": list(ends[name][i])}
        for name in ("entropy", "recovery_train", "recovery_test"):
            # Over training runs first, which share their rows and what is corrupted of them.
            rows = getattr(size.watched, name)[..., i].mean(0)
            mean = mean_interval(rows, share=name != "entropy", missing=True)
            line |= {name: mean.value, f"{name}_ci": list(mean.ends())}
        yield line


def _growth(onsets: dict[int, dict[str, Onset]], name: str) -> dict[str, Any]:
    there = {n: places[name] for n, places in onsets.items() if name in places}
    return growth(list(there), list(there.values()))._asdict()


def _order(
    onsets: dict[int, dict[str, Onset]], first: str, second: str
) -> Iterator[dict[str, Any]]:
    """The order of two onsets at each size that has both, and over all of them (without a size)."""
    there = {n: places for n, places in onsets.items() if first in places and second in places}
    named = {"first": first, "second": second}
    for n, places in there.items():
        decided = order(places[first], places[second], comparisons=len(there))
        yield {"n_train": n, **named, **decided._asdict()}
    together = [[places[name] for places in there.values()] for name in (first, second)]
    yield {"n_train": None, **named, **order_over_sizes(*together)._asdict()}

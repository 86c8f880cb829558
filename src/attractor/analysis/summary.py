"""A finished sweep in one dictionary: the content of transition.json."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.transition import Transition, entropy_transition, recovery_transition
from attractor.results import RunResults

SCHEMA = 1
Values = NDArray[np.float64]


def transition_summary(runs: list[RunResults], elapsed_s: float) -> dict[str, Any]:
    """Rows, transition, entropy transition: exactly what transition.json holds."""
    runs = sorted(runs, key=lambda run: (run.provenance.n_train, run.provenance.seed))
    times = runs[0].times()
    return {
        "schema": SCHEMA,
        "elapsed_s": round(elapsed_s, 1),
        "rows": [_curve_point(run, split, t) for run in runs for split in ("train", "test") for t in times],
        "transition": [{"t": t, **_located(_recovery(runs, t))} for t in times],
        "entropy_transition": _located(_entropy(runs), "n_star", "ci"),
        "perplexity_peak": None,
    }


def measurements_summary(runs: list[RunResults]) -> dict[str, Any]:
    """Every row of every run, for the report."""
    rows = [
        {"n_train": run.provenance.n_train, "seed": run.provenance.seed, "split": row.split, "t": row.t,
         "measurement": row.measurement, "value": row.value, "ci": [row.low, row.high], "sequences": row.sequences}
        for run in sorted(runs, key=lambda run: (run.provenance.n_train, run.provenance.seed))
        for row in run.rows
    ]  # fmt: skip
    return {"schema": SCHEMA, "rows": rows}


def _curve_point(run: RunResults, split: str, t: float) -> dict[str, Any]:
    rate, entropy = run.row(split, "recovery_rate", t), run.row(split, "conditional_entropy")
    return {
        "n_train": run.provenance.n_train,
        "seed": run.provenance.seed,
        "split": split,
        "t": t,
        "recovery_rate": rate.value,
        "recovery_ci": [rate.low, rate.high],
        "unstable_rate": run.value(split, "unstable_rate", t),
        "conditional_entropy": entropy.value,
        "entropy_ci": [entropy.low, entropy.high],
        "vanishing_share": run.row(split, "vanishing_share").value,
        "nelbo_per_token": run.row(split, "nelbo_per_token").value,
    }


def _recovery(runs: list[RunResults], t: float) -> Transition:
    sizes, train = _curves(runs, lambda run: _recovery_per_sequence(run, "train", t))
    _, test = _curves(runs, lambda run: _recovery_per_sequence(run, "test", t))
    return recovery_transition(sizes, train, test)


def _entropy(runs: list[RunResults]) -> Transition:
    sizes, train = _curves(runs, lambda run: run.array("value", "entropy", "train")[0].mean(1))
    return entropy_transition(sizes, train)


def _curves(runs: list[RunResults], per_sequence: Any) -> tuple[Values, Values]:
    """Sizes, (S,), and one curve a sequence, (N, S), averaged over training seeds."""
    by_size: defaultdict[int, list[Values]] = defaultdict(list)
    for run in runs:
        by_size[run.provenance.n_train].append(per_sequence(run))
    sizes = np.array(sorted(by_size), dtype=np.float64)
    return sizes, np.stack([np.mean(by_size[int(n)], 0) for n in sizes], 1)


def _recovery_per_sequence(run: RunResults, split: str, t: float) -> Values:
    """Share of perturbed tokens that return, pooled over the repeats of each sequence."""
    original, corrupted, recovered = (
        run.array(column, "recovery", split, t) for column in ("original", "corrupted", "recovered")
    )
    perturbed = corrupted != original
    with np.errstate(invalid="ignore"):
        return ((recovered == original) & perturbed).sum((0, 2)) / perturbed.sum((0, 2))


def _located(found: Transition, *keys: str) -> dict[str, Any]:
    values = found._asdict()
    return {key: values[key] for key in (keys or values)}

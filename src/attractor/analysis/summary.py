"""A finished sweep in one dictionary: the content of transition.json."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.calibration import Surprise, calibration_transition
from attractor.analysis.detection import auroc, transfer
from attractor.analysis.transition import (
    Transition,
    agreements,
    entropy_bend,
    entropy_transition,
    perplexity_peak,
    recovery_transition,
)
from attractor.results.estimate import Groups
from attractor.results.tables import Replicate, Row, RunResults
from attractor.types import AttractorError

SCHEMA = 1
"""Version of the layout of transition.json."""
Values = NDArray[np.float64]


def transition_summary(runs: list[RunResults], elapsed_s: float) -> dict[str, Any]:
    """Rows, transition, entropy transition: exactly what transition.json holds."""
    runs = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    times = runs[0].times()
    return {
        "schema": SCHEMA,
        "elapsed_s": round(elapsed_s, 1),
        "rows": [
            _curve_point(run, split, t)
            for run in runs
            for split in ("train", "test")
            for t in times
        ],
        **places(runs, times),
    }


class RecoveryCurves(NamedTuple):
    """Sizes, (S,), and recovery of each training and each unseen sequence at each, (training seeds,
    N, S)."""

    sizes: Values
    train: Values
    test: Values


def recovery_curves(runs: list[RunResults], t: float) -> RecoveryCurves:
    """The curves that `recovery_transition` takes, at one corruption time t.

    Raises:
        AttractorError: if a size lacks a seed that another has.
    """

    def recovered(split: str) -> Values:
        return _curves(runs, lambda run: run.outcomes(split, t).rate_per_sequence())

    sizes = np.array(sorted({run.provenance.n_train for run in runs}), dtype=np.float64)
    return RecoveryCurves(sizes, recovered("train"), recovered("test"))


def places(runs: list[RunResults], times: list[float]) -> dict[str, Any]:
    """Where recovery, entropy and generative perplexity change, and how far apart these places
    are."""
    sizes = recovery_curves(runs, times[0]).sizes
    recovery = {t: recovery_transition(*recovery_curves(runs, t)) for t in times}
    train = _curves(runs, lambda run: run.per_sequence("entropy", "train"))
    entropy, change = entropy_transition(sizes, train), entropy_bend(sizes, train)
    peak = None
    if all(run.has("judge", "generated") for run in runs):
        nats = _curves(runs, lambda run: run.per_sequence("judge", "generated"))
        peak = perplexity_peak(sizes, nats)
    found = {f"recovery at t = {t:g}": place for t, place in recovery.items()}
    found["entropy"] = entropy
    calibrated = _calibration(runs, sizes)
    if calibrated is not None:
        found["calibration"] = calibrated
    if peak is not None:
        found["generative perplexity"] = peak
    return {
        "transition": [{"t": t, **place.plain()} for t, place in recovery.items()],
        "entropy_transition": entropy.plain(),
        "entropy_change": change.plain(),
        "calibration_transition": None if calibrated is None else calibrated.plain(),
        "perplexity_peak": None if peak is None else _peak(peak),
        "agreement": [pair._asdict() for pair in agreements(found)],
    }


def _calibration(runs: list[RunResults], sizes: Values) -> Transition | None:
    """The place of calibration; None where it was not measured."""
    if not all(run.has("calibration_nll", split) for run in runs for split in ("train", "test")):
        return None

    def surprise(split: str) -> Surprise:
        nll, entropy = (
            _curves(runs, functools.partial(_per_sequence, f"calibration_{name}", split))
            for name in ("nll", "entropy")
        )
        return Surprise(nll, entropy)

    return calibration_transition(sizes, surprise("train"), surprise("test"))


def _per_sequence(array: str, split: str, run: RunResults) -> Values:
    return run.per_sequence(array, split)


def _peak(found: Transition) -> dict[str, Any]:
    n = None if found.n_star is None else round(found.n_star)
    return {"n_train": n, "ci": found.ci, "reason": found.reason, "warning": found.warning}


def models_summary(models: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """The transition.json of several models: the content of theirs, everything in it labelled.

    Args:
        models: the labels of each, such as its name and parameters, and its `transition_summary`.
    """

    def labelled(key: str) -> list[dict[str, Any]]:
        """Every entry under a key of every model; a single entry is a list of one, None is none."""
        entries = []
        for label, summary in models:
            content = summary[key]
            if content is not None:
                parts = content if isinstance(content, list) else [content]
                entries += [{**label, **entry} for entry in parts]
        return entries

    whole = {"schema": SCHEMA, "elapsed_s": max(summary["elapsed_s"] for _, summary in models)}
    return {**whole, **{key: labelled(key) for key in models[0][1] if key not in whole}}


def measurements_summary(runs: list[RunResults], controls: dict[str, RunResults]) -> dict[str, Any]:
    """Every row of every run and of every control."""
    ordered = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    return {
        "schema": SCHEMA,
        "rows": [
            {"n_train": run.provenance.n_train, **_replicate(run), **_plain(row)}
            for run in ordered
            for row in run.rows
        ],
        "controls": [
            {"control": name, **_plain(row)} for name, run in controls.items() for row in run.rows
        ],
    }


class Case(NamedTuple):
    """What recovery and what entropy say of one model."""

    memorizing: bool
    """the intervals of training and of unseen recovery do not overlap at the smallest time"""
    entropy: float | None
    """entropy of its own generations, nats per token; None where they were not measured"""


def case_of(run: RunResults) -> Case:
    """What recovery at the smallest time, and the entropy of its own generations, say of a
    model."""
    t = run.times()[0]
    (low, _), (_, high) = (run.row(split, "recovery_rate", t).ends() for split in ("train", "test"))
    return Case(low > high, run.value("generated", "conditional_entropy"))


def model_detector(
    cases: Sequence[Case], groups: Sequence[Hashable], held_out: str
) -> dict[str, Any]:
    """Does the entropy of its own generations tell a memorizing model from a generalizing one?

    Args:
        cases: of each model.
        groups: what each belongs to; the threshold is chosen on all groups but one and scored on
            that one.
        held_out: what a group is called.
    """
    # A memorizing model is sure of what it writes: the score is minus the entropy.
    entropies = [v.entropy for v in cases if v.entropy is not None]
    if len(entropies) < len(cases):
        return {"reason": "the models' own generations were not measured"}
    memorizing, scores = np.array([v.memorizing for v in cases]), -np.array(entropies)
    kinds = {"models": len(cases), "memorizing": int(memorizing.sum()), "held_out": held_out}
    if min(memorizing.sum(), (~memorizing).sum()) < 2:
        return {**kinds, "reason": "fewer than 2 models of one kind"}
    area = auroc(scores[memorizing], scores[~memorizing])
    scored = transfer(scores, memorizing, groups)
    found = {**kinds, "auroc": area.value, "auroc_ci": [area.low, area.high]}
    if scored is None:
        return {**found, "reason": f"no threshold can be chosen without one {held_out}"}
    accuracy = scored.accuracy
    return {
        **found,
        "accuracy": accuracy.value,
        "accuracy_ci": [accuracy.low, accuracy.high],
        "groups": scored.groups,
    }


def _plain(row: Row) -> dict[str, Any]:
    return {
        "split": row.split,
        "t": row.t,
        "at": row.at,
        "measurement": row.measurement,
        "value": row.value,
        "ci": None if row.low is None else [row.low, row.high],
        "sequences": row.sequences,
        **({} if row.groups is None else _design(row)),
    }


def _design(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("groups", "icc", "design_effect", "by_group")}


def _replicate(run: RunResults) -> dict[str, int]:
    return {"seed": run.provenance.seed, "data_seed": run.provenance.data_seed}


def _curve_point(run: RunResults, split: str, t: float) -> dict[str, Any]:
    rate, entropy = run.row(split, "recovery_rate", t), run.row(split, "conditional_entropy")
    return {
        "n_train": run.provenance.n_train,
        **_replicate(run),
        "split": split,
        "t": t,
        "recovery_rate": rate.value,
        "recovery_ci": [rate.low, rate.high],
        "unstable_rate": run.value(split, "unstable_rate", t),
        "conditional_entropy": entropy.value,
        "entropy_ci": [entropy.low, entropy.high],
        "vanishing_share": run.row(split, "vanishing_share").value,
        "nelbo_per_token": run.value(split, "nelbo_per_token"),
    }


def _curves(runs: list[RunResults], per_sequence: Callable[[RunResults], Values]) -> Values:
    """One curve a sequence for each replicate, (replicates, N, S), in the order of `replicates`.

    Raises:
        AttractorError: if a size lacks a replicate that another has.
    """
    found = {(run.replicate, run.provenance.n_train): per_sequence(run) for run in runs}
    sizes = sorted({size for _, size in found})
    for replicate, size in itertools.product(replicates(runs), sizes):
        if (replicate, size) not in found:
            order = f" and data seed {replicate.data_seed}" if replicate.data_seed else ""
            raise AttractorError(
                f"there is no model of seed {replicate.seed}{order} at n = {size}: every size "
                "needs the same seeds"
            )
    return np.stack([np.stack([found[r, n] for n in sizes], 1) for r in replicates(runs)])


def replicates(runs: Sequence[RunResults]) -> list[Replicate]:
    """The training runs that there are of each size, in the order of the first axis of curves."""
    return sorted({run.replicate for run in runs})


def common_groups(
    runs: Sequence[RunResults], measurement: str, split: str, t: float | None = None
) -> Groups | None:
    """Which sequences of a kind of text belong together; None where that is not known, or is not
    the same in all runs, as of training rows under several data seeds. Of runs with fewer rows they
    are the first ones."""
    found = [run.groups(measurement, split, t) for run in runs]
    known = [groups for groups in found if groups is not None]
    if len(known) < len(runs):
        return None
    longest = max(known, key=lambda groups: len(groups.of))
    same = all(np.array_equal(g.of, longest.of[: len(g.of)]) for g in known)
    return longest if same else None

"""A finished sweep in one dictionary: the content of transition.json."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.advantage import HALF, basin_advantage, share_kept
from attractor.analysis.agreement import agreements
from attractor.analysis.calibration import Surprise, calibration_transition
from attractor.analysis.detection import auroc, transfer
from attractor.analysis.groups import design
from attractor.analysis.transition import (
    TEST,
    TRAIN,
    Table,
    Transition,
    combined,
    copying_transition,
    entropy_bend,
    entropy_transition,
    half_way,
    mean_curves,
    perplexity_peak,
    recovery_transition,
)
from attractor.results.estimate import Groups
from attractor.results.tables import Arrays, Replicate, Row, RunResults
from attractor.results.thresholds import NEAR

SCHEMA = 1
"""Version of the layout of transition.json."""
PEAKS: dict[str, Literal["generative", "validation"]] = {
    "judge": "generative",
    "nelbo": "validation",
}
"""The perplexity that each measurement makes."""
PEAK_KEYS = ("perplexity_peak", "validation_peak")
Values = NDArray[np.float64]


def transition_summary(runs: list[RunResults], elapsed_s: float, margin: float) -> dict[str, Any]:
    """Rows and places: exactly what transition.json holds.

    Args:
        runs: of one model, measured alike.
        elapsed_s: seconds the sweep took.
        margin: largest ratio of two places that agree.
    """
    runs = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    times = runs[0].times()
    return {
        "schema": SCHEMA,
        "elapsed_s": round(elapsed_s, 1),
        "rows": [
            _curve_point(run, split, t)
            for run in runs
            for split in ("train", "test")
            for t in (times or (None,))
        ],
        **_written(located(runs), margin),
    }


class RecoveryCurves(NamedTuple):
    """Sizes, (S,), and recovery of each training and each unseen sequence at each."""

    sizes: Values
    train: Table
    test: Table


def recovery_curves(runs: list[RunResults], t: float) -> RecoveryCurves:
    """The curves that `recovery_transition` takes, at one corruption time t."""

    def recovered(split: str) -> Table:
        rates = _curves(runs, lambda run: run.outcomes(split, t).rate_per_sequence())
        return _table(runs, rates, "recovery", split, t)

    return RecoveryCurves(_sizes(runs), recovered("train"), recovered("test"))


def _sizes(runs: list[RunResults]) -> Values:
    return np.array(sorted({run.provenance.n_train for run in runs}), dtype=np.float64)


class Places(NamedTuple):
    """Where something changes with n, with the draws that transition.json leaves out."""

    recovery: dict[float, Transition]
    """by corruption time"""
    others: dict[str, Transition | None]
    """by their names in transition.json; None for what was not measured"""


COMPARED = {
    "extraction_transition": "prefix extraction",
    "entropy_transition": "entropy",
    "calibration_transition": "calibration",
    "generation_transition": "generation",
    "own_entropy_transition": "entropy of own text",
    "perplexity_peak": "generative perplexity",
    "validation_peak": "validation perplexity",
}
"""Places outside recovery that are compared with each other, by what they are seen in."""


def located(runs: list[RunResults]) -> Places:
    """Where recovery, generation, entropy and perplexity change.

    Args:
        runs: of one model, measured alike.
    """
    runs = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    sizes, train = _sizes(runs), _per_sequence_table(runs, "entropy", "train")
    return Places(
        {t: recovery_transition(*recovery_curves(runs, t)) for t in runs[0].times()},
        {
            "extraction_transition": _extraction(runs, sizes),
            "entropy_transition": entropy_transition(sizes, train),
            "entropy_change": entropy_bend(sizes, train),
            "calibration_transition": _calibration(runs, sizes),
            "generation_transition": _copies(runs, sizes),
            "own_entropy_transition": _own_entropy(runs, sizes),
            "perplexity_peak": _peak_of(runs, sizes, "judge", "generated"),
            "validation_peak": _peak_of(runs, sizes, "nelbo", "test"),
        },
    )


def _written(found: Places, margin: float) -> dict[str, Any]:
    """Places as transition.json holds them, and how far apart they are."""
    compared = {f"recovery at t = {t:g}": place for t, place in found.recovery.items()}
    named = {what: found.others[key] for key, what in COMPARED.items()}
    compared |= {what: place for what, place in named.items() if place is not None}
    return {
        "transition": [{"t": t, **place.plain()} for t, place in found.recovery.items()],
        **{
            key: None if place is None else (_peak(place) if key in PEAK_KEYS else place.plain())
            for key, place in found.others.items()
        },
        "agreement": [pair._asdict() for pair in agreements(compared, margin)],
    }


def _extraction(runs: list[RunResults], sizes: Values) -> Transition | None:
    """Where the memorization advantage in prefix extraction is 1/2; None of models with noise."""
    if not all(run.has("prefix_extraction", split) for run in runs for split in ("train", "test")):
        return None
    train, test = (
        _per_sequence_table(runs, "prefix_extraction", split) for split in ("train", "test")
    )
    a, b = mean_curves(sizes, train, 0, TRAIN), mean_curves(sizes, test, 0, TEST)
    return half_way(sizes, combined(share_kept, a, b), "memorization advantage")


def _calibration(runs: list[RunResults], sizes: Values) -> Transition | None:
    """The place of calibration; None where it was not measured."""
    if not all(run.has("calibration_nll", split) for run in runs for split in ("train", "test")):
        return None

    tables = {
        split: [
            _per_sequence_table(runs, f"calibration_{name}", split) for name in ("nll", "entropy")
        ]
        for split in ("train", "test")
    }
    train, test = (Surprise(*(table.values for table in found)) for found in tables.values())
    groups = tables["train"][0].groups, tables["test"][0].groups
    return calibration_transition(
        sizes, train, test, groups=groups, replicates=tables["test"][0].replicates
    )


def _per_sequence_table(runs: list[RunResults], measurement: str, split: str) -> Table:
    curves = _curves(runs, lambda run: run.per_sequence(measurement, split))
    return _table(runs, curves, measurement, split)


def _copies(runs: list[RunResults], sizes: Values) -> Transition | None:
    """Where generations stop being copies; None where nobody looked for copies."""
    if not all(run.has("novelty_nearest", "generated") for run in runs):
        return None
    if not all(run.has("novelty_nearest", "test") for run in runs):
        reason = "copies among unseen rows, beside which those of generations stand, are missing"
        return Transition(None, None, None, f"{reason}: `attractor measure` makes them")
    return copying_transition(sizes, _nearness(runs, "generated"), _nearness(runs, "test"))


def _nearness(runs: list[RunResults], split: str) -> Table:
    return _table(runs, _curves(runs, lambda run: near(run, split)), "novelty_nearest", split)


def near(arrays: Arrays, split: str) -> Values:
    """Whether each sequence is near a training row, an edit distance of at most a quarter of its
    length, as 1 or 0."""
    nearest = arrays.values("novelty_nearest", split)[:, 0]
    length = arrays.lengths("novelty_nearest", split)
    return (nearest <= NEAR * length).astype(np.float64)


def _own_entropy(runs: list[RunResults], sizes: Values) -> Transition | None:
    """Where the entropy of generations has risen half-way; None without generations."""
    if not all(run.has("entropy", "generated") for run in runs):
        return None
    own = _per_sequence_table(runs, "entropy", "generated")
    return entropy_transition(sizes, own, text="own")


def _peak_of(
    runs: list[RunResults], sizes: Values, measurement: Literal["judge", "nelbo"], split: str
) -> Transition | None:
    """Where a perplexity peaks; None where it was not measured."""
    if not all(run.has(measurement, split) for run in runs):
        return None
    nats = _per_sequence_table(runs, measurement, split)
    return perplexity_peak(sizes, nats, of=PEAKS[measurement])


def _peak(found: Transition) -> dict[str, Any]:
    """A peak has the size where it is as `n_train`, and no width."""
    plain = found.plain()
    n_star = plain.pop("n_star")
    del plain["width"]
    return {"n_train": None if n_star is None else round(n_star), **plain}


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
    """its basin advantage at the smallest time, or that in prefix extraction, is above 1/2"""
    entropy: float | None
    """entropy of its own generations, nats per token; None where they were not measured"""


def case_of(run: RunResults) -> Case:
    """What recovery at the smallest time, or prefix extraction where there is no noise, and the
    entropy of its own generations say of a model."""
    times = run.times()
    name, t = ("recovery_rate", times[0]) if times else ("prefix_tokens", None)
    rates = (run.row(split, name, t).value for split in ("train", "test"))
    memorizing = basin_advantage(*rates) > HALF
    return Case(memorizing, run.value("generated", "conditional_entropy"))


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


def _curve_point(run: RunResults, split: str, t: float | None) -> dict[str, Any]:
    rate = None if t is None else run.row(split, "recovery_rate", t)
    entropy = run.row(split, "conditional_entropy")
    return {
        "n_train": run.provenance.n_train,
        **_replicate(run),
        "split": split,
        "t": t,
        "recovery_rate": None if rate is None else rate.value,
        "recovery_ci": None if rate is None else [rate.low, rate.high],
        **({} if rate is not None else _prefix_point(run, split)),
        "unstable_rate": run.value(split, "unstable_rate", t),
        "conditional_entropy": entropy.value,
        "entropy_ci": [entropy.low, entropy.high],
        "vanishing_share": run.row(split, "vanishing_share").value,
        "nelbo_per_token": run.value(split, "nelbo_per_token"),
    }


def _prefix_point(run: RunResults, split: str) -> dict[str, Any]:
    rate = run.row(split, "prefix_tokens")
    return {"prefix_tokens": rate.value, "prefix_ci": [rate.low, rate.high]}


def _curves(runs: list[RunResults], per_sequence: Callable[[RunResults], Values]) -> Values:
    """One curve a sequence for each replicate, (replicates, N, S), in the order of `replicates`;
    NaN where a training set has fewer rows than others, which have its rows first, and where a
    size has no such replicate."""
    found = {(run.replicate, run.provenance.n_train): per_sequence(run) for run in runs}
    each, sizes = replicates(runs), sorted({size for _, size in found})
    curves = np.full((len(each), max(map(len, found.values())), len(sizes)), np.nan)
    for (replicate, size), values in found.items():
        curves[each.index(replicate), : len(values), sizes.index(size)] = values
    return curves


def _table(
    runs: list[RunResults], curves: Values, measurement: str, split: str, t: float | None = None
) -> Table:
    """Curves with the groups that are to be resampled: those whose rows are alike at some size."""
    groups = common_groups(runs, measurement, split, t)
    return Table(curves, _alike(curves, groups), tuple(replicates(runs)))


def _alike(curves: Values, groups: Groups | None) -> NDArray[np.int64] | None:
    if groups is None or len(groups.of) != curves.shape[1]:
        return None
    known = np.asarray((~np.isnan(curves)).any(0))
    at_some_size = any(
        design(np.nanmean(curves[:, there, s], 0), groups.chosen(there)).by_group
        for s, there in enumerate(known.T)
    )
    return groups.of if at_some_size else None


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

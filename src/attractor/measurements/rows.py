"""From the arrays of one model to its numbers, each with an interval over sequences."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attractor.analysis.detection import auroc, auroc_gain, auroc_shuffled, detection_at
from attractor.analysis.distances import distances
from attractor.analysis.statistics import (
    Estimate,
    clopper_pearson,
    clustered_share,
    difference_interval,
    mean_interval,
    ratio_interval,
)
from attractor.results.outcomes import OUTCOMES
from attractor.results.tables import Arrays, Row

Values = NDArray[np.float64]
VANISHING = 0.01
"""Nats below which the entropy of a token counts as vanishing."""
MEMORIZED = SPURIOUS = 0.25
"""Edit distance, a share of the length, within which a generated text counts as a copy of
another."""
BLIND = "bag of words"
"""The score that never saw the model."""
SCORES = {
    "NELBO": ("nelbo", -1),
    "entropy": ("entropy", -1),
    "Min-K%++": ("min_k", 1),
    BLIND: ("bag_of_words", 1),
}
"""Membership scores that are means over values, and which of their ends speaks for membership."""
LEVELS = (0.0, 0.01, 0.001)
"""False-positive rates; a level is scored if one false positive of the unseen sequences would not
be above it."""
EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 10, 17)])
"""Bins of the token-level densities of entropy, nats; the last one also holds what is above it."""
PATH = ("entropy", "uncertainty", "gap", "top")
TIMES = (0.0, *((np.arange(20) + 0.5) / 20).tolist())


def rows_of(arrays: Arrays, seed: int = 0) -> list[Row]:
    """Every number that the arrays give."""
    parts = (
        _recovery, _entropy, _outcomes, _fixed_points, _likelihood, _radii, _generations,
        _membership,
        _ablation, _twins,
    )  # fmt: skip
    return [row for part in parts for row in part(arrays, seed)]


def _row(
    split: str, measurement: str, e: Estimate, t: float | None = None, at: float | None = None
) -> Row:
    return Row(
        split=split,
        t=t,
        at=at,
        measurement=measurement,
        value=e.value,
        low=e.low,
        high=e.high,
        sequences=e.n,
    )


def _mean(
    arrays: Arrays, split: str, source: str, name: str, seed: int, share: bool = False
) -> Iterator[Row]:
    if arrays.has(source, split):
        yield _row(
            split, name, mean_interval(arrays.per_sequence(source, split), share=share, seed=seed)
        )


def _recovery(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, _ in arrays.places("recovery"):
        for split in ("train", "test", "random"):
            found = arrays.outcomes(split, t)
            rate, unstable = found.rate_per_sequence(), found.unstable_per_sequence()
            yield _row(
                split, "recovery_rate", mean_interval(rate, share=True, missing=True, seed=seed), t
            )
            returned, perturbed = (
                (found.restored & found.perturbed).sum((0, 2)),
                found.perturbed.sum((0, 2)),
            )
            yield _row(split, "recovery_micro", clustered_share(returned, perturbed), t)
            if np.isfinite(unstable).sum() >= 2:  # near t = 1 hardly a token is left alone
                yield _row(
                    split,
                    "unstable_rate",
                    mean_interval(unstable, share=True, missing=True, seed=seed),
                    t,
                )


def _entropy(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in ("train", "test", "generated"):
        yield from _mean(arrays, split, "entropy", "conditional_entropy", seed)
        if arrays.has("entropy", split):
            vanishing = (arrays.values("entropy", split) < VANISHING).mean(1)
            yield _row(split, "vanishing_share", mean_interval(vanishing, share=True, seed=seed))
    if not arrays.has("entropy", "generated"):
        return
    own = arrays.per_sequence("entropy", "generated")
    for split in ("train", "test"):
        other = arrays.per_sequence("entropy", split)
        yield _row("generated", f"entropy_gap_{split}", difference_interval(own, other, seed))
        for name, distance in distances(own, other, seed).items():
            low, high = distance.ci or (None, None)
            n = min(len(own), len(other))
            row = Row(
                split=split, t=None, measurement=f"gap_{name}", value=distance.value, sequences=n
            )
            yield dataclasses.replace(row, low=low, high=high)
            yield dataclasses.replace(row, measurement=f"gap_{name}_chance", value=distance.chance)


def _outcomes(arrays: Arrays, seed: int) -> Iterator[Row]:
    """Conditional entropy of a token, given its original context, by what became of it."""
    for t, _ in arrays.places("recovery"):
        for split in ("train", "test"):
            if not arrays.has("entropy", split):
                continue
            index = arrays.outcomes(split, t).index()
            entropy = np.broadcast_to(arrays.values("entropy", split), index.shape)
            bins = np.clip(np.searchsorted(EDGES, entropy, "right") - 1, 0, len(EDGES) - 2)
            for outcome, name in enumerate(OUTCOMES):
                chosen = index == outcome
                count = chosen.sum((0, 2)).astype(float)
                if np.count_nonzero(count) < 2:
                    continue
                total = np.where(chosen, entropy, 0).sum((0, 2))
                yield _row(split, f"entropy_{name}", ratio_interval(total, count, seed), t)
                for i, (low, high) in enumerate(itertools.pairwise(EDGES)):
                    inside = (chosen & (bins == i)).sum((0, 2))
                    at = float(np.sqrt(max(low, 5e-4) * high))
                    yield _row(split, f"density_{name}", clustered_share(inside, count), t, at)


def _fixed_points(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in ("train", "test", "random"):
        yield from _mean(arrays, split, "fixed_point", "fixed_tokens", seed, share=True)
        if arrays.has("fixed_point", split):
            whole = arrays.values("fixed_point", split).min(1)
            yield _row(split, "fixed_sequences", mean_interval(whole, share=True, seed=seed))


def _likelihood(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in ("train", "test"):
        yield from _mean(arrays, split, "nelbo", "nelbo_per_token", seed)


def _radii(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in ("train", "test"):
        yield from _mean(arrays, split, "basin_radius", "basin_radius", seed, share=True)
        if arrays.has("basin_radius", split):
            radius = arrays.values("basin_radius", split)[:, 0]
            for at in np.linspace(0, 1, 21):
                wide = int((radius >= at - 1e-9).sum())
                yield _row(
                    split, "basin_survival", clopper_pearson(wide, len(radius)), at=float(at)
                )


def _generations(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in ("generated", "train", "test"):
        yield from _mean(arrays, split, "judge", "judge_nats", seed)
    if not arrays.has("judge", "generated"):
        return
    tokens = arrays.array("original", "judge", "generated")[0]
    length, n = tokens.shape[1], len(tokens)
    nearest, own = (
        arrays.values(f"novelty_{name}", "generated")[:, 0] / length for name in ("nearest", "own")
    )
    copied = nearest <= MEMORIZED
    echoed = ~copied & (own <= SPURIOUS)
    for name, kind in (("memorized", copied), ("spurious", echoed), ("novel", ~copied & ~echoed)):
        yield _row("generated", f"share_{name}", clopper_pearson(int(kind.sum()), n))
    overlap = arrays.values("novelty_overlap", "generated")[:, 0]
    yield _row("generated", "overlap", mean_interval(overlap / length, share=True, seed=seed))
    for k in (1, 2, 3):
        grams = {tuple(row[i : i + k]) for row in tokens.tolist() for i in range(length - k + 1)}
        distinct = len(grams) / (
            n * (length - k + 1)
        )  # of these n: resampling would make repeats of its own
        yield Row(
            split="generated", t=None, measurement=f"distinct_{k}", value=distinct, sequences=n
        )
    if arrays.has("entropy", "generated"):
        yield from _correlation(arrays)
    for name in PATH:
        path = arrays.values(f"path_{name}", "generated")
        for i, time in enumerate(TIMES):
            if np.isfinite(path[:, i]).sum() >= 2:
                yield _row(
                    "generated",
                    f"path_{name}",
                    mean_interval(path[:, i], missing=True, seed=seed),
                    at=time,
                )


def _correlation(arrays: Arrays) -> Iterator[Row]:
    """Rank correlation of self-entropy with the judge over generations, Fisher's interval (variance
    1.06 / (n - 3))."""
    own, judged = (
        arrays.per_sequence("entropy", "generated"),
        arrays.per_sequence("judge", "generated"),
    )
    if len(own) > 4 and np.ptp(own) > 0 and np.ptp(judged) > 0:
        rho = float(stats.spearmanr(own, judged).statistic)
        reach = 1.96 * np.sqrt(1.06 / (len(own) - 3))
        centre = np.arctanh(np.clip(rho, -0.999999, 0.999999))
        low, high = np.tanh([centre - reach, centre + reach])
        yield _row(
            "generated", "judge_correlation", Estimate(rho, float(low), float(high), len(own))
        )


def scores(arrays: Arrays) -> dict[str, tuple[Values, Values]]:
    """Membership scores of training and of unseen sequences: high means "was trained on".

    A sequence in which nothing was perturbed gets the mean recovery of both kinds, which does not
    give away its own.
    """
    found: dict[str, list[Values]] = {}
    for t, _ in arrays.places("recovery"):
        rates = [arrays.outcomes(split, t).rate_per_sequence() for split in ("train", "test")]
        middle = float(np.nanmean(np.concatenate(rates)))
        found[f"recovery at t = {t:g}"] = [np.nan_to_num(rate, nan=middle) for rate in rates]
    for split in ("train", "test"):
        for name, (source, sign) in SCORES.items():
            if arrays.has(source, split):
                found.setdefault(name, []).append(sign * arrays.per_sequence(source, split))
        if arrays.has("nelbo", split) and arrays.has("compressed", split):
            ratio = arrays.values("nelbo", split).sum(1) / arrays.values("compressed", split)[:, 0]
            found.setdefault("NELBO / zlib", []).append(-ratio)
    return {name: (train, test) for name, (train, test) in found.items()}


def _twins(arrays: Arrays, seed: int) -> Iterator[Row]:
    for name in ("twins", "twins_chance"):
        yield from _mean(arrays, "generated", name, name, seed, share=True)


def _membership(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("bag_of_words", "train"):
        return
    found = scores(arrays)
    for name, (train, test) in found.items():
        yield _row(name, "auroc", auroc(train, test))
        if name != BLIND:
            yield _row(name, "auroc_gain", auroc_gain((train, test), found[BLIND]))
        for level in LEVELS:
            if not level or level * len(test) >= 1:
                yield _row(name, "tpr", detection_at(train, test, level).rate, at=level)
        yield _row(name, "auroc_shuffled", auroc_shuffled(train, test, seed))


def _ablation(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, steps in arrays.places("ablation"):
        for split in ("train", "test"):
            rate = arrays.outcomes(split, t, "ablation", steps).rate_per_sequence()
            yield _row(
                split,
                "recovery_steps",
                mean_interval(rate, share=True, missing=True, seed=seed),
                t,
                steps,
            )

"""What the arrays of an audit say of one model: numbers with intervals, no verdict yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from attractor.analysis.advantage import Falls, advantage, advantage_of_falls
from attractor.analysis.calibration import Surprise, kappa, log_kappa_difference
from attractor.analysis.collisions import (
    Collisions,
    collisions,
    likely_text,
    p_by_chance,
    representatives,
)
from attractor.analysis.detection import auroc, auroc_gain, detection_at
from attractor.analysis.exceedance import Exceedance, beyond
from attractor.analysis.shares import share_difference
from attractor.analysis.statistics import LEVEL, clopper_pearson, mean_interval
from attractor.audits.measure import away_from_joint, read_positions, same_text
from attractor.audits.thresholds import FALSE, TAIL
from attractor.data.multiplicity import STRATA, stratum, stratum_name
from attractor.measurements.membership import BLIND, scores
from attractor.results.estimate import Estimate, Groups
from attractor.results.outcomes import Outcomes, share
from attractor.results.tables import Arrays
from attractor.results.thresholds import NEAR, VANISHING

Values = NDArray[np.float64]
Rates = Values | Falls
"""Recovery rates of training rows: of one fall each, or of many of all there are."""
NULLS = 4
"""Times that text is drawn by chance, as many rows as chains, to see how often pairs are alike."""
NEARLY_ALL = 0.8
"""Share of the generations with the same token at a place from which that token counts as a marker
of the format, such as [BOS], and not as text."""


def alone(arrays: Arrays, seed: int = 0) -> dict[str, Estimate]:
    """Numbers that need the model's own generations only.

    - `entropy`: nats per token, of each token given all others;
    - `vanishing`: the share of tokens below 0.01 nats of it;
    - `structure`: how much of the entropy of single tokens the context takes away: 0 for a model
      that has learned nothing;
    - `repeats`: the share of generations that another generation comes near;
    - `agreement`: the share of tokens on which two reverse runs from two corruptions of one text
      end alike, of the tokens that both corrupted.
    """
    tokens = arrays.array("original", "echoes", "generated")[0]
    varies = _varies(tokens)
    entropy = arrays.values("entropy", "generated")
    read = read_positions(entropy.shape[1], tokens.shape[1])
    # Where few positions were read none of them may hold text; then all are kept.
    shown = varies[read] if varies[read].any() else np.ones(len(read), dtype=bool)
    entropy = entropy[:, shown]
    vanishing = np.nanmean(np.where(np.isnan(entropy), np.nan, entropy < VANISHING), 1)
    found = {
        "entropy": mean_interval(np.nanmean(entropy, 1), seed=seed),
        "vanishing": mean_interval(vanishing, share=True, seed=seed),
    }
    echoes = arrays.values("echoes", "generated")[:, 0]
    found["repeats"] = clopper_pearson(int((echoes > 0).sum()), len(echoes))
    single = token_entropy(tokens[:, varies])
    # A model that always says one token leaves the context nothing to take away.
    taken = 1 - np.nanmean(entropy, 1) / single if single > VANISHING else np.zeros(len(entropy))
    found["structure"] = mean_interval(taken, seed=seed)
    for t, _ in arrays.places("two_noises"):
        alike = agreement(arrays, t)
        found["agreement"] = mean_interval(alike, share=True, missing=True, seed=seed)
    return found


def _varies(tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which positions hold text, (L,): those at which the generations (N, L) are not nearly all
    alike.

    A marker has no entropy in any model. Counted as text it would make each of them look as if it
    memorized. Where all positions are alike, a model says one thing only, and all are kept.
    """
    most_frequent = (np.unique(place, return_counts=True)[1].max() for place in tokens.T)
    varies = np.array([count < NEARLY_ALL * len(tokens) for count in most_frequent])
    return varies if varies.any() else np.ones_like(varies)


def agreement(arrays: Arrays, t: float) -> Values:
    """Of each text, the share of tokens on which its two runs end alike, (N,).

    Only tokens that both corruptions changed count, since the others hardly had to be restored. A
    text without such tokens has NaN.
    """
    original, corrupted, recovered = (
        arrays.array(column, "two_noises", "generated", t)
        for column in ("original", "corrupted", "recovered")
    )
    both = (corrupted != original).all(0, keepdims=True)
    found: Values = share(recovered[:1] == recovered[1:], both)
    return found


def settled_numbers(arrays: Arrays, seed: int = 0) -> dict[str, Estimate]:
    """Numbers of settled text, and of text that is recombined from it; empty where all chains
    settled into one text.

    - `own_kappa`: surprise over expected surprise on settled text;
    - `recombined_kappa`: the same on recombined text;
    - `strangeness`: the second over the first;
    - `recombination`: of what fails on recombined text, the share that settled text restores more.

    All away from the joint.
    """
    if not arrays.has("recombined_nll", "generated"):
        return {}
    kinds = ("settled", "recombined")
    own, other = (
        Surprise(*(_mean(arrays, f"{kind}_{name}", "generated") for name in Surprise._fields))
        for kind in kinds
    )
    ((t, _),) = arrays.places("settled_recovery")
    inner = away_from_joint(arrays.array("original", "settled_recovery", "generated", t).shape[-1])
    rates = [_rate(arrays.outcomes("generated", t, f"{kind}_recovery"), inner) for kind in kinds]
    found = {
        "own_kappa": kappa(own, seed),
        "recombined_kappa": kappa(other, seed),
        "strangeness": log_kappa_difference(other, own, seed).scaled(math.exp),
    }
    if all(np.isfinite(rate).sum() > 1 for rate in rates):
        found["recombination"] = advantage(rates[0], rates[1], seed=seed)
    return found


def fresh_numbers(arrays: Arrays, names: Sequence[str], seed: int = 0) -> dict[str, Estimate]:
    """kappa of each fresh text."""
    return {
        name: kappa(
            Surprise(*(_mean(arrays, f"fresh_{each}", name) for each in Surprise._fields)),
            seed,
        )
        for name in names
    }


def _mean(arrays: Arrays, measurement: str, split: str) -> Values:
    """Mean of each sequence over the tokens that count."""
    found: Values = np.nanmean(arrays.values(measurement, split), 1)
    return found


def _rate(found: Outcomes[Any], inner: NDArray[np.bool_]) -> Values:
    """Share of the changed tokens that return, of each sequence, of those away from the joint."""
    rate: Values = share(found.restored[..., inner], found.perturbed[..., inner])
    return rate


class Patterns(NamedTuple):
    """The texts that chains settled into."""

    found: Collisions
    p: float
    """chance of as many pairs in text by an n-gram model of the different ones of them"""
    texts: tuple[tuple[int, int], ...]
    """chain that holds it, and how many chains do, of each that came up more than once"""


def patterns(arrays: Arrays) -> Patterns:
    """Which settled texts came up more than once, and how many texts that speaks for."""
    tokens = arrays.array("original", "settled", "generated")[0]
    frozen = arrays.frozen("settled", "generated")
    padding = None if frozen is None else np.unique(tokens[frozen])
    same = same_text(tokens, padding)
    kept = representatives(same)
    rng = np.random.default_rng(0)
    by_chance = []
    for _ in range(NULLS if len(kept) > 1 else 0):
        drawn = same_text(likely_text(tokens[kept], len(tokens), rng), padding)
        by_chance.append(int(drawn.sum() - len(drawn)) // 2)
    found = collisions(same)
    p = p_by_chance(found.pairs, by_chance) if by_chance else 0.0
    often = [(int(i), int(same[i].sum())) for i in kept if same[i].sum() > 1]
    return Patterns(found, p, tuple(sorted(often, key=lambda each: -each[1])))


def token_entropy(tokens: NDArray[np.int64]) -> float:
    """Entropy of single tokens, nats, with Miller and Madow's correction for a small sample."""
    counts = np.unique(tokens, return_counts=True)[1]
    p = counts / counts.sum()
    return max(1e-6, float(-(p * np.log(p)).sum() + (len(counts) - 1) / (2 * counts.sum())))


def largest_advantage(
    sides: Sequence[tuple[Rates, Values]], *, seed: int = 0, copies: Groups | None = None
) -> Estimate:
    """The largest of k basin advantages, one for each pair of training and unseen rates, with a 95%
    interval.

    Chance has k ways to lift the largest, so its lower end is the largest of k lower ends that are
    each missed k times as rarely (Bonferroni), whatever ties the pairs together. The upper end
    needs none of that: where the largest lies above all the upper ends, it lies above its own.
    """
    plain, strict = (
        [advantage_over(train, test, copies, seed, level) for train, test in sides]
        for level in (LEVEL, 1 - (1 - LEVEL) / len(sides))
    )
    best = max(plain, key=lambda e: e.value)
    low, high = max(e.ends()[0] for e in strict), max(e.ends()[1] for e in plain)
    return best._replace(low=low, high=high)


def advantage_over(
    train: Rates,
    test: Values,
    copies: Groups | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """Basin advantage of training rows, some of which may be copies, or of all there are."""
    if isinstance(train, Falls):
        return advantage_of_falls(train, test, seed=seed, level=level)
    same = None if copies is None else copies.of
    return advantage(train, test, seed=seed, level=level, same=same)


def copied_rows(arrays: Arrays) -> Groups | None:
    """Which probed training rows are copies of one text, each of which is one case; None where all
    differ."""
    tokens = arrays.array("original", "recovery", "train", arrays.places("recovery")[0][0])[0]
    different, of = np.unique(tokens, axis=0, return_inverse=True)
    return None if len(different) == len(tokens) else Groups(of.reshape(-1), together=True)


def training_rates(arrays: Arrays, t: float) -> Rates:
    """Recovery rates of training rows, of every fall where all rows there are fell several times
    each, and something was there to return."""
    if arrays.has("falls", "train"):
        found = arrays.outcomes("train", t, "falls")
        back, there = (each.sum(2) for each in (found.restored & found.perturbed, found.perturbed))
        if (there > 0).any(0).all():
            rates = back / np.where(there > 0, there, np.nan)
            return Falls(rates, arrays.values("falls_copies", "train")[:, 0].astype(np.int64))
    return arrays.outcomes("train", t).rate_per_sequence()


def against_data(arrays: Arrays, seed: int = 0) -> dict[str, Estimate]:
    """Numbers that need training and unseen text.

    - `advantage`: the basin advantage at the time where it is largest, see `largest_advantage`; of
      all training rows there are, given these rows, where many falls of each were measured;
    - `copies`: the share of generations within an edit distance of a quarter of their length of a
      training sequence; `excess_copies`: less the same share of unseen rows;
    - `excess_repeats`: generations near another one, less unseen rows near another.
    """
    sides = [
        (training_rates(arrays, t), arrays.outcomes("test", t).rate_per_sequence())
        for t, _ in arrays.places("recovery")
    ]
    found = {"advantage": largest_advantage(sides, seed=seed, copies=copied_rows(arrays))}
    if arrays.has("novelty_nearest", "generated"):
        near = [_near(arrays, split) for split in ("generated", "test")]
        found["copies"] = clopper_pearson(*near[0])
        found["excess_copies"] = share_difference(*near[0], *near[1])
    if arrays.has("echoes", "test"):
        echoes = [arrays.values("echoes", split)[:, 0] > 0 for split in ("generated", "test")]
        # Each is near another of as many: the more there are, the more often that happens.
        least = min(map(len, echoes))
        counts = [(int(near.sum()), len(near)) for near in echoes]
        if all(len(near) == least for near in echoes):
            found["excess_repeats"] = share_difference(*counts[0], *counts[1])
    return found


def _near(arrays: Arrays, split: str) -> tuple[int, int]:
    """How many rows lie near a training row, and how many there are."""
    nearest = arrays.values("novelty_nearest", split)[:, 0]
    length = arrays.lengths("novelty_nearest", split)
    return int((nearest <= NEAR * length).sum()), len(nearest)


class Membership(NamedTuple):
    """How well one score tells training from unseen sequences."""

    auroc: Estimate
    gain: Estimate
    """over the bag of words, which never saw the model"""
    found: Estimate | None
    """training rows found at a false-positive rate of 1%; None with fewer than 100 unseen rows"""


def membership(arrays: Arrays) -> dict[str, Membership]:
    """Each membership score, training against unseen sequences; the intervals of all but the blind
    one hold together (Bonferroni), and copies of a training row count as one case."""
    found, copies = scores(arrays), copied_rows(arrays)
    level = 1 - (1 - LEVEL) / max(1, len(found) - 1)
    return {
        name: Membership(
            auroc(*sides, (copies, None)),
            widened_to(auroc_gain(sides, found[BLIND], (copies, None)), level),
            _found_at(*sides, level, copies),
        )
        for name, sides in found.items()
    }


def widened_to(e: Estimate, level: float) -> Estimate:
    """An interval of 95% stretched to another level, as one of a normal law would be."""
    low, high = e.ends()
    factor = float(scipy.stats.norm.ppf((1 + level) / 2) / scipy.stats.norm.ppf((1 + LEVEL) / 2))
    return e._replace(
        low=e.value - factor * (e.value - low), high=e.value + factor * (high - e.value)
    )


def _found_at(
    train: Values, test: Values, level: float, copies: Groups | None = None
) -> Estimate | None:
    """Training rows found at a false-positive rate of 1%; None with too few unseen rows to know."""
    if FALSE * len(test) < 1:
        return None
    rate = detection_at(train, test, FALSE, copies).rate
    if copies is not None:
        return widened_to(rate, level).scaled(lambda share: min(1.0, max(0.0, share)))
    return clopper_pearson(round(rate.value * len(train)), len(train), level)


class Stratum(NamedTuple):
    """Training rows of some number of copies, against unseen rows."""

    name: str
    rows: int
    membership: dict[str, Membership]
    """of each score; `gain` is over a coin"""
    copies: int = 1
    """the fewest"""


class EveryRow(NamedTuple):
    """What one pass over the training rows found."""

    looked: int
    """different rows that were looked at"""
    unseen: int
    strata: tuple[Stratum, ...]
    tails: dict[str, Exceedance]
    """of each score, the rows beyond the unseen 99.9% quantile"""
    copies: NDArray[np.int64]
    """of each row that was looked at"""
    near: Estimate
    """share of rows with another within a quarter of the length"""


EVERY = ("log-probability", "Min-K%++")
"""The scores of the pass over every row."""


def every_row(arrays: Arrays) -> EveryRow | None:
    """The pass over the training rows; None where there was none."""
    if not arrays.has("every_row", "train"):
        return None
    train, test = (arrays.values("every_row", split) for split in ("train", "test"))
    copies = arrays.values("copies_exact", "train")[:, 0].astype(np.int64)
    of = stratum(copies)
    there = [i for i in range(len(STRATA)) if (of == i).sum() > 1 and len(test) > 1]
    level = 1 - (1 - LEVEL) / max(1, len(there) * len(EVERY))
    strata = []
    for i in there:
        found = {}
        for k, name in enumerate(EVERY):
            sides = train[of == i, k], test[:, k]
            area = auroc(*sides)
            gain = widened_to(
                area._replace(
                    value=area.value - 0.5, low=area.ends()[0] - 0.5, high=area.ends()[1] - 0.5
                ),
                level,
            )
            found[name] = Membership(area, gain, _found_at(*sides, level))
        strata.append(Stratum(stratum_name(i), int((of == i).sum()), found, STRATA[i][0]))
    tails = {name: beyond(train[:, k], test[:, k], TAIL) for k, name in enumerate(EVERY)}
    near = arrays.values("copies_near", "train")[:, 0]
    share_near = clopper_pearson(int((near > 1).sum()), len(near))
    return EveryRow(len(train), len(test), tuple(strata), tails, copies, share_near)

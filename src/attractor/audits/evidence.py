"""What the arrays of an audit say of one model: numbers with intervals, no verdict yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.advantage import advantage
from attractor.analysis.detection import auroc, auroc_gain
from attractor.analysis.statistics import LEVEL, clopper_pearson, mean_interval
from attractor.measurements.membership import BLIND, scores
from attractor.results.estimate import Estimate
from attractor.results.outcomes import share
from attractor.results.tables import Arrays
from attractor.results.thresholds import NEAR, VANISHING

Values = NDArray[np.float64]
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
    entropy = arrays.values("entropy", "generated")[:, varies]
    # Where a sample of the positions was measured the others are NaN; a row of which none was says
    # nothing.
    entropy = entropy[~np.isnan(entropy).all(1)]
    vanishing = np.where(np.isnan(entropy), np.nan, entropy < VANISHING)
    nats = np.nanmean(entropy, 1)
    found = {
        "entropy": mean_interval(nats, seed=seed),
        "vanishing": mean_interval(np.nanmean(vanishing, 1), share=True, seed=seed),
    }
    echoes = arrays.values("echoes", "generated")[:, 0]
    found["repeats"] = clopper_pearson(int((echoes > 0).sum()), len(echoes))
    single = token_entropy(tokens[:, varies])
    # A model that always says one token leaves the context nothing to take away.
    taken = 1 - nats / single if single > VANISHING else np.zeros(len(entropy))
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


def store(arrays: Arrays) -> Estimate | None:
    """How many equally likely texts would repeat themselves as often as the generations do; None
    without a repeat.

    Two draws from K such texts are alike with chance 1/K, which is estimated over all pairs.
    """
    echoes = arrays.values("echoes", "generated")[:, 0]
    n = len(echoes)
    if not echoes.any():
        return None
    size = (n - 1) / float(echoes.mean())
    # The share of pairs is a U-statistic: its error is twice that of the mean over generations,
    # since each pair has two. In log K, where an interval stays positive.
    reach = np.exp(1.96 * 2 * float(echoes.std(ddof=1)) / (float(echoes.mean()) * np.sqrt(n)))
    return Estimate(size, size / float(reach), size * float(reach), n)


def least_store(n: int) -> float:
    """The fewest equally likely texts of which n draws show no repeat with a probability above
    5%."""
    # Each of the n (n - 1) / 2 pairs is alike with chance 1/K; where that is rare, no pair is with
    # probability exp(-pairs / K), and K is where this is 5%.
    return n * (n - 1) / 2 / float(-np.log(0.05))


def token_entropy(tokens: NDArray[np.int64]) -> float:
    """Entropy of single tokens, nats, with Miller and Madow's correction for a small sample."""
    counts = np.unique(tokens, return_counts=True)[1]
    p = counts / counts.sum()
    return max(1e-6, float(-(p * np.log(p)).sum() + (len(counts) - 1) / (2 * counts.sum())))


def largest_advantage(sides: Sequence[tuple[Values, Values]], *, seed: int = 0) -> Estimate:
    """The largest of k basin advantages, one for each pair of training and unseen rates, with a 95%
    interval.

    Chance has k ways to lift the largest, so its lower end is the largest of k lower ends that are
    each missed k times as rarely (Bonferroni), whatever ties the pairs together. The upper end
    needs none of that: where the largest lies above all the upper ends, it lies above its own.
    """
    plain, strict = (
        [advantage(train, test, seed=seed, level=level) for train, test in sides]
        for level in (LEVEL, 1 - (1 - LEVEL) / len(sides))
    )
    best = max(plain, key=lambda e: e.value)
    low, high = max(e.ends()[0] for e in strict), max(e.ends()[1] for e in plain)
    return best._replace(low=low, high=high)


def against_data(arrays: Arrays, seed: int = 0) -> dict[str, Estimate]:
    """Numbers that need training and unseen text.

    - `advantage`: the basin advantage at the time where it is largest, see `largest_advantage`;
    - `copies`: the share of generations within an edit distance of a quarter of their length of a
      training sequence.
    """
    times = [t for t, _ in arrays.places("recovery")]
    train, test = (
        [arrays.outcomes(split, t).rate_per_sequence() for t in times]
        for split in ("train", "test")
    )
    found = {"advantage": largest_advantage(list(zip(train, test, strict=True)), seed=seed)}
    if arrays.has("novelty_nearest", "generated"):
        nearest = arrays.values("novelty_nearest", "generated")[:, 0]
        length = arrays.array("original", "novelty_nearest", "generated").shape[-1]
        found["copies"] = clopper_pearson(int((nearest <= NEAR * length).sum()), len(nearest))
    return found


class Membership(NamedTuple):
    """How well one score tells training from unseen sequences."""

    auroc: Estimate
    gain: Estimate
    """over the bag of words, which never saw the model"""


def membership(arrays: Arrays) -> dict[str, Membership]:
    """Each membership score, training against unseen sequences."""
    found = scores(arrays)
    return {
        name: Membership(auroc(*sides), auroc_gain(sides, found[BLIND]))
        for name, sides in found.items()
    }


def verbatim(arrays: Arrays, split: str, t: float) -> NDArray[np.bool_]:
    """Which sequences come back without one wrong token when corrupted at t, (N,)."""
    back: NDArray[np.bool_] = arrays.outcomes(split, t, "extraction").restored.min((0, 2))
    return back


def kept(arrays: Arrays, split: str, t: float) -> NDArray[np.int64]:
    """How many tokens of each sequence were left as they were by the corruption at t, (N,)."""
    found: NDArray[np.int64] = (~arrays.outcomes(split, t, "extraction").perturbed).sum(-1)[0]
    return found

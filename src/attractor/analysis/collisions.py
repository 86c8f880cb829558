"""How many texts does a model write from? Counted by pairs of texts that are the same."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.analysis.statistics import LEVEL
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

Ids = Int[np.ndarray, "..."]
Same = NDArray[np.bool_]
LONGEST = 3
"""Tokens of the longest context of the n-grams that stand for "text like this by chance"."""


class Collisions(NamedTuple):
    """Pairs that are the same text, among all pairs of G texts."""

    pairs: int
    total: int
    """G (G - 1) / 2"""
    texts: Estimate
    """effective number of texts, total / pairs: exp of the collision entropy of the law they are
    drawn from; without a pair it is infinite, and its lower end is what is known"""


def collisions(same: Same) -> Collisions:
    """Count the pairs that are the same text, with an exact 95% interval.

    Two draws from K equally likely texts are the same with chance 1/K, so pairs / total estimates
    1/K. The interval is that of a Poisson count, or, where it is wider, of the U-statistic that the
    share of pairs is: where some texts are likelier than others, pairs come in clusters.

    Args:
        same: whether two texts are the same, (G, G); its diagonal is not looked at.

    Raises:
        AttractorError: for fewer than two texts.
    """
    n = len(same)
    if n < 2:
        raise AttractorError(f"{n} text: pairs need at least 2")
    others = (same & ~np.eye(n, dtype=bool)).sum(1)
    pairs, total = int(others.sum()) // 2, n * (n - 1) // 2
    least = float(scipy.stats.chi2.ppf((1 - LEVEL) / 2, 2 * pairs) / 2) if pairs else 0.0
    # Without a pair only one end is in doubt, and all of the error may lie there.
    tail = (1 + LEVEL) / 2 if pairs else LEVEL
    most = float(scipy.stats.chi2.ppf(tail, 2 * pairs + 2) / 2)
    if pairs:
        # The error of a U-statistic of pairs is twice that of the mean over texts; in log K, where
        # an interval stays positive.
        spread = 1.96 * 2 * float(others.std(ddof=1)) / (float(others.mean()) * math.sqrt(n))
        least, most = min(least, pairs * math.exp(-spread)), max(most, pairs * math.exp(spread))
    high = total / least if least else math.inf
    value = total / pairs if pairs else math.inf
    return Collisions(pairs, total, Estimate(value, max(1.0, total / most), high, n))


def representatives(same: Same) -> NDArray[np.int64]:
    """One of each group of texts that are the same: the first that is unlike all before it."""
    kept: list[int] = []
    for i in range(len(same)):
        if not same[i, kept].any():
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def likely_text(tokens: Ids, n: int, rng: np.random.Generator, longest: int = LONGEST) -> Ids:
    """Text drawn from an n-gram model of some texts, (n, L): what is alike in it is so by chance.

    Each token follows an occurrence, drawn at random, of the longest context, of up to `longest`
    tokens, that stands in two of the texts or more. A context that stands in one text only would
    replay that text; without any in two, a token is drawn at random.

    Args:
        tokens: different texts, (K, L); of the same text in many copies give one, see
            `representatives`.
        n: rows to draw.
        rng: random numbers.
        longest: tokens of the longest context.
    """
    rows = np.asarray(tokens).tolist()
    following: dict[tuple[int, ...], list[int]] = {}
    owners: dict[tuple[int, ...], set[int]] = {}
    for i, row in enumerate(rows):
        padded = [-1, *row]  # the beginning is a context too
        for end in range(1, len(padded)):
            for k in range(min(longest, end) + 1):
                context = tuple(padded[end - k : end])
                following.setdefault(context, []).append(padded[end])
                owners.setdefault(context, set()).add(i)
    length = len(rows[0])
    made = np.empty((n, length), dtype=np.int64)
    for i in range(n):
        text = [-1]
        while len(text) <= length:
            k = min(longest, len(text))
            while k and len(owners.get(tuple(text[len(text) - k :]), ())) < 2:
                k -= 1
            choices = following[tuple(text[len(text) - k :])]
            text.append(choices[rng.integers(len(choices))])
        made[i] = text[1:]
    return made


def p_by_chance(pairs: int, drawn: list[int]) -> float:
    """Chance of at least so many pairs, where `drawn` are the counts in texts made by chance: of a
    Poisson law whose mean is known from them alone.

    With m draws that had k pairs in all, the mean has a Gamma(k + 1/2, m) law, and the count that
    of a Gamma mixture of Poisson laws, the negative binomial.
    """
    m, k = len(drawn), sum(drawn) + 0.5
    return float(scipy.stats.nbinom.sf(pairs - 1, k, m / (m + 1))) if pairs else 1.0

"""Rows beyond what unseen text reaches: how many, and how many were to be expected."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from attractor.analysis.statistics import clopper_pearson
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

Values = NDArray[np.float64]


class Exceedance(NamedTuple):
    """Training scores above a level that hardly any unseen score reaches."""

    level: float
    """the score itself"""
    rows: NDArray[np.int64]
    """which training rows lie above it, the highest first"""
    share: Estimate
    """of the training rows, with the exact interval"""
    expected: float
    """how many would lie above if training rows were unseen ones"""
    p: float
    """chance of as many or more then, or of as many above the highest unseen score, whichever is
    the rarer, for both tests together (Bonferroni); each is exact, since both are drawn alike"""


def beyond(train: Values, unseen: Values, share: float = 0.001) -> Exceedance:
    """Training rows whose score lies above a quantile of the unseen ones.

    The level is the r-th highest of M unseen scores, r = share (M + 1), at least 1. If N training
    scores are of the same law, the number above it has a beta-binomial law with a = r and b = M + 1
    - r, which holds whatever the law of the scores: that the quantile is itself known from few
    unseen rows is in it. A few rows that are known by heart lie above all unseen ones, which says
    more than that they are above the quantile, so r = 1 is tried too.

    Args:
        train: scores of training rows, (N,), high where a row looks known.
        unseen: scores of unseen rows, (M,).
        share: of unseen text that may lie above.

    Raises:
        AttractorError: for no scores, or scores that are NaN.
    """
    train, unseen = np.asarray(train, float), np.asarray(unseen, float)
    if not len(train) or not len(unseen) or np.isnan(train).any() or np.isnan(unseen).any():
        raise AttractorError(
            f"{len(train)} training and {len(unseen)} unseen scores, some perhaps NaN: at least "
            "one of each, none NaN, is needed"
        )
    n, m = len(train), len(unseen)
    r = max(1, math.floor(share * (m + 1)))
    level = float(np.sort(unseen)[m - r])
    above = np.flatnonzero(train > level)
    ordered = above[np.argsort(-train[above], kind="stable")]
    tried = {r: len(above), 1: int((train > unseen.max()).sum())}
    chance = [
        scipy.stats.betabinom.sf(k - 1, n, rank, m + 1 - rank) for rank, k in tried.items() if k
    ]
    p = min(1.0, len(tried) * float(min(chance, default=1.0)))
    return Exceedance(level, ordered, clopper_pearson(len(above), n), n * r / (m + 1), p)

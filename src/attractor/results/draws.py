"""How well a Monte-Carlo mean is known, from the draws behind it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def draws_error(per_draw: NDArray[np.float64]) -> float:
    """Standard error that stratified draws leave in the mean over sequences of their sums; NaN for
    a single draw or a single sequence.

    It is that of the mean of *these* sequences, so no part of it is what other sequences would
    give. By successive differences (Wolter, Introduction to Variance Estimation, 2007, section
    8.2): neighbouring strata of a sequence have nearly one law, so how much their difference varies
    from sequence to sequence is the noise of both. What else varies makes it a little too large.

    Args:
        per_draw: what each of K draws gives to each of N sequences, (N, K), strata in order.
    """
    n, k = per_draw.shape
    if n < 2 or k < 2:
        return math.nan
    between = np.diff(per_draw.astype(np.float64), axis=1).var(0, ddof=1).sum()
    return math.sqrt(between * k / (2 * (k - 1)) / n)

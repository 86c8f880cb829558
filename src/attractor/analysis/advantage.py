"""Basin advantage: how much better training text returns than unseen text, from 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import LEVEL, bca, clopper_pearson, resampled_means
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

Values = NDArray[np.float64]
HALF = 0.5
"""Basin advantage above which a model memorizes: n* is where it is crossed."""
LEAST_ROOM = 0.05
"""Least share of failing unseen tokens by which a basin advantage divides. Where a model returns
nearly all unseen text, the ratio of two small shares would say anything."""


def share_kept(train: Values, test: Values) -> Values:
    """Of what is missing to 1 in mean rates of unseen text, the share that training text has more:
    the basin advantage, of curves."""
    return (train - test) / np.maximum(1 - test, LEAST_ROOM)


def basin_advantage(train: float, test: float) -> float:
    """The basin advantage of one model, from its two mean recovery rates."""
    return (train - test) / max(1 - test, LEAST_ROOM)


def advantage(train: Values, test: Values, *, seed: int = 0, level: float = LEVEL) -> Estimate:
    """Basin advantage of training text: of what fails on unseen text, the share that training text
    recovers more.

    This is (train - test) / (1 - test) of the mean recovery rates: 1 if training text always
    returns, 0 if both return alike. A model memorizes where it is above 1/2, and n* is where it
    crosses that.

    Args:
        train: recovery rate of each training sequence; NaN where it has none.
        test: the same of unseen sequences.
        seed: of the bootstrap, which is over sequences.
        level: how often the interval is to cover.

    Raises:
        AttractorError: if fewer than two sequences of a kind have a rate.
    """
    train, test = train[~np.isnan(train)], test[~np.isnan(test)]
    for name, rates in (("training", train), ("unseen", test)):
        if len(rates) < 2:
            raise AttractorError(
                f"of the {name} sequences {len(rates)} had a token changed: at least 2, give more "
                "text"
            )
    a, b = float(train.mean()), float(test.mean())
    room = max(1 - b, LEAST_ROOM)
    # The derivative by b, which is in the denominator too unless that is held at its least.
    slope = (a - 1) / room**2 if 1 - b > LEAST_ROOM else -1 / room
    means = [
        resampled_means(values[:, None], seed, stream=i)[:, 0]
        for i, values in enumerate((train, test))
    ]
    samples = (means[0] - means[1]) / np.maximum(1 - means[1], LEAST_ROOM)
    influence = np.concatenate([(train - a) / room / len(train), slope * (test - b) / len(test)])
    value, n = (a - b) / room, min(len(train), len(test))
    low, high = bca(value, samples, influence, n, level)
    if np.ptp(train) == 0 and np.ptp(test) == 0:
        # All sequences of a kind have the same rate, and the bootstrap has no width. As much is in
        # doubt as of a share that was seen n times of n: Clopper and Pearson's interval of that.
        reach = 1 - clopper_pearson(n, n, level).ends()[0]
        low, high = value - reach, value + reach
    return Estimate(value, low, high, n)

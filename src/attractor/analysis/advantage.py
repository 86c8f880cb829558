"""Basin advantage: how much better training text returns than unseen text, from 0 to 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.groups import summed
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


class Falls(NamedTuple):
    """Several independent falls of each of all the training rows there are."""

    rates: Values
    """recovery rate of each fall of each row, (R, N); NaN where a fall changed nothing"""
    copies: NDArray[np.int64]
    """of each row in the training file, (N,): it counts as often as it stands there"""


def advantage(
    train: Values,
    test: Values,
    *,
    seed: int = 0,
    level: float = LEVEL,
    same: NDArray[np.int64] | None = None,
) -> Estimate:
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
        same: which training sequences are copies of one text, (N,), where some are: a copy is not
            another sequence, so all of a text are resampled together, and its `n` are texts.

    Raises:
        AttractorError: if fewer than two sequences of a kind have a rate.
    """
    same = None if same is None else same[~np.isnan(train)]
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
        resampled_means(values[:, None], seed, stream=i, groups=of)[:, 0]
        for i, (values, of) in enumerate(((train, same), (test, None)))
    ]
    samples = (means[0] - means[1]) / np.maximum(1 - means[1], LEAST_ROOM)
    moved = (train - a) / room / len(train)
    moved = moved if same is None else summed(moved, same)
    influence = np.concatenate([moved, slope * (test - b) / len(test)])
    value, n = (a - b) / room, min(len(moved), len(test))
    low, high = bca(value, samples, influence, n, level)
    if np.ptp(train) == 0 and np.ptp(test) == 0:
        # All sequences of a kind have the same rate, and the bootstrap has no width. As much is in
        # doubt as of a share that was seen n times of n: Clopper and Pearson's interval of that.
        reach = 1 - clopper_pearson(n, n, level).ends()[0]
        low, high = value - reach, value + reach
    return Estimate(value, low, high, n)


def advantage_of_falls(
    train: Falls, test: Values, *, seed: int = 0, level: float = LEVEL
) -> Estimate:
    """Basin advantage of all the training rows there are, given these rows.

    Where every row of a training file is measured, none is left to be surprised by: what is in
    doubt is how often each of them returns, and how unseen text does. A fall that returns in part
    varies less than a coin of the same mean, and coins of different means together vary less than
    as many of their mean (Hoeffding, Ann. Math. Stat. 27, 713), so Clopper and Pearson's interval
    of the falls holds at least as often as it says. The advantage is at most c where a - (1 - c) b
    is at most c, of which the ends are those of a and b put together by their squares (Zou and
    Donner, Stat. Med. 27, 1693).

    Args:
        train: falls of every training row.
        test: recovery rate of unseen sequences; NaN where one has none.
        seed: of the bootstrap over unseen sequences.
        level: how often the interval is to cover.

    Returns:
        The advantage; its `n` are falls, or unseen sequences where these are fewer.

    Raises:
        AttractorError: if a row has no fall in which a token was changed, or fewer than two unseen
            sequences have one.
    """
    test = test[~np.isnan(test)]
    falls = (~np.isnan(train.rates)).sum(0)
    if not falls.all() or len(test) < 2:
        raise AttractorError(
            f"{(falls == 0).sum()} training rows never had a token changed, and {len(test)} unseen "
            "sequences had: none and at least 2 are needed, give more text"
        )
    returned, b = recovery_of_falls(train, level=level), float(test.mean())
    a, (a_low, a_high) = returned.value, returned.ends()
    b_low, b_high = _mean_ends(test, seed, level)
    value, room = basin_advantage(a, b), max(1 - b, LEAST_ROOM)
    if 1 - b > LEAST_ROOM:
        low = 1 - _missing(1 - value, room, a - a_low, b_high - b, 1)
        high = 1 - _missing(1 - value, room, a_high - a, b - b_low, -1)
    else:
        low, high = (
            value - float(np.hypot(a - a_low, b_high - b)) / room,
            value + float(np.hypot(a_high - a, b - b_low)) / room,
        )
    return Estimate(value, low, high, min(returned.n, len(test)))


def recovery_of_falls(train: Falls, *, level: float = LEVEL) -> Estimate:
    """Share of the changed tokens of these rows that return, see `advantage_of_falls`; its `n` are
    falls."""
    falls = (~np.isnan(train.rates)).sum(0)
    value = float(np.average(np.nanmean(train.rates, 0), weights=train.copies))
    # As many falls of equal weight as have the same variance.
    weight = train.copies / train.copies.sum()
    equal = 1 / float((weight**2 / falls).sum())
    low, high = clopper_pearson(value * equal, equal, level).ends()
    return Estimate(value, low, high, int(falls.sum()))


def _missing(ratio: float, room: float, reach_a: float, reach_b: float, side: int) -> float:
    """The y on a side of (1 - a) / (1 - b) whose distance from it, times 1 - b, is the reach of a
    and y times the reach of b, together by their squares."""
    square = room**2 - min(reach_b, 0.999 * room) ** 2
    middle = room**2 * ratio
    root = max(0.0, middle**2 - square * (middle * ratio - reach_a**2))
    return max(0.0, float(middle + side * np.sqrt(root)) / square)


def _mean_ends(values: Values, seed: int, level: float) -> tuple[float, float]:
    """Both ends of a mean rate over sequences."""
    n, mean = len(values), float(values.mean())
    if np.ptp(values) == 0:
        reach = 1 - clopper_pearson(n, n, level).ends()[0]
        return max(0.0, mean - reach), min(1.0, mean + reach)
    samples = resampled_means(values[:, None], seed, stream=1)[:, 0]
    return bca(mean, samples, values - mean, n, level)

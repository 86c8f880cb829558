"""Intervals over training runs, which differ by their seeds and by the order of their data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from attractor.analysis.statistics import LEVEL
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

Values = NDArray[np.float64]
FEW_SEEDS = 5
"""Training seeds below which the spread between them is hardly known."""


def over_seeds(
    estimates: Sequence[Estimate], replicates: Sequence[tuple[int, int]] | None = None
) -> Estimate:
    """Mean over training runs, with a 95% interval over sequences and runs; of one run, what it
    is.

    Runs of one data seed are measured on the same sequences, so their intervals over sequences are
    averaged and do not shrink. Between runs the interval is that of Student with one degree of
    freedom fewer than there are: resampling two could only show their two values again. See
    `widened` for what both together cover.

    Args:
        estimates: one for each run.
        replicates: (data seed, seed) of each, see `replicate_reach`; all of one data seed unless
            given.
    """
    values = [e.value for e in estimates]
    value = float(np.mean(values))
    low, high = np.mean([e.ends() for e in estimates], axis=0).tolist()
    reach = runs_reach(values, replicates or ())
    return Estimate(value, *widened(value, low, high, reach), estimates[0].n)


def replicate_reach(
    values: Sequence[float] | Values, replicates: Sequence[tuple[int, int]], level: float = LEVEL
) -> float:
    """Half of the interval, of 95% unless another `level` is asked for, for the mean of one value a
    training run, where runs share data seeds and seeds.

    A model is trained for every data seed and every seed, so that six runs may be two training sets
    and three starts, and not six of either. Student's half-widths for the mean of the means of data
    seeds, and for that of the means of seeds, are added by their squares; what only one run of each
    has is in both. With one data seed, or one seed, it is `seed_reach` of the others. Simulated
    with 2, 3 and 5 of each it covers 95% or more, whichever of them the spread is between.

    Args:
        values: one for each run.
        replicates: (data seed, seed) of each.
        level: how often it is to cover.
    """
    found, labels = np.asarray(values, np.float64), np.asarray(replicates)
    means = ([found[column == each].mean() for each in np.unique(column)] for column in labels.T)
    by_data, by_seed = (seed_reach(each, level) for each in means)
    return float(np.hypot(by_data, by_seed))


def runs_reach(
    values: Sequence[float] | Values, replicates: Sequence[tuple[int, int]], level: float = LEVEL
) -> float:
    """`replicate_reach` where it is known which runs share what, else `seed_reach`, by which each
    is a run of its own."""
    if replicates:
        return replicate_reach(values, replicates, level)
    return seed_reach(values, level)


def fewest_runs(replicates: Sequence[tuple[int, int]], runs: int = 1) -> int:
    """Seeds or data seeds, whichever are fewer where there are several of both: by so many the
    spread between training runs is known. Without replicates it is the number of runs."""
    if not replicates:
        return runs
    each = (len(set(column)) for column in zip(*replicates, strict=True))
    return min((k for k in each if k > 1), default=1)


def relative_reach(runs: int, level: float = LEVEL) -> float:
    """Half of Student's interval, of 95% unless another `level` is asked for, for a mean over so
    many runs, in units of the spread between them; infinite for a single one."""
    if runs < 2:
        return float("inf")
    return float(special.stdtrit(runs - 1, (1 + level) / 2) / np.sqrt(runs))


def seed_reach(values: Sequence[float] | Values, level: float = LEVEL) -> float:
    """Half of Student's interval, of 95% unless another `level` is asked for, for the mean of one
    value a training seed; 0 for a single seed, which says nothing about the spread between
    seeds."""
    k = len(values)
    if k < 2:
        return 0.0
    return relative_reach(k, level) * float(np.std(values, ddof=1))


def student_interval(
    values: Sequence[float] | Values, replicates: Sequence[tuple[int, int]] = ()
) -> Estimate:
    """Mean of one value a training run with Student's 95% interval; where (data seed, seed) of each
    is given, as `replicate_reach` has it.

    Raises:
        AttractorError: for fewer than two seeds, and for a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        raise AttractorError(
            f"{len(values)} training seed: an interval over seeds needs at least 2, as with "
            "--seeds 0 1 2"
        )
    if not np.isfinite(values).all():
        wrong = int(np.flatnonzero(~np.isfinite(values))[0])
        raise AttractorError(f"training seed {wrong + 1} of {len(values)} has no finite value")
    mean = float(values.mean())
    reach = runs_reach(values, replicates)
    return Estimate(mean, mean - reach, mean + reach, len(values))


def widened(value: float, low: float, high: float, reach: float) -> tuple[float, float]:
    """An interval over sequences and half an interval over seeds in one, by adding their squares
    (Zou and Donner, Statistics in Medicine 27, 1693).

    Simulated with 64 sequences and 2, 3 and 5 seeds, this covers 95% or more whatever part of the
    spread is between seeds. The price is width: with two seeds it was up to 4.6 times, with three
    up to 2.3 times as wide as it would be if the spreads were known.
    """
    return value - float(np.hypot(value - low, reach)), value + float(np.hypot(high - value, reach))

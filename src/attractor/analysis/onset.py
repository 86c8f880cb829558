"""Onset: the training step at which memorization sets in at one training-set size, how it grows
with the size, and what sets in first.

Each quantity is near 0 while a model only learns the language and 1 where it is a perfect store.
Its course over training is made monotone, and its onset is where that crosses one half, between two
checks linearly in log step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from attractor.analysis.advantage import share_kept
from attractor.analysis.statistics import LEVEL, bca, resampled_means
from attractor.analysis.training_runs import runs_reach, seed_reach, widened

Values = NDArray[np.float64]
HALF = 0.5
MIN_CHECKS = 3
MIN_SIZES = 3
"""Sizes below which no growth is fitted: the scatter around a line through two points is zero."""
TRAIN, TEST, OWN = 0, 1, 2
"""Streams of the bootstrap: courses of the same sequences are resampled together."""
ENTRIES = 2**22
"""Numbers held at a time while courses are made monotone."""


class Watched(NamedTuple):
    """What the checks of one training-set size saw: K training runs, N rows of each kind, T
    checks."""

    steps: Values
    """(T,), rising"""
    recovery_train: Values
    """recovery of each training row, (K, N, T); NaN where nothing was corrupted"""
    recovery_test: Values
    """of each unseen row, (K, N, T)"""
    entropy: Values
    """of each of the model's own generations, nats per token, (K, N, T)"""
    copied: Values
    """whether each of them is near a training row, (K, N, T)"""
    copied_test: Values
    """whether each unseen row is, (K, N, T); the same at every check"""
    replicates: tuple[tuple[int, int], ...] = ()
    """(data seed, seed) of each training run; unless given, each is a run of its own"""


class Course(NamedTuple):
    """A quantity over training: its mean over rows and seeds, and what its uncertainty is made
    of."""

    steps: Values
    mean: Values
    """(T,)"""
    resampled: Values
    """means over resampled rows, (R, T)"""
    seeds: Values
    """of each training run, (K, T)"""
    rows: int
    replicates: tuple[tuple[int, int], ...] = ()
    """as in `Watched`"""

    def ci(self) -> list[tuple[float, float]]:
        """95% interval over rows at each check, given these training runs."""
        none = np.zeros(self.rows)
        columns = zip(self.mean, self.resampled.T, strict=True)
        return [bca(float(mean), draws, none, self.rows) for mean, draws in columns]


End = tuple[float | None, float | None]


class Onset(NamedTuple):
    """The step at which a course crosses one half; an end that is None is open."""

    step: float | None
    ci: End
    """95% interval over rows, given these training runs"""
    between: End
    """the checks between which it lies: what happens between them is interpolated"""
    seeds: tuple[float, ...]
    """of each of several training runs that has one"""
    seeds_ci: tuple[float, float] | None
    """Student's interval over several training runs, where all of them have one; see
    `training_runs.replicate_reach`"""
    reason: str | None
    """why there is none"""
    samples: Values
    """of log step, one for each draw; infinite where a draw does not cross"""
    window: tuple[float, float]
    """log of the first and of the last check"""
    rows: int

    def plain(self) -> dict[str, Any]:
        """What transition.json holds of it."""
        kept = ("step", "ci", "between", "seeds", "seeds_ci", "reason")
        return {key: getattr(self, key) for key in kept}


class Growth(NamedTuple):
    """Slope of log onset against log n: 1 is proportional to n, 0 does not depend on it."""

    slope: float | None
    ci: tuple[float, float] | None
    """95% interval from the scatter of the sizes around the line (Student), which holds the spread
    between training runs, and from the rows"""
    given_runs: tuple[float, float] | None
    """the part of it that comes from the rows"""
    sizes: tuple[int, ...]
    """sizes whose onset is known on both sides; no others are used"""
    reason: str | None = None


class Order(NamedTuple):
    """Which of two onsets comes first: the ratio of the second step to the first."""

    ratio: float | None
    ci: End
    verdict: str
    """before, after or undecided: where the first comes"""
    reason: str | None = None


def courses(own: Watched, largest: Watched | None = None, seed: int = 0) -> dict[str, Course]:
    """The quantities of one training-set size by name.

    - `advantage`: `(r_train - r_test) / (1 - r_test)` of recovery;
    - `copies`: `(c - u) / (1 - u)` of the shares of generations and of unseen rows near a training
      row;
    - `entropy`: `1 - h / h_largest` of the generations' entropy, relative to the largest size at
      the same step: what they lose by learning the language is lost by both.

    Args:
        own: checks of the size.
        largest: those of the largest size, at the same steps; None for that size itself, and the
            entropy is left out.
        seed: of the bootstrap, which resamples rows, whole courses at a time.
    """
    found = {
        "advantage": _course(own, own.recovery_train, TRAIN, own.recovery_test, TEST, seed),
        "copies": _course(own, own.copied, OWN, own.copied_test, TEST, seed),
    }
    if largest is not None:
        # 1 - h / h_largest is (0 - h) / h_largest + 1: written out, since only one part is paired.
        parts = [_means(x.entropy, OWN, seed) for x in (own, largest)]
        mean, resampled = (1 - a / b for a, b in zip(*(p[:2] for p in parts), strict=True))
        # Each seed against the mean of the largest size's: seeds of two sizes are not pairs.
        seeds = 1 - parts[0][2] / parts[1][0]
        rows = own.entropy.shape[1]
        found["entropy"] = Course(own.steps, mean[0], resampled, seeds, rows, own.replicates)
    return found


def onset(course: Course) -> Onset:
    """Where a course crosses one half."""
    log_steps = np.log(course.steps)
    window = (float(log_steps[0]), float(log_steps[-1]))
    at = float(crossings(log_steps, course.mean[None])[0])
    samples = crossings(log_steps, course.resampled)
    each = crossings(log_steps, course.seeds)
    reason = None
    if at == np.inf:
        reason = f"it stays below one half up to the last check, step {course.steps[-1]:g}"
    if at == -np.inf:
        reason = f"it is above one half at the first check, step {course.steps[0]:g}"
    seeds_ci = None
    if len(each) > 1 and np.isfinite(each).all():
        reach = runs_reach(each, course.replicates)
        seeds_ci = (float(np.exp(each.mean() - reach)), float(np.exp(each.mean() + reach)))
    passed = log_steps >= at - 1e-9  # a course that is at one half at a check has passed
    return Onset(
        step=_step(at) if np.isfinite(at) else None,
        ci=_steps(_ends(samples, window, course.rows), window),
        between=(
            float(course.steps[~passed].max()) if (~passed).any() else None,
            float(course.steps[passed].min()) if passed.any() else None,
        ),
        seeds=tuple(np.exp(each[np.isfinite(each)]).tolist()) if len(each) > 1 else (),
        seeds_ci=seeds_ci,
        reason=reason,
        samples=samples,
        window=window,
        rows=course.rows,
    )


def growth(sizes: Sequence[int], onsets: Sequence[Onset]) -> Growth:
    """Fit `log onset = slope log n + constant` by least squares.

    Only onsets known on both sides count: a size that never crosses, or may have before the first
    check, has none to fit.
    """
    known = [
        (n, found.step, found)
        for n, found in zip(sizes, onsets, strict=True)
        if found.step is not None and None not in found.ci
    ]
    used = tuple(n for n, _, _ in known)
    if len(known) < MIN_SIZES:
        reason = f"{len(known)} sizes have an onset that is known on both sides, {MIN_SIZES} needed"
        return Growth(None, None, None, used, reason)
    x = np.log(used)
    x = x - x.mean()
    weights = x / (x**2).sum()
    y = np.log([step for _, step, _ in known])
    slope = float(weights @ y)
    left = y - y.mean() - slope * x
    spread = np.sqrt((left**2).sum() / (len(x) - 2) / (x**2).sum())
    reach = float(scipy.special.stdtrit(len(x) - 2, (1 + LEVEL) / 2) * spread)
    # A draw beyond the checks counts as one at their end; of known onsets these are few.
    draws = weights @ np.stack([np.clip(found.samples, *found.window) for _, _, found in known])
    rows = min(found.rows for _, _, found in known)
    given = bca(slope, draws, np.zeros(rows), rows)
    return Growth(slope, widened(slope, *given, reach), given, used)


def order(first: Onset, second: Onset, comparisons: int = 1) -> Order:
    """Which of two onsets of one training-set size comes first, given these training runs.

    It is decided where the interval of their ratio excludes 1 and a check lies between them: two
    onsets in one gap between checks are told apart by the interpolation alone.

    Args:
        first: an onset.
        second: another of the same models.
        comparisons: how many are made; the interval is Bonferroni's for that many.
    """
    low, high = _apart(first, second, 1 - (1 - LEVEL) / comparisons)
    ratio = None
    if first.step is not None and second.step is not None:
        ratio = second.step / first.step
    ci = (
        None if low is None else float(np.exp(low)),
        None if high is None else float(np.exp(high)),
    )
    if low is not None and low > 0:
        return _decided(ratio, ci, "before", first, second)
    if high is not None and high < 0:
        return _decided(ratio, ci, "after", second, first)
    return Order(ratio, ci, "undecided", "the interval of the ratio contains 1")


def order_over_sizes(first: Sequence[Onset], second: Sequence[Onset]) -> Order:
    """The geometric mean of the ratios over training-set sizes, with an interval from the spread
    between the sizes (Student), in which every size is a training run of its own, and from the
    rows."""
    pairs = [
        (a, b)
        for a, b in zip(first, second, strict=True)
        if a.step is not None and b.step is not None
    ]
    if len(pairs) < MIN_SIZES:
        reason = f"{len(pairs)} sizes have both onsets, {MIN_SIZES} needed"
        return Order(None, (None, None), "undecided", reason)
    ratios = np.log([b.step / a.step for a, b in pairs])  # type: ignore[operator]
    draws = [np.clip(b.samples, *b.window) - np.clip(a.samples, *a.window) for a, b in pairs]
    rows, mean = min(x.rows for pair in pairs for x in pair), float(ratios.mean())
    given = bca(mean, np.mean(draws, 0), np.zeros(rows), rows)
    low, high = widened(mean, *given, seed_reach(ratios))
    ci = (float(np.exp(low)), float(np.exp(high)))
    verdict = "before" if low > 0 else "after" if high < 0 else "undecided"
    why = "the interval of the ratio contains 1" if verdict == "undecided" else None
    return Order(float(np.exp(mean)), ci, verdict, why)


def crossings(log_steps: Values, curves: Values) -> Values:
    """Log step at which each of R courses, (R, T), made monotone, crosses one half; minus infinity
    where it is above at the first check, infinity where it never is."""
    rising = monotone(curves)
    above = rising >= HALF
    k = np.maximum(above.argmax(1), 1)
    rows = np.arange(len(curves))
    before, after = rising[rows, k - 1], rising[rows, k]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (HALF - before) / (after - before)
    at = log_steps[k - 1] + share * (log_steps[k] - log_steps[k - 1])
    return np.where(above[:, 0], -np.inf, np.where(above[:, -1], at, np.inf))


def monotone(curves: Values) -> Values:
    """The rising curves nearest to R curves, (R, T), in least squares (isotonic regression).

    By the max-min formula (Robertson, Wright and Dykstra, 1988, theorem 1.4.4): at j the largest,
    over beginnings i up to j, of the smallest, over ends k from j on, of the means from i to k.
    """
    length = curves.shape[1]
    i, k = np.indices((length, length))
    found = [np.empty((0, length))]
    for part in np.array_split(curves, max(1, len(curves) * length**2 // ENTRIES)):
        total = np.pad(part.cumsum(1), ((0, 0), (1, 0)))
        means = (total[:, k + 1] - total[:, i]) / np.maximum(k + 1 - i, 1)
        means = np.where(k >= i, means, np.inf)
        smallest = np.minimum.accumulate(means[:, :, ::-1], 2)[:, :, ::-1]
        found.append(np.where(k >= i, smallest, -np.inf).max(1))
    return np.concatenate(found)


def _course(own: Watched, a: Values, stream_a: int, b: Values, stream_b: int, seed: int) -> Course:
    """The course of `(a - b) / (1 - b)`, a share beyond the same share among unseen rows."""
    parts = _means(a, stream_a, seed), _means(b, stream_b, seed)
    mean, resampled, seeds = (share_kept(x, y) for x, y in zip(*parts, strict=True))
    rows = min(a.shape[1], b.shape[1])
    return Course(own.steps, mean[0], resampled, seeds, rows, own.replicates)


def _means(values: Values, stream: int, seed: int) -> tuple[Values, Values, Values]:
    """Of (K, N, T): the mean (1, T), means over resampled rows (R, T), of each seed (K, T)."""
    length = values.shape[-1]
    every = np.nanmean(values.reshape(-1, length), 0)[None]
    # A draw of rows in none of which anything was corrupted says nothing and is left at the mean.
    resampled = resampled_means(values, seed, stream=stream)
    return every, np.where(np.isnan(resampled), every, resampled), np.nanmean(values, 1)


def _ends(samples: Values, window: tuple[float, float], rows: int, level: float = LEVEL) -> Values:
    """Both ends of an interval over draws; a draw that does not cross lies beyond the checks."""
    beyond = np.clip(samples, window[0] - 1, window[1] + 1)
    return np.array(bca(0.0, beyond, np.zeros(rows), rows, level))


def _steps(ends: Values, window: tuple[float, float]) -> End:
    # Of what lies beyond the checks is known on which side, and no more.
    (start, last), (low, high) = window, ends
    return (
        _step(min(low, last)) if low >= start else None,
        _step(max(high, start)) if high <= last else None,
    )


def _step(log_step: float) -> float:
    return round(float(np.exp(log_step)), 6)  # 400, and not the 399.9999999999999 of its logarithm


def _apart(first: Onset, second: Onset, level: float) -> End:
    """Ends of the log of the ratio of two onsets, None where open."""
    (start, end), a, b = first.window, first.samples, second.samples
    # What lies beyond the checks is at least as far away as their end: that bounds the difference
    # on one side, and leaves it open on the other.
    least = np.where((a == np.inf) | (b == -np.inf), -np.inf, _held(b, end) - _held(a, start))
    most = np.where((a == -np.inf) | (b == np.inf), np.inf, _held(b, start) - _held(a, end))
    rows, reach = min(first.rows, second.rows), end - start
    low = _ends(least, (-reach, reach), rows, level)[0]
    high = _ends(most, (-reach, reach), rows, level)[1]
    return None if low < -reach else float(low), None if high > reach else float(high)


def _held(samples: Values, place: float) -> Values:
    return np.where(np.isfinite(samples), samples, place)


def _decided(ratio: float | None, ci: End, verdict: str, early: Onset, late: Onset) -> Order:
    passed, not_yet = early.between[1], late.between[0]
    if passed is not None and not_yet is not None and passed <= not_yet:
        return Order(ratio, ci, verdict)
    return Order(ratio, ci, "undecided", "no check lies between the two")

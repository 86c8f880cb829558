"""kappa: the surprise that a model meets over the surprise that it expects, with its interval, and
the training-set size at which unseen text is judged half as badly beside training text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.groups import alike, summed
from attractor.analysis.statistics import bca, ratio_interval, resampled_means, student_tail
from attractor.analysis.transition import (
    TEST,
    TRAIN,
    Table,
    Transition,
    combined,
    half_way,
    mean_curves,
    not_found,
)
from attractor.results.estimate import Estimate, Groups
from attractor.results.thresholds import RESOLVED
from attractor.types import AttractorError

Values = NDArray[np.float64]


class Surprise(NamedTuple):
    """What was met and what was expected, nats per token; both of one shape whose last but one, or
    only, axis is that of the sequences."""

    nll: Values
    entropy: Values

    def resolved(self) -> Surprise:
        """A millionth of a nat more of both, so that what is certain and right has kappa 1."""
        return Surprise(self.nll + RESOLVED, self.entropy + RESOLVED)


def kappa(found: Surprise, seed: int = 0, groups: Groups | None = None) -> Estimate:
    """Mean nll over mean entropy of N sequences, with a 95% bootstrap interval over sequences, or,
    see `statistics.mean_interval`, over groups of them.

    Raises:
        AttractorError: for fewer than two sequences, and for a number that is not finite.
    """
    nll, entropy = _checked(found)
    return ratio_interval(nll, entropy, seed, groups)


def log_kappa_difference(
    a: Surprise,
    b: Surprise,
    seed: int = 0,
    groups: tuple[Groups | None, Groups | None] = (None, None),
) -> Estimate:
    """ln kappa of `a` minus that of `b`, independent sequences, with a 95% bootstrap interval; for
    the `groups` of either see `statistics.mean_interval`.

    Raises:
        AttractorError: for fewer than two sequences in either, and for a number that is not finite.
    """
    a, b = _checked(a), _checked(b)
    value = _log_kappa(a.nll.mean(), a.entropy.mean()) - _log_kappa(b.nll.mean(), b.entropy.mean())
    # By how much the difference moves when a sequence of either sample gets a little more weight.
    influence = _influence(a), -_influence(b)
    of = [alike(x, known) for x, known in zip(influence, groups, strict=True)]
    drawn = [resampled_means(np.stack(x, 1), seed + i, groups=of[i]) for i, x in enumerate((a, b))]
    first, second = (_log_kappa(x[:, 0], x[:, 1]) for x in drawn)
    units = [x if each is None else summed(x, each) for x, each in zip(influence, of, strict=True)]
    ends = bca(float(value), first - second, np.concatenate(units), min(map(len, units)))
    return Estimate(float(value), *ends, min(len(a.nll), len(b.nll)))


def calibration_transition(
    sizes: Values,
    train: Surprise,
    test: Surprise,
    seed: int = 0,
    groups: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None] = (None, None),
    replicates: tuple[tuple[int, int], ...] = (),
) -> Transition:
    """Size at which ln kappa of unseen minus that of training text has fallen to half of what it is
    at the smallest size, where that is surely above 0.

    Args:
        sizes: training-set sizes, (S,).
        train: of each training sequence at each size, (N, S) or (training seeds, N, S).
        test: the same of unseen sequences, (M, S) or (training seeds, M, S).
        seed: of the bootstrap, which resamples sequences, whole curves at a time.
        groups: of training and of unseen sequences, where whole groups are to be resampled.
        replicates: (data seed, seed) of each training run.
    """
    # One stream for each text, so that nll and entropy are those of the same drawn sequences.
    curves = [
        mean_curves(sizes, Table(values, of, replicates), seed, stream)
        for found, stream, of in ((test, TEST, groups[1]), (train, TRAIN, groups[0]))
        for values in found.resolved()
    ]
    gap = combined(lambda a, b, c, d: _log_kappa(a, b) - _log_kappa(c, d), *curves)
    if np.quantile(gap.resampled[:, 0], student_tail(int(gap.sequences[0]))) <= 0:
        return not_found(
            f"ln kappa of unseen minus training text is {gap.mean[0]:.2f} at n = {sizes[0]:,.0f}, "
            "the smallest size, not surely above 0"
        )
    shares = combined(lambda curve: curve / curve[..., :1], gap)
    return half_way(sizes, shares, "share of the gap of ln kappa")


def _log_kappa(nll: Values, entropy: Values) -> Values:
    return np.log(nll) - np.log(entropy)


def _influence(found: Surprise) -> Values:
    ratio = found.nll.sum() / found.entropy.sum()
    return (found.nll - ratio * found.entropy) / found.nll.sum()


def _checked(found: Surprise) -> Surprise:
    nll, entropy = (np.asarray(x, dtype=np.float64) for x in found)
    wrong = np.flatnonzero(~(np.isfinite(nll) & np.isfinite(entropy)))
    if len(wrong):
        raise AttractorError(
            f"{len(wrong)} of {len(nll)} sequences have no finite value, first row {wrong[0]}"
        )
    if len(nll) < 2:
        raise AttractorError(f"{len(nll)} sequences with a value: an interval needs at least 2")
    return Surprise(nll, entropy).resolved()

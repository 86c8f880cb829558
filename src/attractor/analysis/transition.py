"""Where memorization turns into generalization: half-way points, peaks and bends of curves against
log n.

What is known of a place has three limits, which are told apart and never folded into one:

- the *sequences*: places of mean curves over resampled sequences, an interval given these training
  runs;
- the *sizes*: between which two of them it was interpolated;
- the *training runs*: Student's interval of the places that each training seed has by itself.

So a finder takes many curves at once, (R, S), and returns log n of each. Where a curve has its
place below the smallest size that is -inf, above the largest one inf; NaN where it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.advantage import HALF, share_kept
from attractor.analysis.crossing import crossings
from attractor.analysis.statistics import RESAMPLES, resampled_means, student_tail
from attractor.analysis.training_runs import FEW_SEEDS, fewest_runs, student_interval
from attractor.results.estimate import FEW
from attractor.types import AttractorError

Values = NDArray[np.float64]
MIN_SIZES_PEAK, MIN_SIZES_BEND = 4, 5
"""Sizes below which a peak and a bend are not looked for."""
MIN_RISE = 0.1
"""Nats by which entropy must rise for its half to mean anything, and a peak stand above both
ends."""
WIDE, NARROW = 0.9, 0.1
"""Levels between which the width of a fall is taken."""
TRAIN, TEST, OWN = 0, 1, 2
"""Streams of the bootstrap: curves of the same sequences are resampled together."""


class Table(NamedTuple):
    """One curve of each sequence, and which of them belong together."""

    values: Values
    """(N, S), or (training runs, N, S); NaN where a sequence has none, or was not measured"""
    groups: NDArray[np.int64] | None = None
    """group of each sequence, (N,), where whole groups are to be resampled"""
    replicates: tuple[tuple[int, int], ...] = ()
    """(data seed, seed) of each training run; unless given, each is a run of its own"""


class Curves(NamedTuple):
    """A mean curve, and what its uncertainty is made of."""

    mean: Values
    """(S,)"""
    resampled: Values
    """means over resampled sequences, (R, S)"""
    seeds: Values
    """means of each training run, (K, S)"""
    sequences: NDArray[np.int64]
    """behind each point, (S,): a small training set has fewer; groups, where those are resampled"""
    replicates: tuple[tuple[int, int], ...] = ()
    """as in `Table`"""

    @property
    def fewest(self) -> int:
        """Sequences behind the point that has fewest."""
        return int(self.sequences.min())


class Transition(NamedTuple):
    """A place in n and its three uncertainties, or the reason why there is none."""

    n_star: float | None
    ci: tuple[float, float] | None
    """95% interval over sequences, given these training runs"""
    width: float | None
    """decades of n over which the curve falls from 90% to 10%; None where it does not, or where the
    place is no half-way point"""
    reason: str | None = None
    warning: str | None = None
    sizes: tuple[float, float] | None = None
    """the measured sizes between which it was interpolated"""
    seed_ci: tuple[float, float] | None = None
    """Student's 95% interval over training seeds, on these sequences; None with a single one"""
    seed_n_star: tuple[float | None, ...] = ()
    """the place of each training seed by itself; None where that is not inside the sizes"""
    samples: Values = np.empty(0)
    """bootstrap samples of log n_star; infinite where they lie beyond the sizes"""
    sequences: int = 0
    """behind the bootstrap"""
    replicates: tuple[tuple[int, int], ...] = ()
    """(data seed, seed) of each training run; unless given, each is a run of its own"""

    @property
    def seeds(self) -> int:
        """Training seeds behind it."""
        return len(self.seed_n_star)

    def plain(self) -> dict[str, Any]:
        """What transition.json holds of it."""
        values = self._asdict()
        within = ("samples", "sequences", "replicates")
        return {key: value for key, value in values.items() if key not in within}


def recovery_transition(
    sizes: Values, train: Values | Table, test: Values | Table, seed: int = 0
) -> Transition:
    """Size at which the basin advantage is 1/2, see `advantage`.

    Args:
        sizes: training-set sizes, (S,).
        train: recovery of each training sequence at each size, (N, S) or (training seeds, N, S);
            NaN where nothing was perturbed.
        test: the same for unseen sequences, (M, S) or (training seeds, M, S).
        seed: of the bootstrap, which resamples sequences, whole curves at a time.
    """
    # Training and unseen sequences are independent samples, resampled apart.
    a, b = mean_curves(sizes, train, seed, TRAIN), mean_curves(sizes, test, seed, TEST)
    return half_way(sizes, combined(share_kept, a, b), "basin advantage")


def copying_transition(
    sizes: Values, own: Values | Table, test: Values | Table, seed: int = 0
) -> Transition:
    """Size at which half of the generations are copies, beyond as many as there are by chance.

    If a share m of the generations is copied, and the rest is near a training row as often as
    unseen text is, share u, then m + (1 - m) u of them are near one: m is (share - u) / (1 - u).

    Args:
        sizes: training-set sizes, (S,).
        own: whether each generation is near a training row, 1 or 0, shaped as in
            `recovery_transition`.
        test: the same of unseen rows.
        seed: of the bootstrap.
    """
    a, b = mean_curves(sizes, own, seed, OWN), mean_curves(sizes, test, seed, TEST)
    return half_way(sizes, combined(share_kept, a, b), "share of copies beyond chance")


def entropy_transition(
    sizes: Values,
    entropy: Values | Table,
    seed: int = 0,
    text: Literal["training", "own"] = "training",
) -> Transition:
    """Size at which entropy has risen half-way, from the 0 of a store to its value at the largest
    size.

    It does not depend on the other sizes there are. While the entropy still rises at the largest
    one, it is a lower bound. `entropy` is (N, S) or (training seeds, N, S), nats, of `text`.
    """
    curves = mean_curves(sizes, entropy, seed, TRAIN if text == "training" else OWN)
    if not _rises(curves):
        return not_found(f"the entropy of {text} text rises by less than {MIN_RISE} nats")
    most = curves.mean[-1]

    def share(curve: Values) -> Values:
        """By its own end; a seed that was not trained at the largest size has that of all."""
        end = curve[..., -1:]
        return 1 - curve / np.where(np.isnan(end), most, end)

    missing = combined(share, curves)
    return half_way(sizes, missing, f"share of the entropy of {text} text that is missing")


def entropy_bend(sizes: Values, entropy: Values | Table, seed: int = 0) -> Transition:
    """Change-point of entropy: where its slope against log n changes most. Arguments as in
    `entropy_transition`."""
    if len(sizes) < MIN_SIZES_BEND:
        return not_found(
            f"{len(sizes)} sizes are too few for a change-point, which needs {MIN_SIZES_BEND}"
        )
    curves = mean_curves(sizes, entropy, seed, TRAIN)
    if not _rises(curves):
        return not_found(f"the entropy of training text rises by less than {MIN_RISE} nats")
    return _located(sizes, bend, curves, "no change of slope inside the measured sizes")


def perplexity_peak(
    sizes: Values,
    nats: Values | Table,
    seed: int = 0,
    of: Literal["generative", "validation"] = "generative",
) -> Transition:
    """Size at which a perplexity peaks, by a local quadratic.

    The peak must stand at least `MIN_RISE` above both ends, with an interval (Bonferroni over the
    sizes between them): the highest point of a flat, noisy curve is no peak.

    Args:
        sizes: training-set sizes, (S,).
        nats: per token, of each sequence at each size, (N, S) or (training seeds, N, S): of
            generations under the judge, or of unseen text under the model itself.
        seed: of the bootstrap.
        of: which of the two.
    """
    if len(sizes) < MIN_SIZES_PEAK:
        return not_found(f"{len(sizes)} sizes are too few for a peak, which needs {MIN_SIZES_PEAK}")
    curves = mean_curves(sizes, nats, seed, OWN if of == "generative" else TEST)
    top, between = int(curves.mean.argmax()), len(sizes) - 2
    if top in (0, between + 1):
        return not_found(
            f"{of} perplexity is highest at the {'largest' if top else 'smallest'} size"
        )
    above_ends = curves.resampled[:, top] - curves.resampled[:, [0, -1]].max(1)
    if np.quantile(above_ends, student_tail(curves.fewest) / between) < MIN_RISE:
        return not_found(f"{of} perplexity does not surely rise by {MIN_RISE} nats above its ends")
    return _located(sizes, summit, curves, "no peak inside the measured sizes")


def half(sizes: Values, curves: Values) -> Values:
    """Where R falling curves, (R, S), come down to 1/2: log n, (R,)."""
    return crossings(sizes, curves, HALF)


def summit(sizes: Values, curves: Values) -> Values:
    """Top of the parabola in log n through the highest point of each curve, (R, S), and its two
    neighbours: log n, (R,)."""
    log_n = np.log(sizes)
    top, rows = curves.argmax(1), np.arange(len(curves))
    k = np.clip(top, 1, len(sizes) - 2)
    left, right = log_n[k - 1] - log_n[k], log_n[k + 1] - log_n[k]
    fall_left, fall_right = (curves[rows, k + i] - curves[rows, k] for i in (-1, 1))
    # The vertex of the parabola through (0, 0), (left, fall_left) and (right, fall_right): sizes
    # are not evenly spaced. Three points on a line have none.
    below = 2 * (left * fall_right - right * fall_left)
    with np.errstate(invalid="ignore", divide="ignore"):
        vertex = log_n[k] + (left**2 * fall_right - right**2 * fall_left) / below
    vertex = np.where(np.isfinite(vertex), vertex, np.nan)
    return np.where(top == 0, -np.inf, np.where(top == len(sizes) - 1, np.inf, vertex))


def bend(sizes: Values, curves: Values) -> Values:
    """Where the slope changes: the joint of the continuous pair of lines in log n that fits best;
    curves are (R, S), log n is (R,)."""
    log_n = np.log(sizes)
    # For a given joint the pair of lines is a sum of three functions: constant, slope, and
    # additional slope beyond the joint. In an orthonormal basis of those, what a fit explains is
    # the sum of squares of the curve's coefficients, so no fit has to be solved for.
    joints = np.linspace(log_n[1], log_n[-2], 201)
    beyond = log_n - joints[:, None]
    lines = np.stack([np.ones_like(beyond), beyond, np.maximum(beyond, 0)], -1)
    basis = np.linalg.qr(lines).Q  # (joints, S, 3)
    explained = (np.einsum("jsk,rs->rjk", basis, curves) ** 2).sum(-1)
    best = explained.argmax(1)
    # A joint must explain more than one straight line does, beyond rounding.
    straight = np.linalg.qr(np.stack([np.ones_like(log_n), log_n], 1)).Q
    gained = explained.max(1) - ((curves @ straight) ** 2).sum(1)
    found = np.where(gained > 1e-9 * (curves**2).sum(1), joints[best], np.nan)
    return np.where(best == 0, -np.inf, np.where(best == len(joints) - 1, np.inf, found))


def half_way(sizes: Values, shares: Curves, what: str) -> Transition:
    """Where a share falls to 1/2, if it is surely above that at the smallest size and surely below
    it at the largest one: each end at 97.5%, so both at 95%."""
    if len(sizes) < 2:
        return not_found(f"n = {sizes[0]:,.0f} is the only size, and a place needs at least 2")
    open_ends = []
    for at, side, end in ((0, "small", "smallest"), (-1, "large", "largest")):
        tail = student_tail(int(shares.sequences[at]))
        ends = np.nanquantile(shares.resampled[:, at], [tail, 1 - tail])
        surely = ends[0] > HALF if at == 0 else ends[1] < HALF
        if not surely:
            open_ends.append(
                f"open towards {side} n: the {what} at n = {sizes[at]:,.0f}, the {end} size, is "
                f"{shares.mean[at]:.2f} [{ends[0]:.2f}, {ends[1]:.2f}], not surely "
                f"{'above' if at == 0 else 'below'} 1/2"
            )
    if open_ends:
        return not_found("; ".join(open_ends))
    found = _located(sizes, half, shares, "it does not fall to 1/2 inside the measured sizes")
    if found.n_star is None:
        return found
    wide, narrow = (crossings(sizes, shares.mean[None], x)[0] for x in (WIDE, NARROW))
    width = (narrow - wide) / np.log(10)
    return found._replace(width=float(width) if np.isfinite(width) else None)


def _located(
    sizes: Values, find: Callable[[Values, Values], Values], curves: Curves, nothing: str
) -> Transition:
    """Find a place on the mean curve, on curves over resampled sequences, and on that of each
    seed."""
    log_n = float(find(sizes, curves.mean[None])[0])
    if not np.isfinite(log_n):
        return not_found(nothing)
    n_star = float(np.exp(log_n))
    at = int(np.clip(np.searchsorted(sizes, n_star, "right"), 1, len(sizes) - 1))
    sequences = int(curves.sequences[at - 1 : at + 1].min())
    samples = find(sizes, curves.resampled)
    low, high = percentiles(samples, student_tail(sequences))
    if not np.isfinite([low, high]).all():
        beyond = np.array([(samples == -np.inf).sum(), (samples == np.inf).sum()])
        none = len(samples) - np.isfinite(samples).sum() - beyond.sum()
        return not_found(
            f"of {len(samples):,} resamples {beyond[0]:,} have it below n = {sizes[0]:,.0f}, "
            f"{beyond[1]:,} above n = {sizes[-1]:,.0f} and {none:,} nowhere: an end is open"
        )
    seeds = _alone(sizes, find, curves.seeds)
    inside = np.isfinite(seeds)
    seed_ci = None
    if len(seeds) > 1 and inside.all():
        ends = np.exp(student_interval(seeds, curves.replicates).ends())
        seed_ci = (float(ends[0]), float(ends[1]))
    return Transition(
        n_star=n_star,
        ci=(float(np.exp(low)), float(np.exp(high))),
        width=None,
        warning=_warning(
            sequences, inside, fewest_runs(curves.replicates, len(seeds)), moves=low < high
        ),
        sizes=(float(sizes[at - 1]), float(sizes[at])),
        seed_ci=seed_ci,
        seed_n_star=tuple(float(np.exp(x)) if np.isfinite(x) else None for x in seeds),
        samples=samples,
        sequences=sequences,
        replicates=curves.replicates,
    )


def _alone(
    sizes: Values, find: Callable[[Values, Values], Values], curves: Values
) -> NDArray[np.float64]:
    """The place of each run by itself, from the sizes that it has been trained at; a run that lacks
    sizes and has fewer than three has none."""
    there = np.isfinite(curves)
    return np.array(
        [
            find(sizes[known], curve[None, known])[0] if known.all() or known.sum() > 2 else np.nan
            for curve, known in zip(curves, there, strict=True)
        ]
    )


def percentiles(samples: Values, tail: float) -> tuple[float, float]:
    """Both ends of an interval that leaves a tail of the samples on either side; those that are not
    defined, NaN, may lie anywhere and count as open at both ends."""
    low = np.quantile(np.where(np.isnan(samples), -np.inf, samples), tail, method="inverted_cdf")
    high = np.quantile(
        np.where(np.isnan(samples), np.inf, samples), 1 - tail, method="inverted_cdf"
    )
    return float(low), float(high)


def _warning(sequences: int, inside: NDArray[np.bool_], fewest: int, moves: bool) -> str | None:
    said, runs = [], len(inside)
    if not moves:  # all or none on either side, so that the line between two sizes says where
        said.append("no resample moves it: that it lies between its two sizes is all that is known")
    if sequences < FEW:
        said.append(f"the interval rests on {sequences} sequences, fewer than {FEW}")
    if 1 < fewest < FEW_SEEDS:
        said.append(
            f"the spread between training runs is known from {fewest} seeds only, fewer than "
            f"{FEW_SEEDS}"
        )
    if runs > 1 and not inside.all():
        said.append(
            f"{runs - inside.sum()} of {runs} training runs have it outside the measured sizes, "
            "so there is no interval over runs"
        )
    return "; ".join(said) or None


def mean_curves(sizes: Values, table: Values | Table, seed: int, stream: int) -> Curves:
    """The mean curve of a table of sequences, resampled.

    Raises:
        AttractorError: for a single sequence, and for a value that is missing or infinite.
    """
    values, groups, replicates = table if isinstance(table, Table) else Table(table)
    if len(sizes) != values.shape[-1] or not (np.diff(sizes, prepend=0) > 0).all():
        raise AttractorError(
            f"sizes {list(sizes)} of curves of {values.shape[-1]} points: one each, positive and "
            "rising"
        )
    stacked = values[None] if values.ndim == 2 else values
    known = np.asarray((~np.isnan(stacked)).any(0))
    sequences = known.sum(0)
    if not sequences.all() or np.isinf(values).any():
        where = "a value is infinite"
        if not sequences.all():
            where = f"at n = {sizes[sequences == 0][0]:g} no sequence has a value"
        raise AttractorError(f"{where}: a curve needs finite ones at every size")
    if groups is not None:
        sequences = np.array([len(np.unique(groups[column])) for column in known.T])
    if sequences.min() < 2:
        kind = "sequence" if groups is None else "group of sequences"
        at = f" at n = {sizes[sequences.argmin()]:g}"
        raise AttractorError(f"curves of a single {kind}{at}: an interval needs at least 2")
    resampled = resampled_means(values, seed, RESAMPLES, stream, groups)
    with np.errstate(invalid="ignore"):  # 0 / 0 where a seed was not trained at a size
        seeds = np.nansum(stacked, 1) / (~np.isnan(stacked)).sum(1)
    return Curves(np.nanmean(stacked, (0, 1)), resampled, seeds, sequences, replicates)


def combined(of: Callable[..., Values], *curves: Curves) -> Curves:
    """A curve that is computed from others, and all that its uncertainty is made of."""
    parts = [of(*(each[i] for each in curves)) for i in range(3)]
    fewest = np.min([each.sequences for each in curves], 0)
    return Curves(parts[0], parts[1], parts[2], fewest, curves[0].replicates)


def _rises(curves: Curves) -> bool:
    rise = curves.resampled[:, -1] - curves.resampled[:, 0]
    return bool(np.quantile(rise, student_tail(int(curves.sequences[[0, -1]].min()))) >= MIN_RISE)


def not_found(reason: str) -> Transition:
    """No place, and why."""
    return Transition(None, None, None, reason)

"""Where memorization turns into generalization: half-way points, peaks and bends of curves against
log n.

Every place is found three times over: on the mean curve, which gives its value; on mean curves over
resampled sequences, which give its interval; and on mean curves without each sequence and without
each training seed (jackknife), which give the interval's acceleration and its widening by the
spread between seeds. So `half`, `summit` and `bend` take many curves at once, (R, S).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from attractor.analysis.statistics import (
    FEW_SEEDS,
    LEVEL,
    bca,
    delete_one,
    resampled_means,
    seed_reach,
    widened,
)
from attractor.results.estimate import FEW
from attractor.types import AttractorError

Values = NDArray[np.float64]
MIN_SIZES, MIN_SIZES_BEND = 4, 5
"""Sizes below which a half-way point or a peak, and a bend, are not looked for."""
MIN_RISE = 0.1
"""Nats by which entropy must rise for its half to mean anything."""
RESAMPLES = 400
"""Bootstrap curves, each of which is fitted."""
TRAIN, TEST, OWN = 0, 1, 2
"""Streams of the bootstrap: curves of the same sequences are resampled together."""
TAILS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
"""Quantiles between which a two-sided interval lies."""


class Places(NamedTuple):
    """Where something happens on each of R curves; each (R,)."""

    log_n: Values
    inside: NDArray[np.bool_]
    """whether it lies strictly inside the measured sizes; what rests on a bound was not found"""


class Logistics(NamedTuple):
    """Fitted curves `top / (1 + exp((log n - log n_star) / scale))`, which fall from `top` to 0;
    each (R,)."""

    top: Values
    """value to which the curve tends at small n"""
    log_n_star: Values
    """where it has fallen to half of that"""
    scale: Values
    """how slowly it falls, in log n"""
    inside: NDArray[np.bool_]
    """as in `Places`"""

    @property
    def width(self) -> Values:
        """Decades of n over which each curve falls from 90% to 10% of its top."""
        # The logistic is 0.9 and 0.1 at log n_star -+ scale log 9.
        return self.scale * np.log(81) / np.log(10)


class Curves(NamedTuple):
    """A mean curve, and what its uncertainty is made of."""

    mean: Values
    """(S,)"""
    resampled: Values
    """means over resampled sequences, (R, S)"""
    without: Values
    """means without each sequence, (N, S)"""
    without_seed: Values
    """means without each training seed, (K, S); (0, S) for a single one"""
    sequences: int


class Transition(NamedTuple):
    """A place in n with its 95% interval, or the reason why there is none."""

    n_star: float | None
    ci: tuple[float, float] | None
    width: float | None
    """decades of n over which the curve falls from 90% to 10%, where the place is a half-way
    point"""
    reason: str | None = None
    warning: str | None = None
    samples: Values = np.empty(0)
    """bootstrap samples of log n_star; NaN where it was not found"""
    seeds: Values = np.empty(0)
    """one value of log n_star for each training seed (jackknife pseudo-values); none for a single
    seed"""
    reach: float = 0.0
    """half a step of the grid of sizes at n_star, in log n"""

    def plain(self) -> dict[str, Any]:
        """What transition.json holds of it."""
        values = self._asdict()
        return {key: values[key] for key in ("n_star", "ci", "width", "reason", "warning")}


class Agreement(NamedTuple):
    """How far apart two places are."""

    first: str
    second: str
    decades: float
    """log10 of the second over the first"""
    ci: tuple[float, float]


def fit_logistics(sizes: Values, curves: Values) -> Logistics:
    """Least squares in log n of R curves, (R, S): a grid over half-way point and scale, refined
    around its best.

    For a given shape b the best top is y.b / b.b, so only the two shape parameters are searched.
    With that top the sum of squares is y.y - (y.b)^2 / b.b: the best shape has the largest second
    term. A search and no gradient method, since hundreds of curves must be fitted and none may end
    in a local minimum.
    """
    log_n = np.log(sizes)
    low, high = log_n[0], log_n[-1]
    span = high - low
    # Scales from all of the measured range down to a step within a 200th of it.
    scales = np.log(span) - np.linspace(0, np.log(200), 25)
    grid = np.meshgrid(np.linspace(low, high, 101), scales, indexing="ij")
    centre, log_scale = (axis.ravel() for axis in grid)
    shape = expit(-(log_n - centre[:, None]) / np.exp(log_scale)[:, None])  # one for all curves
    # A negative y.b would want a negative top: such a shape explains nothing.
    best = (np.maximum(curves @ shape.T, 0) ** 2 / (shape**2).sum(1)).argmax(1)
    top, m, log_s = np.zeros(len(curves)), centre[best], log_scale[best]
    # Around the best of each curve, as far as the grid's next points, 9 by 9; then four times
    # finer.
    reach_centre, reach_scale = span / 100, np.log(200) / 24
    around, rows = np.linspace(-1, 1, 9), np.arange(len(curves))
    for _ in range(5):
        centres = np.clip(m[:, None] + reach_centre * around.repeat(9), low, high)
        log_scales = np.clip(
            log_s[:, None] + reach_scale * np.tile(around, 9), np.log(span / 200), np.log(span)
        )
        shapes = expit(-(log_n - centres[..., None]) / np.exp(log_scales)[..., None])
        overlap, norm = np.einsum("rgs,rs->rg", shapes, curves), (shapes**2).sum(-1)
        at = (rows, (np.maximum(overlap, 0) ** 2 / norm).argmax(1))
        top, m, log_s = overlap[at] / norm[at], centres[at], log_scales[at]
        reach_centre, reach_scale = reach_centre / 4, reach_scale / 4
    margin = span / 1000  # a place at the very end of the range was not found but stopped by it
    return Logistics(top, m, np.exp(log_s), (top > 0) & (m > low + margin) & (m < high - margin))


def half(sizes: Values, curves: Values) -> Places:
    """Half-way points of R falling curves, (R, S), by the fit of a logistic."""
    fit = fit_logistics(sizes, curves)
    return Places(fit.log_n_star, fit.inside)


def summit(sizes: Values, curves: Values) -> Places:
    """Top of the parabola in log n through the highest point of each curve, (R, S), and its two
    neighbours."""
    log_n = np.log(sizes)
    top = curves.argmax(1)
    inside = (top > 0) & (top < len(sizes) - 1)
    k, rows = np.clip(top, 1, len(sizes) - 2), np.arange(len(curves))
    left, right = log_n[k - 1] - log_n[k], log_n[k + 1] - log_n[k]
    fall_left, fall_right = (curves[rows, k + i] - curves[rows, k] for i in (-1, 1))
    # The vertex of the parabola through (0, 0), (left, fall_left) and (right, fall_right): sizes
    # are not evenly spaced. Three points on a line have none.
    below = 2 * (left * fall_right - right * fall_left)
    with np.errstate(invalid="ignore", divide="ignore"):
        vertex = (left**2 * fall_right - right**2 * fall_left) / below
    found = inside & np.isfinite(vertex)
    return Places(np.where(found, log_n[k] + np.where(found, vertex, 0), log_n[top]), found)


def bend(sizes: Values, curves: Values) -> Places:
    """Where the slope changes: the joint of the continuous pair of lines in log n that fits best;
    curves are (R, S)."""
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
    return Places(joints[best], (best > 0) & (best < 200) & (gained > 1e-9 * (curves**2).sum(1)))


def recovery_transition(sizes: Values, train: Values, test: Values, seed: int = 0) -> Transition:
    """Half-gap point of train minus test recovery.

    Args:
        sizes: training-set sizes, (S,).
        train: recovery of each training sequence at each size, (N, S) or (training seeds, N, S);
            NaN where nothing was perturbed.
        test: the same for test sequences, (M, S) or (training seeds, M, S).
        seed: of the bootstrap, which resamples sequences, whole curves at a time; the spread
            between training seeds is added to it, see `statistics.widened`.
    """
    a, b = _curves(sizes, train, seed, TRAIN), _curves(sizes, test, seed, TEST)
    # Training and unseen sequences are independent samples, resampled apart; a seed is one model,
    # and leaves both curves.
    gap = Curves(
        mean=a.mean - b.mean,
        resampled=a.resampled - b.resampled,
        without=np.concatenate([a.without - b.mean, a.mean - b.without]),
        without_seed=a.without_seed - b.without_seed,
        sequences=min(a.sequences, b.sequences),
    )
    return _half(sizes, gap)


def entropy_transition(sizes: Values, entropy: Values, seed: int = 0) -> Transition:
    """Size at which the entropy of training tokens has risen half-way to its value at the largest
    size.

    While the entropy still rises there, that is a lower bound. `entropy` is (N, S) or (training
    seeds, N, S), nats.
    """
    curves = _curves(sizes, entropy, seed, TRAIN)
    if not _rises(curves):
        return _none(f"the entropy of training tokens rises by less than {MIN_RISE} nats")
    # The same falling logistic, seen from what is still missing.
    mean, resampled, without, without_seed = (curve[..., -1:] - curve for curve in curves[:4])
    return _half(sizes, Curves(mean, resampled, without, without_seed, curves.sequences))


def entropy_bend(sizes: Values, entropy: Values, seed: int = 0) -> Transition:
    """Change-point of entropy: where its slope against log n changes most. Arguments as in
    `entropy_transition`."""
    if len(sizes) < MIN_SIZES_BEND:
        return _none(
            f"{len(sizes)} sizes are too few for a change-point, which needs {MIN_SIZES_BEND}"
        )
    curves = _curves(sizes, entropy, seed, TRAIN)
    if not _rises(curves):
        return _none(f"the entropy of training tokens rises by less than {MIN_RISE} nats")
    return _located(sizes, bend, curves, "no change of slope inside the measured sizes")


def perplexity_peak(sizes: Values, nats: Values, seed: int = 0) -> Transition:
    """Size at which generative perplexity peaks, by a local quadratic.

    The peak must stand at least `MIN_RISE` above both ends, with an interval (Bonferroni over the
    sizes between them): the highest point of a flat, noisy curve is no peak.

    Args:
        sizes: training-set sizes, (S,).
        nats: per token under the judge, of each generated sequence at each size, (N, S) or
            (training seeds, N, S).
        seed: of the bootstrap.
    """
    if len(sizes) < MIN_SIZES:
        return _none(f"{len(sizes)} sizes are too few for a peak, which needs {MIN_SIZES}")
    curves, between = _curves(sizes, nats, seed, OWN), len(sizes) - 2
    top = int(curves.mean.argmax())
    if top in (0, between + 1):
        return _none(
            f"generative perplexity is highest at the {'largest' if top else 'smallest'} size"
        )

    def above_ends(curve: Values) -> Values:
        return curve[:, top] - np.maximum(curve[:, 0], curve[:, -1])

    if _least(curves, above_ends, TAILS[0] / between) < MIN_RISE:
        return _none(
            f"generative perplexity does not surely rise by {MIN_RISE} nats above its ends"
        )
    return _located(sizes, summit, curves, "no peak inside the measured sizes")


def agreements(found: dict[str, Transition]) -> list[Agreement]:
    """Distances between all pairs of places that were found with an interval, resampled
    together."""
    located = {
        name: place
        for name, place in found.items()
        if place.n_star is not None and place.ci is not None
    }
    pairs = []
    for (first, a), (second, b) in itertools.combinations(located.items(), 2):
        assert a.n_star is not None
        assert b.n_star is not None
        apart = np.log(b.n_star / a.n_star)
        # Places of the same sequences move together from draw to draw, and those of one seed do:
        # the difference is taken draw by draw and seed by seed, not of two intervals.
        low, high = np.nanquantile(b.samples - a.samples, TAILS)
        low, high = widened(apart, low, high, seed_reach(b.seeds - a.seeds))
        # The grid of sizes resolves a distance no better than a place.
        reach = max(a.reach, b.reach)
        ends = np.array([min(low, apart - reach), max(high, apart + reach)]) / np.log(10)
        pairs.append(
            Agreement(first, second, float(apart / np.log(10)), (float(ends[0]), float(ends[1])))
        )
    return pairs


def _half(sizes: Values, curves: Curves) -> Transition:
    if len(sizes) < MIN_SIZES:
        return _none(f"{len(sizes)} sizes are too few for n_star, which needs {MIN_SIZES}")
    if _least(curves, lambda c: c[:, 0]) <= 0:
        return _none("no gap at the smallest size: the transition is below it, if at all")
    found = _located(sizes, half, curves, "no half-way point inside the measured sizes")
    if found.n_star is None:
        return found
    width = float(fit_logistics(sizes, curves.mean[None]).width[0])
    below, above = _neighbours(sizes, found.n_star)
    # The whole fall lies between two sizes, and nothing says where: all of that step is possible.
    if found.ci is not None and width < np.log10(above / below):
        found = found._replace(ci=(min(found.ci[0], below), max(found.ci[1], above)))
    return found._replace(width=width)


def _located(
    sizes: Values, find: Callable[[Values, Values], Places], curves: Curves, nothing: str
) -> Transition:
    """Find a place on the mean curve, its interval from curves resampled, and without each sequence
    and seed."""
    at = find(sizes, curves.mean[None])
    if not at.inside[0]:
        return _none(nothing)
    log_n = float(at.log_n[0])
    places = find(sizes, curves.resampled)
    without_seed = find(sizes, curves.without_seed)
    inside, seeds = int(places.inside.sum()), len(without_seed.log_n)
    found = Transition(
        n_star=float(np.exp(log_n)),
        ci=None,
        width=None,
        warning=_warning(curves.sequences, seeds),
        samples=np.where(places.inside, places.log_n, np.nan),
        seeds=_pseudo(log_n, without_seed.log_n),
    )
    # Bootstrap curves without the place are open ends: with more than a tail of them, an end of the
    # interval is not known, and the place comes without one.
    if inside < (1 + LEVEL) / 2 * len(places.inside):
        reason = (
            f"only {inside} of {len(places.inside)} bootstrap curves have it inside the measured "
            "sizes"
        )
        return found._replace(reason=reason)
    if not without_seed.inside.all():
        return found._replace(
            reason=f"without one of the {seeds} training seeds it is not inside the measured sizes"
        )
    ends = bca(log_n, places.log_n, log_n - find(sizes, curves.without).log_n, curves.sequences)
    low, high = widened(log_n, *ends, seed_reach(found.seeds))
    below, above = _neighbours(sizes, np.exp(log_n))
    reach = float(np.log(above / below)) / 2  # the grid resolves no less than one step
    ci = (float(np.exp(min(low, log_n - reach))), float(np.exp(max(high, log_n + reach))))
    if ci[0] < sizes[0] and ci[1] > sizes[-1]:
        return found._replace(reason="its interval would be wider than all measured sizes")
    return found._replace(ci=ci, reach=reach)


def _warning(sequences: int, seeds: int) -> str | None:
    said = []
    if sequences < FEW:
        said.append(f"the interval rests on {sequences} sequences, fewer than {FEW}")
    if 1 < seeds < FEW_SEEDS:
        said.append(
            f"the spread between training runs is known from {seeds} seeds only, fewer than "
            f"{FEW_SEEDS}"
        )
    return "; ".join(said) or None


def _neighbours(sizes: Values, n: float) -> tuple[float, float]:
    return float(sizes[sizes <= n].max()), float(sizes[sizes > n].min())


def _curves(sizes: Values, table: Values, seed: int, stream: int) -> Curves:
    if len(sizes) != table.shape[-1] or not (np.diff(sizes, prepend=0) > 0).all():
        raise AttractorError(
            f"sizes {list(sizes)} of curves of {table.shape[-1]} points: one each, positive and "
            "rising"
        )
    if table.shape[-2] < 2:
        raise AttractorError(f"curves of {table.shape[-2]} sequences: an interval needs at least 2")
    without_value = sizes[np.isnan(table).all(tuple(range(table.ndim - 1)))]
    if len(without_value) or np.isinf(table).any():
        where = "a value is infinite"
        if len(without_value):
            where = f"at n = {without_value[0]:g} no sequence has a value"
        raise AttractorError(f"{where}: a curve needs finite ones at every size")
    mean = np.nanmean(table.reshape(-1, table.shape[-1]), 0)
    resampled = resampled_means(table, seed, RESAMPLES, stream)
    return Curves(mean, resampled, delete_one(table), delete_one(table, axis=0), table.shape[-2])


def _pseudo(value: float, without: Values) -> Values:
    """One value for each training seed, from the value of all and those without each
    (jackknife)."""
    return len(without) * value - (len(without) - 1) * without


def _least(curves: Curves, of: Callable[[Values], Values], tail: float = TAILS[0]) -> float:
    """Lower end of the interval of a number of a curve."""
    # The upper end is of no interest here: it is set to the value.
    value = float(of(curves.mean[None])[0])
    low = float(np.nanquantile(of(curves.resampled), tail))
    return widened(value, low, value, seed_reach(_pseudo(value, of(curves.without_seed))))[0]


def _rises(curves: Curves) -> bool:
    return _least(curves, lambda c: c[:, -1] - c[:, 0]) >= MIN_RISE


def _none(reason: str) -> Transition:
    return Transition(None, None, None, reason)

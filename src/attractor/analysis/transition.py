"""Where memorization turns into generalization: half-way points, peaks and bends of curves against log n."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from attractor.analysis.statistics import FEW, LEVEL, bca, delete_one, resampled_means

Values = NDArray[np.float64]
MIN_SIZES, MIN_SIZES_BEND = 4, 5
MIN_RISE = 0.1
"""Nats by which entropy must rise for its half to mean anything."""
RESAMPLES = 400
TRAIN, TEST, OWN = 0, 1, 2
"""Streams of the bootstrap: curves of the same sequences are resampled together."""
TAILS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])


class Places(NamedTuple):
    """Where something happens on each of R curves; each (R,)."""

    log_n: Values
    inside: NDArray[np.bool_]
    """whether it lies strictly inside the measured sizes; what rests on a bound was not found"""


class Logistics(NamedTuple):
    """Fitted curves `top / (1 + exp((log n - log n_star) / scale))`, which fall from `top` to 0; each (R,)."""

    top: Values
    log_n_star: Values
    scale: Values
    inside: NDArray[np.bool_]
    """as in `Places`"""

    @property
    def width(self) -> Values:
        """Decades of n over which each curve falls from 90% to 10% of its top."""
        return self.scale * np.log(81) / np.log(10)


class Transition(NamedTuple):
    """A place in n with its 95% interval, or the reason why there is none."""

    n_star: float | None
    ci: tuple[float, float] | None
    width: float | None
    """decades of n over which the curve falls from 90% to 10%, where the place is a half-way point"""
    reason: str | None = None
    warning: str | None = None
    samples: Values = np.empty(0)
    """bootstrap samples of log n_star; NaN where it was not found"""
    reach: float = 0.0
    """half a step of the grid of sizes at n_star, in log n"""

    def plain(self) -> dict[str, Any]:
        """What is written down of it."""
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
    """Least squares in log n of R curves, (R, S): a grid over half-way point and scale, refined around its best.

    For a given shape b the best top is y.b / b.b, so only the two shape parameters are searched.
    """
    log_n = np.log(sizes)
    low, high = log_n[0], log_n[-1]
    span = high - low
    scales = np.log(span) - np.linspace(0, np.log(200), 25)
    centre, log_scale = (g.ravel() for g in np.meshgrid(np.linspace(low, high, 101), scales, indexing="ij"))
    shape = expit(-(log_n - centre[:, None]) / np.exp(log_scale)[:, None])  # the same for every curve
    best = (np.maximum(curves @ shape.T, 0) ** 2 / (shape**2).sum(1)).argmax(1)
    top, m, log_s = np.zeros(len(curves)), centre[best], log_scale[best]
    reach_centre, reach_scale = span / 100, np.log(200) / 24
    around, rows = np.linspace(-1, 1, 9), np.arange(len(curves))
    for _ in range(5):
        centres = np.clip(m[:, None] + reach_centre * around.repeat(9), low, high)
        log_scales = np.clip(log_s[:, None] + reach_scale * np.tile(around, 9), np.log(span / 200), np.log(span))
        shapes = expit(-(log_n - centres[..., None]) / np.exp(log_scales)[..., None])
        overlap, norm = np.einsum("rgs,rs->rg", shapes, curves), (shapes**2).sum(-1)
        at = (rows, (np.maximum(overlap, 0) ** 2 / norm).argmax(1))
        top, m, log_s = overlap[at] / norm[at], centres[at], log_scales[at]
        reach_centre, reach_scale = reach_centre / 4, reach_scale / 4
    margin = span / 1000
    return Logistics(top, m, np.exp(log_s), (top > 0) & (m > low + margin) & (m < high - margin))


def half(sizes: Values, curves: Values) -> Places:
    """Half-way points of falling curves, (R, S)."""
    fit = fit_logistics(sizes, curves)
    return Places(fit.log_n_star, fit.inside)


def summit(sizes: Values, curves: Values) -> Places:
    """Top of the parabola in log n through the highest point of each curve, (R, S), and its two neighbours."""
    log_n = np.log(sizes)
    top = curves.argmax(1)
    inside = (top > 0) & (top < len(sizes) - 1)
    k, rows = np.clip(top, 1, len(sizes) - 2), np.arange(len(curves))
    left, right = log_n[k - 1] - log_n[k], log_n[k + 1] - log_n[k]
    fall_left, fall_right = (curves[rows, k + i] - curves[rows, k] for i in (-1, 1))
    below = 2 * (left * fall_right - right * fall_left)
    with np.errstate(invalid="ignore", divide="ignore"):
        vertex = (left**2 * fall_right - right**2 * fall_left) / below
    found = inside & np.isfinite(vertex)
    return Places(np.where(found, log_n[k] + np.where(found, vertex, 0), log_n[top]), found)


def bend(sizes: Values, curves: Values) -> Places:
    """Where the slope changes: the joint of the continuous pair of lines in log n that fits best; curves are (R, S)."""
    log_n = np.log(sizes)
    joints = np.linspace(log_n[1], log_n[-2], 201)
    beyond = log_n - joints[:, None]
    lines = np.stack([np.ones_like(beyond), beyond, np.maximum(beyond, 0)], -1)
    basis = np.linalg.qr(lines).Q  # (joints, S, 3)
    explained = (np.einsum("jsk,rs->rjk", basis, curves) ** 2).sum(-1)
    best = explained.argmax(1)
    straight = np.linalg.qr(np.stack([np.ones_like(log_n), log_n], 1)).Q
    gained = explained.max(1) - ((curves @ straight) ** 2).sum(1)
    return Places(joints[best], (best > 0) & (best < 200) & (gained > 1e-9 * (curves**2).sum(1)))


def recovery_transition(sizes: Values, train: Values, test: Values, seed: int = 0) -> Transition:
    """Half-gap point of train minus test recovery.

    Args:
        sizes: training-set sizes, (S,).
        train: recovery of each training sequence at each size, (N, S) or (training seeds, N, S); NaN where nothing
            was perturbed.
        test: the same for test sequences, (M, S) or (training seeds, M, S).
        seed: of the bootstrap, which resamples training seeds, then sequences, whole curves at a time.
    """
    a, b = _mean(train), _mean(test)
    resampled = resampled_means(train, seed, RESAMPLES, TRAIN) - resampled_means(test, seed, RESAMPLES, TEST)
    without = np.concatenate([delete_one(train) - b, a - delete_one(test)])
    return _half(sizes, a - b, resampled, without, min(train.shape[-2], test.shape[-2]))


def entropy_transition(sizes: Values, entropy: Values, seed: int = 0) -> Transition:
    """Size at which the entropy of training tokens has risen half-way to its value at the largest size.

    While the entropy still rises there, that is a lower bound. `entropy` is (N, S) or (training seeds, N, S), nats.
    """
    mean, resampled, without = _resampled(entropy, seed, TRAIN)
    if not _rises(resampled):
        return _none(f"the entropy of training tokens rises by less than {MIN_RISE} nats")
    # The same falling logistic, seen from what is still missing.
    mean, resampled, without = (curve[..., -1:] - curve for curve in (mean, resampled, without))
    return _half(sizes, mean, resampled, without, entropy.shape[-2])


def entropy_bend(sizes: Values, entropy: Values, seed: int = 0) -> Transition:
    """Change-point of entropy: where its slope against log n changes most. Arguments as in `entropy_transition`."""
    if len(sizes) < MIN_SIZES_BEND:
        return _none(f"{len(sizes)} sizes are too few for a change-point, which needs {MIN_SIZES_BEND}")
    curves = _resampled(entropy, seed, TRAIN)
    if not _rises(curves[1]):
        return _none(f"the entropy of training tokens rises by less than {MIN_RISE} nats")
    return _located(sizes, bend, *curves, entropy.shape[-2], "no change of slope inside the measured sizes")


def perplexity_peak(sizes: Values, nats: Values, seed: int = 0) -> Transition:
    """Size at which generative perplexity peaks, by a local quadratic.

    Args:
        sizes: training-set sizes, (S,).
        nats: per token under the judge, of each generated sequence at each size, (N, S) or (training seeds, N, S).
        seed: of the bootstrap.
    """
    if len(sizes) < MIN_SIZES:
        return _none(f"{len(sizes)} sizes are too few for a peak, which needs {MIN_SIZES}")
    curves = _resampled(nats, seed, OWN)
    where = "smallest" if curves[0].argmax() == 0 else "largest"
    return _located(sizes, summit, *curves, nats.shape[-2], f"generative perplexity is highest at the {where} size")


def agreements(found: dict[str, Transition]) -> list[Agreement]:
    """Distances between all pairs of places that were found with an interval, resampled together."""
    located = {name: place for name, place in found.items() if place.n_star is not None and place.ci is not None}
    pairs = []
    for (first, a), (second, b) in itertools.combinations(located.items(), 2):
        assert a.n_star is not None
        assert b.n_star is not None
        low, high = np.nanquantile(b.samples - a.samples, TAILS)
        apart, reach = np.log(b.n_star / a.n_star), max(a.reach, b.reach)  # nor does the grid resolve a distance better
        ends = np.array([min(low, apart - reach), max(high, apart + reach)]) / np.log(10)
        pairs.append(Agreement(first, second, float(apart / np.log(10)), (float(ends[0]), float(ends[1]))))
    return pairs


def _half(sizes: Values, curve: Values, resampled: Values, without: Values, n: int) -> Transition:
    if len(sizes) < MIN_SIZES:
        return _none(f"{len(sizes)} sizes are too few for n_star, which needs {MIN_SIZES}")
    if np.nanquantile(resampled[:, 0], TAILS[0]) <= 0:
        return _none("no gap at the smallest size: the transition is below it, if at all")
    found = _located(sizes, half, curve, resampled, without, n, "no half-way point inside the measured sizes")
    if found.n_star is None:
        return found
    width = float(fit_logistics(sizes, curve[None]).width[0])
    below, above = _neighbours(sizes, found.n_star)
    if found.ci is not None and width < np.log10(above / below):  # between two sizes, and nothing says where
        found = found._replace(ci=(min(found.ci[0], below), max(found.ci[1], above)))
    return found._replace(width=width)


def _located(
    sizes: Values, find: Callable[[Values, Values], Places], curve: Values, resampled: Values, without: Values, n: int,
    nothing: str,
) -> Transition:  # fmt: skip
    """Find a place on the mean curve, its interval from resampled curves and from curves without one sequence."""
    at = find(sizes, curve[None])
    if not at.inside[0]:
        return _none(nothing)
    log_n, places = float(at.log_n[0]), find(sizes, resampled)
    n_star, inside = float(np.exp(log_n)), int(places.inside.sum())
    samples = np.where(places.inside, places.log_n, np.nan)
    warning = f"the interval rests on {n} sequences, fewer than {FEW}" if n < FEW else None
    if inside < (1 + LEVEL) / 2 * len(resampled):
        reason = f"only {inside} of {len(resampled)} bootstrap curves have it inside the measured sizes"
        return Transition(n_star, None, None, reason, warning, samples)
    low, high = bca(log_n, places.log_n, log_n - find(sizes, without).log_n, n)
    below, above = _neighbours(sizes, n_star)
    reach = np.log(above / below) / 2  # the grid resolves no less than one step
    ci = (float(np.exp(min(low, log_n - reach))), float(np.exp(max(high, log_n + reach))))
    return Transition(n_star, ci, None, None, warning, samples, float(reach))


def _neighbours(sizes: Values, n: float) -> tuple[float, float]:
    return float(sizes[sizes <= n].max()), float(sizes[sizes > n].min())


def _mean(curves: Values) -> Values:
    return np.nanmean(curves.reshape(-1, curves.shape[-1]), 0)


def _resampled(curves: Values, seed: int, stream: int) -> tuple[Values, Values, Values]:
    return _mean(curves), resampled_means(curves, seed, RESAMPLES, stream), delete_one(curves)


def _rises(resampled: Values) -> bool:
    return bool(np.quantile(resampled[:, -1] - resampled[:, 0], TAILS[0]) >= MIN_RISE)


def _none(reason: str) -> Transition:
    return Transition(None, None, None, reason)

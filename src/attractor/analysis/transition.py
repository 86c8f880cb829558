"""Where memorization turns into generalization: the training-set size at the half of a logistic in log n."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from attractor.analysis.statistics import LEVEL, resampled_means

Values = NDArray[np.float64]
MIN_SIZES = 4
MIN_RISE = 0.1
"""Nats by which entropy must rise for its half to mean anything."""
RESAMPLES = 400


class Logistics(NamedTuple):
    """Fitted curves `top / (1 + exp((log n - log n_star) / scale))`, which fall from `top` to 0; each (R,)."""

    top: Values
    log_n_star: Values
    scale: Values
    inside: NDArray[np.bool_]
    """whether the half-way point lies strictly inside the measured sizes; a fit that rests on a bound found nothing"""

    @property
    def width(self) -> Values:
        """Decades of n over which each curve falls from 90% to 10% of its top."""
        return self.scale * np.log(81) / np.log(10)


class Transition(NamedTuple):
    """`n_star` with its 95% interval and width in decades, or the reason why there is none."""

    n_star: float | None
    ci: tuple[float, float] | None
    width: float | None
    reason: str | None = None


def fit_logistics(sizes: Values, curves: Values) -> Logistics:
    """Least squares in log n of R curves, (R, S): a grid over half-way point and scale, refined around its best.

    For a given shape b the best top is y.b / b.b, so only the two shape parameters are searched.
    """
    log_n = np.log(sizes)
    low, high = log_n[0], log_n[-1]
    span = high - low
    centre = np.broadcast_to(np.linspace(low, high, 101)[:, None], (101, 25)).ravel()
    log_scale = np.broadcast_to(np.log(span) - np.linspace(0, np.log(200), 25), (101, 25)).ravel()
    rows = np.arange(len(curves))
    centres, log_scales = centre[None].repeat(len(curves), 0), log_scale[None].repeat(len(curves), 0)
    reach_centre, reach_scale = span / 100, np.log(200) / 24
    for _ in range(6):
        shape = expit(-(log_n - centres[..., None]) / np.exp(log_scales)[..., None])
        overlap, norm = np.einsum("rgs,rs->rg", shape, curves), (shape**2).sum(-1)
        best = (np.maximum(overlap, 0) ** 2 / norm).argmax(1)
        at = (rows, best)
        top, m, log_s = overlap[at] / norm[at], centres[at], log_scales[at]
        around = np.linspace(-1, 1, 9)
        centres = np.clip(m[:, None] + reach_centre * around.repeat(9), low, high)
        log_scales = np.clip(log_s[:, None] + reach_scale * np.tile(around, 9), np.log(span / 200), np.log(span))
        reach_centre, reach_scale = reach_centre / 4, reach_scale / 4
    margin = span / 1000
    return Logistics(top, m, np.exp(log_s), (top > 0) & (m > low + margin) & (m < high - margin))


def recovery_transition(sizes: Values, train: Values, test: Values, seed: int = 0) -> Transition:
    """Half-gap point of train minus test recovery.

    Args:
        sizes: training-set sizes, (S,).
        train: recovery of each training sequence at each size, (N, S); NaN where nothing was perturbed.
        test: the same for test sequences, (M, S).
        seed: of the bootstrap, which resamples whole curves.
    """
    gap = np.nanmean(train, 0) - np.nanmean(test, 0)
    resampled = resampled_means(train, seed, RESAMPLES) - resampled_means(test, seed + 1, RESAMPLES)
    return _locate(sizes, gap, resampled)


def entropy_transition(sizes: Values, train: Values, seed: int = 0) -> Transition:
    """Size at which the entropy of training tokens has risen half-way to its value at the largest size.

    While the entropy still rises there, that is a lower bound. `train` is (N, S), nats.
    """
    mean, resampled = train.mean(0), resampled_means(train, seed, RESAMPLES)
    if np.quantile(resampled[:, -1] - resampled[:, 0], (1 - LEVEL) / 2) < MIN_RISE:
        return Transition(None, None, None, f"the entropy of training tokens rises by less than {MIN_RISE} nats")
    # The same falling logistic, seen from what is still missing.
    return _locate(sizes, mean[-1] - mean, resampled[:, -1:] - resampled)


def _locate(sizes: Values, curve: Values, resampled: Values) -> Transition:
    if len(sizes) < MIN_SIZES:
        return Transition(None, None, None, f"{len(sizes)} sizes are too few for n_star, which needs {MIN_SIZES}")
    if np.nanquantile(resampled[:, 0], (1 - LEVEL) / 2) <= 0:
        return Transition(None, None, None, "no gap at the smallest size: the transition is below it, if at all")
    fit, fits = fit_logistics(sizes, curve[None]), fit_logistics(sizes, resampled)
    if not fit.inside[0]:
        return Transition(None, None, None, "no half-way point inside the measured sizes")
    n_star, width, found = float(np.exp(fit.log_n_star[0])), float(fit.width[0]), int(fits.inside.sum())
    if found < (1 + LEVEL) / 2 * len(resampled):
        reason = f"only {found} of {len(resampled)} bootstrap curves have a half-way point inside the measured sizes"
        return Transition(n_star, None, width, reason)
    low, high = np.exp(np.quantile(fits.log_n_star, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    below, above = sizes[sizes <= n_star].max(), sizes[sizes > n_star].min()
    if width < np.log10(above / below):  # it happens between two sizes, and nothing says where
        low, high = min(low, below), max(high, above)
    return Transition(n_star, (float(low), float(high)), width)

"""Where memorization turns into generalization: the training-set size at the half of a logistic in log n."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit

from attractor.analysis.statistics import LEVEL, resampled_means

Values = NDArray[np.float64]
MIN_SIZES = 4
RESAMPLES = 400


class Logistic(NamedTuple):
    """`top / (1 + exp((log n - log n_star) / scale))`: falls from `top` to 0."""

    top: float
    log_n_star: float
    scale: float

    @property
    def width(self) -> float:
        """Decades of n over which the curve falls from 90% to 10% of its top."""
        return abs(self.scale) * float(np.log(81) / np.log(10))


class Transition(NamedTuple):
    """`n_star` with its 95% interval and width in decades, or the reason why there is none."""

    n_star: float | None
    ci: tuple[float, float] | None
    width: float | None
    reason: str | None = None


def fit_logistic(sizes: Values, curve: Values) -> Logistic | None:
    """Least-squares fit in log n; None if it does not converge to a half point inside the measured sizes."""
    log_n = np.log(sizes)
    span = float(np.ptp(log_n))
    top = float(np.max(curve))
    if top <= 0:
        return None
    start = (top, float(np.interp(-top / 2, -np.maximum.accumulate(curve[::-1])[::-1], log_n)), span / 10)
    bounds = ([0.0, log_n.min(), span / 200], [1.5 * top, log_n.max(), span])
    start = tuple(np.clip(start, bounds[0], bounds[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            found, _ = curve_fit(_falling, log_n, curve, p0=start, bounds=bounds, max_nfev=2000)
    except RuntimeError:
        return None
    fit = Logistic(*map(float, found))
    inside = log_n.min() < fit.log_n_star < log_n.max()
    return fit if inside else None


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
    """Size at which the entropy of training tokens has risen to half of its last value; `train` is (N, S), nats."""
    mean, resampled = train.mean(0), resampled_means(train, seed, RESAMPLES)
    # The same falling logistic, seen from what is still missing.
    return _locate(sizes, mean.max() - mean, resampled.max(1, keepdims=True) - resampled)


def _locate(sizes: Values, curve: Values, resampled: Values) -> Transition:
    if len(sizes) < MIN_SIZES:
        return Transition(None, None, None, f"{len(sizes)} sizes are too few for n_star, which needs {MIN_SIZES}")
    fit = fit_logistic(sizes, curve)
    if fit is None:
        return Transition(None, None, None, "no half-way point inside the measured sizes")
    fits = [f for f in (fit_logistic(sizes, c) for c in resampled) if f is not None]
    if len(fits) < 0.9 * len(resampled):
        return Transition(
            float(np.exp(fit.log_n_star)), None, fit.width,
            f"only {len(fits)} of {len(resampled)} bootstrap fits have a half-way point inside the measured sizes",
        )  # fmt: skip
    low, high = np.exp(np.quantile([f.log_n_star for f in fits], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Transition(float(np.exp(fit.log_n_star)), (float(low), float(high)), fit.width)


def _falling(log_n: Values, top: float, log_n_star: float, scale: float) -> Values:
    return top * expit(-(log_n - log_n_star) / scale)

"""Where falling curves cross a level: isotonic interpolation in log n."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def crossings(sizes: Values, curves: Values, level: float) -> Values:
    """log n at which each of R curves, (R, S), made to fall, comes down through a level; (R,).

    Each curve is replaced by the falling one nearest to it (least squares: pool adjacent
    violators), which is joined by straight lines in log n. A curve that is at or below the level at
    the smallest size already has crossed it further down, -inf; one that is still above it at the
    largest size will cross it further up, inf; one with an undefined value, NaN.
    """
    log_n, rows, s = np.log(sizes), np.arange(len(curves)), curves.shape[1]
    total = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves - level, 1)], 1)
    # The falling fit is above the level exactly at the sizes before the largest partial sum
    # (Groeneboom's switch relation), so nothing has to be pooled to know which sizes those are.
    k = np.where(np.isnan(total[:, -1]), 0, total.argmax(1))
    found = (k > 0) & (k < s)
    # Sizes before the switch are pooled among themselves, and those beyond it too: the fit at the
    # last one before is the least mean of a block that ends there, at the first one beyond the
    # largest mean of a block that begins there.
    places = np.arange(s + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total - total[rows, k][:, None]) / (places - k[:, None])
    above = np.where(places < k[:, None], means, np.inf).min(1)
    below = np.where(places > k[:, None], means, -np.inf).max(1)
    at = np.clip(k, 1, s - 1)
    step = log_n[at] - log_n[at - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = log_n[at - 1] + step * above / (above - below)
    ends = np.where(k == 0, -np.inf, np.inf)
    return np.where(np.isnan(total[:, -1]), np.nan, np.where(found, inside, ends))

"""Which sequences belong together, and how alike those of a group are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attractor.results.estimate import Design, Groups
from attractor.types import AttractorError

Values = NDArray[np.float64]
DESIGN_EFFECT = 1.5
"""Design effect above which groups are resampled unless it was said what is: below it an interval
over sequences is at most a fifth too short."""


def design(values: Values, groups: Groups) -> Design:
    """How alike the sequences of a group are in one number each, (N,), and what is resampled: never
    groups where there is a single one, or where each has one sequence."""
    found, many = design_effect(values, groups.of), len(np.unique(groups.of))
    far = found is not None and found[1] > DESIGN_EFFECT
    icc, effect = found or (None, None)
    wanted = far if groups.together is None else groups.together
    return Design(many, icc, effect, wanted and 1 < many < len(groups.of))


def alike(values: Values, groups: Groups | None) -> NDArray[np.int64] | None:
    """The groups of sequences with one number each, (N,), where they are to be resampled, see
    `design`; else None."""
    return groups.of if groups is not None and design(values, groups).by_group else None


def require_groups(groups: Groups) -> None:
    """Raise AttractorError if groups are to be resampled, and there is one, or each has one row."""
    rows, many = len(groups.of), len(np.unique(groups.of))
    if groups.together and many in (1, rows):
        each = " with one row each" if many > 1 else ""
        raise AttractorError(
            f"resample = 'group': the {rows} rows are of {many} groups{each}, which cannot be "
            "resampled; measure more rows, or set it to sequence"
        )


def design_effect(values: Values, groups: NDArray[np.int64]) -> tuple[float, float] | None:
    """Intraclass correlation and design effect of one number a sequence.

    The correlation is the estimator of the analysis of variance for groups of any sizes (Donner,
    International Statistical Review 54, 67), which may be below 0; the design effect is Kish's,
    `1 + (m - 1) icc`, with m the mean size of the group of a sequence.

    Args:
        values: (N,).
        groups: group of each, (N,).

    Returns:
        Both; None where a single group, groups of one row each, or equal values leave them open.
    """
    _, at, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n, k = len(values), len(sizes)
    if not 1 < k < n or np.ptp(values) == 0:
        return None
    means = np.bincount(at, values) / sizes
    between = float(sizes @ (means - values.mean()) ** 2) / (k - 1)
    within = float(((values - means[at]) ** 2).sum()) / (n - k)
    squares = float((sizes**2).sum()) / n
    usual = (n - squares) / (k - 1)
    icc = (between - within) / (between + (usual - 1) * within)
    return icc, 1 + (squares - 1) * icc


def summed(
    values: NDArray[np.float64], groups: NDArray[np.int64], axis: int = -1
) -> NDArray[np.float64]:
    """Sums over the sequences of each group, along the axis of the sequences."""
    names, at = np.unique(groups, return_inverse=True)
    moved = np.moveaxis(values, axis, 0)
    sums = np.zeros((len(names), *moved.shape[1:]))
    np.add.at(sums, at, moved)
    return np.moveaxis(sums, 0, axis)

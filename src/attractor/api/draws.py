"""The draws behind the places of a sweep, as ArviZ takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attractor.analysis.summary import Places, located
from attractor.analysis.transition import Transition
from attractor.results.tables import RunResults, require_joinable
from attractor.types import AttractorError

if TYPE_CHECKING:
    from xarray import DataTree

BOOTSTRAP, RUNS = "bootstrap", "training_runs"
"""Groups of the tree."""


def draws(runs: list[RunResults]) -> DataTree:
    """The draws of every place that these runs of one model show; see `Sweep.to_arviz`.

    Raises:
        AttractorError: if the extra `arviz` is not installed, the runs were not measured alike, or
            no place is located.
    """
    _require_xarray()
    require_joinable(runs)
    return tree(located(runs))


def tree(found: Places) -> DataTree:
    """Places as a tree of data sets, sizes in rows.

    Raises:
        AttractorError: if the extra `arviz` is not installed, or no place is located.
    """
    xarray = _require_xarray()
    recovery = {t: place for t, place in found.recovery.items() if place.n_star is not None}
    others = {name: place for name, place in found.others.items() if place and place.n_star}
    if not recovery and not others:
        why = "; ".join(f"at t = {t:g} {place.reason}" for t, place in found.recovery.items())
        raise AttractorError(f"no place was located, so there are no draws of one: {why or 'none'}")
    bootstrap: dict[str, Any] = {}
    each_run: dict[str, Any] = {}
    if recovery:
        sampled = np.stack([_sizes(place) for place in recovery.values()], -1)
        bootstrap["n_star"] = (("chain", "draw", "t"), sampled[None])
        alone = np.stack([_of_runs(place) for place in recovery.values()], -1)
        each_run["n_star"] = (("run", "t"), alone)
    for name, place in others.items():
        bootstrap[name] = (("chain", "draw"), _sizes(place)[None])
        each_run[name] = (("run",), _of_runs(place))
    first = (*others.values(), *recovery.values())[0]
    of_run = {
        name: ("run", [pair[i] for pair in first.replicates])
        for i, name in enumerate(("data_seed", "seed"))
    }
    times = {"t": list(recovery)} if recovery else {}
    sets = {BOOTSTRAP: (bootstrap, times), RUNS: (each_run, {**times, **of_run})}
    made = {name: xarray.Dataset(*parts, attrs={"units": "rows"}) for name, parts in sets.items()}
    made[BOOTSTRAP] = made[BOOTSTRAP].assign_coords(
        chain=[0], draw=np.arange(made[BOOTSTRAP].sizes["draw"])
    )
    return xarray.DataTree.from_dict(made)


def _sizes(place: Transition) -> np.ndarray:
    """Its draws in rows: 0 below the smallest size, inf above the largest, NaN nowhere."""
    return np.exp(place.samples)


def _of_runs(place: Transition) -> np.ndarray:
    return np.array([np.nan if n is None else n for n in place.seed_n_star])


def _require_xarray() -> Any:
    try:
        import xarray
    except ImportError:
        raise AttractorError("to_arviz needs xarray: pip install 'attractor[arviz]'") from None
    return xarray

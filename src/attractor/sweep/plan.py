"""Which models a sweep is made of."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from attractor.config import RunConfig, SweepConfig, config_hash
from attractor.data.subsets import nested_sizes


class PlannedRun(NamedTuple):
    """A run and its name, the hash of its config."""

    run_id: str
    config: RunConfig


def plan(config: SweepConfig, available: int) -> list[PlannedRun]:
    """Every (size, seed), largest training sets first so that the longest measurements do not come last.

    Args:
        config: the sweep.
        available: rows of the training set.

    Raises:
        AttractorError: if a size is not between 1 and `available`.
    """
    shared = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in ("sizes", "seeds")}
    runs = [
        RunConfig(n_train=n, seed=seed, **shared)
        for n in reversed(nested_sizes(config.sizes, available))
        for seed in config.seeds
    ]
    return [PlannedRun(config_hash(run), run) for run in runs]

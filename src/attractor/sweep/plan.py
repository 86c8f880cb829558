"""Which models a sweep is made of."""

from __future__ import annotations

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
    runs = [
        RunConfig(n_train=n, seed=seed, data=config.data, model=config.model, train=config.train, probe=config.probe)
        for n in reversed(nested_sizes(config.sizes, available))
        for seed in config.seeds
    ]
    return [PlannedRun(config_hash(run), run) for run in runs]

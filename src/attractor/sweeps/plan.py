"""Which models a sweep is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from attractor.config.identity import config_hash
from attractor.config.settings import RunConfig, SweepConfig
from attractor.data.subsets import nested_sizes


class PlannedRun(NamedTuple):
    """A run and its name, the hash of its config."""

    run_id: str
    config: RunConfig
    model: str = ""
    """name of its model, in a sweep of several"""

    @property
    def title(self) -> str:
        """What a person calls it."""
        seed = f", seed {self.config.seed}" if self.config.seed else ""
        return f"{self.model} n = {self.config.n_train:,}{seed}".lstrip()


def plan(config: SweepConfig, available: int) -> list[PlannedRun]:
    """Every (model, size, seed), largest models and training sets first so that the longest runs do
    not come last.

    Args:
        config: the sweep.
        available: rows of the training set.

    Raises:
        AttractorError: if a size is not between 1 and `available`.
    """
    sizes = nested_sizes(config.sizes, available)
    return [
        run
        for name in reversed(config.each_model())
        for run in runs_of(config, name, reversed(sizes))
    ]


def runs_of(config: SweepConfig, model: str, sizes: Iterable[int]) -> list[PlannedRun]:
    """One of the sweep's models at these training-set sizes, with every seed."""
    alone = config.each_model()[model]
    axes = ("sizes", "seeds", "models")
    shared = {
        f.name: getattr(alone, f.name) for f in dataclasses.fields(alone) if f.name not in axes
    }
    runs = [RunConfig(n_train=n, seed=seed, **shared) for n in sizes for seed in config.seeds]
    return [PlannedRun(config_hash(run), run, model) for run in runs]

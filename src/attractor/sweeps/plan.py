"""Which models a sweep is made of."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from attractor.config.identity import run_id, training_identity
from attractor.config.settings import RunConfig, SweepConfig
from attractor.data.subsets import nested_sizes
from attractor.runs.folder import CONFIG, read_json
from attractor.types import AttractorError


class PlannedRun(NamedTuple):
    """A run of a sweep."""

    run_id: str
    """names its folder: the hash of what trains it, see `config.identity.run_id`"""
    config: RunConfig
    model: str = ""
    """name of its model, in a sweep of several"""

    @property
    def title(self) -> str:
        """What a person calls it."""
        order = self.config.data.order
        seed = f", seed {self.config.seed}" if self.config.seed else ""
        seed += f", data seed {order}" if order else ""
        return f"{self.model} n = {self.config.n_train:,}{seed}".lstrip()


def sizes_of(config: SweepConfig, available: int, out: Path | None = None) -> list[int]:
    """The sizes of a sweep in rows.

    Earlier versions rounded fractions to the nearest row. A sweep in `out` that has a model of such
    a size keeps to it, or all its models would be trained anew for one row.

    Raises:
        AttractorError: if a size is not between 1 and `available`.
    """
    sizes, before = (nested_sizes(config.sizes, available, whole) for whole in (int, round))
    if out is None or before == sizes:
        return sizes
    there = set()
    for path in out.glob(f"*/{CONFIG}"):
        with contextlib.suppress(AttractorError):  # whoever opens that run will say what is wrong
            there.add(read_json(path).get("n_train"))
    return before if there & (set(before) - set(sizes)) else sizes


def plan(config: SweepConfig, available: int, out: Path | None = None) -> list[PlannedRun]:
    """Every (model, size, data seed, seed), largest models and training sets first so that the
    longest runs do not come last.

    Args:
        config: the sweep.
        available: rows of the training set.
        out: the sweep's folder, see `sizes_of`.

    Raises:
        AttractorError: if a size is not between 1 and `available`.
    """
    sizes = sizes_of(config, available, out)
    return [
        run
        for name in reversed(config.each_model())
        for run in runs_of(config, name, reversed(sizes))
    ]


def runs_of(config: SweepConfig, model: str, sizes: Iterable[int]) -> list[PlannedRun]:
    """One of the sweep's models at these training-set sizes, with every data seed and seed; of a
    training set with fewer rows than are to be probed, copies aside, all are."""
    alone = config.each_model()[model]
    axes = ("sizes", "seeds", "seeds_at", "data_seeds", "models", "margin", "data")
    shared = {
        f.name: getattr(alone, f.name) for f in dataclasses.fields(alone) if f.name not in axes
    }
    probe, copies = shared.pop("probe"), config.data.copies
    runs = [
        RunConfig(
            n_train=n,
            seed=seed,
            data=dataclasses.replace(config.data, order=order),
            probe=dataclasses.replace(probe, rows=max(2, min(probe.rows, n - copies))),
            **shared,
        )
        for n in sizes
        for order in config.orders
        for seed in config.seeds_of(n)
    ]
    return [PlannedRun(run_id(run), run, model) for run in runs]


def located(runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    """The same runs, each named by the folder in which it is.

    A run is found by what its config trains and not by the name of its folder: earlier versions
    named folders by a hash that also held what was measured.
    """
    elsewhere = [run for run in runs if not (out / run.run_id).is_dir()]
    names = _folders(out) if elsewhere else {}
    return [
        run._replace(run_id=names.get(_trains(run.config), run.run_id)) if run in elsewhere else run
        for run in runs
    ]


def _folders(out: Path) -> dict[str, str]:
    """The folders of runs in a sweep, by what their configs train."""
    found = {}
    for config in sorted(out.glob(f"*/{CONFIG}")):
        with contextlib.suppress(AttractorError):  # whoever opens that run will say what is wrong
            found[_trains(read_json(config))] = config.parent.name
    return found


def _trains(config: object) -> str:
    return json.dumps(training_identity(config), sort_keys=True)

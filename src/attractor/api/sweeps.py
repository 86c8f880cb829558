"""A sweep in its folder: its models, its places and its numbers, read when they are asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from attractor.api import tables
from attractor.api.draws import draws
from attractor.api.places import Place, places, primary
from attractor.api.plots import Plots
from attractor.api.run import Run
from attractor.config.settings import SweepConfig
from attractor.notebook import table_html
from attractor.report import words
from attractor.report.sweep_files import read_report
from attractor.report.view import Curve, Report, find
from attractor.report.view import curves as by_size
from attractor.runs.measure import results_of
from attractor.sweeps.run import config_of, planned_runs, summarize
from attractor.sweeps.summary import TRANSITION
from attractor.types import AttractorError

if TYPE_CHECKING:
    from xarray import DataTree


class NoSuchRun(AttractorError, KeyError):
    """Raised for a run that a sweep does not have, or where several are meant."""

    __str__ = AttractorError.__str__


class Runs(Mapping[tuple[int, ...], Run]):
    """The runs of a sweep by size, or by size, seed and order of the data: `runs[32]`,
    `runs[32, 1]`, `runs[32, 1, 0]`."""

    def __init__(self, found: Mapping[tuple[int, ...], Run]) -> None:
        self._found = found

    def __getitem__(self, key: int | tuple[int, ...]) -> Run:
        wanted = key if isinstance(key, tuple) else (key,)
        fitting = [each for each in self._found if each[: len(wanted)] == wanted]
        if len(fitting) == 1:
            return self._found[fitting[0]]
        if fitting:
            raise NoSuchRun(f"runs[{key}] are {len(fitting)} runs: say runs{list(fitting[0])}")
        sizes = ", ".join(f"{n:,}" for n in dict.fromkeys(each[0] for each in self._found))
        raise NoSuchRun(f"there is no run [{key}] in this sweep; there are runs of n = {sizes}")

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Sizes, seeds and orders of the data, the smallest size first."""
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(repr(run) for run in self.values()) or "<no runs>"


@dataclass(frozen=True, repr=False)
class Sweep:
    """A sweep: `attractor.sweep` makes one, `attractor.open` opens one that there is."""

    folder: Path
    """of the whole sweep"""
    model: str = ""
    """of a sweep of several models the one that is meant"""

    @functools.cached_property
    def config(self) -> SweepConfig:
        """Every setting that it was asked for with."""
        return config_of(self.folder)

    @functools.cached_property
    def models(self) -> dict[str, Sweep]:
        """The sweep of each model by name, where it is one of several models; else empty."""
        return {} if self.model else {name: Sweep(self.folder, name) for name in self.config.models}

    @functools.cached_property
    def runs(self) -> Runs:
        """Its models by training-set size, finished or not.

        Raises:
            AttractorError: if the folder holds the report alone, or no run has begun.
        """
        self._require_one()
        planned = [run for run in planned_runs(self.folder) if run.model == self.model]
        found = {}
        for run in planned:
            folder, config = self.folder / run.run_id, run.config
            key = (config.n_train, config.seed, config.data.order)
            found[key] = Run(folder, results_of(folder, config.probe))
        return Runs(dict(sorted(found.items())))

    @functools.cached_property
    def places(self) -> tuple[Place, ...]:
        """Where something changes with n: n* of recovery at each time, of entropy, calibration and
        generation, and the peaks of perplexity."""
        return places(self._report)

    @property
    def n_star(self) -> Place:
        """The size at which the basin advantage is 1/2, at the smallest time that was measured, as
        in the headline of the report; `places` holds those of all times."""
        return primary(self._report)

    @functools.cached_property
    def plot(self) -> Plots:
        """Its figures: `s.plot.recovery()`, or `s.plot.recovery(ax=ax)` on matplotlib's axes."""
        return Plots(lambda: self._report)

    def to_pandas(self) -> pd.DataFrame:
        """Every number, a row each; `attractor.api.tables.COLUMNS` says what the columns hold."""
        if self.models:
            every = [sweep.to_pandas() for sweep in self.models.values()]
            return pd.concat(every, ignore_index=True)
        return tables.of_sweep(self.model, self._report.measured)

    def to_arviz(self) -> DataTree:
        """The draws behind its places, for ArviZ and xarray; needs the extra `arviz`.

        The group `bootstrap` holds places over resampled sequences, given these training runs:
        `n_star` of recovery, (chain, draw, t), and other places by their names in transition.json,
        (chain, draw). All are sizes in rows; a draw is 0 where the place lies below the smallest
        size, inf where it lies above the largest, and NaN where there is none. The group
        `training_runs` holds the place of each training run by itself, (run, t) or (run,), NaN
        where that is not inside the sizes. Places that are not located are left out.

        The bootstrap is not a posterior: no prior was chosen, and the draws say nothing of other
        training runs. So no group is called `posterior`, diagnostics of chains mean nothing here,
        and the shares at the ends of the intervals of the report are those of a small sample
        (Student), slightly wider than quantiles of 2.5 and 97.5%.

        Raises:
            AttractorError: if the extra is not installed, the folder holds the report alone, no
                run is finished, or no place is located.
        """
        self._require_one()
        finished = [run.results for run in self.runs.values() if run.finished]
        if not finished:
            raise AttractorError(f"'{self.folder}' has no finished run, so no place has draws")
        return draws(finished)

    def report(self) -> Path:
        """Write summary and report again, from what is finished; returns the path of the page."""
        self._require_one()
        pages = {page.parent: page for page in summarize(self.folder)}
        for read in ("_report", "places", "plot"):  # before, and not what is there now
            self.__dict__.pop(read, None)
        return pages[self._summary]

    @functools.cached_property
    def _report(self) -> Report:
        self._require_one()
        if not (self._summary / TRANSITION).is_file():
            raise AttractorError(
                f"'{self.folder}' has no numbers yet: the same sweep, asked for again, goes on"
            )
        return read_report(self._summary)

    @property
    def _summary(self) -> Path:
        return self.folder / self.model

    def _require_one(self) -> None:
        if self.models:
            name = next(iter(self.models))
            raise AttractorError(
                f"'{self.folder}' is of several models, {', '.join(self.models)}: take one, as in "
                f".models['{name}']"
            )

    def __repr__(self) -> str:
        return f"<Sweep '{self.folder}': {'; '.join(self._said())}>"

    def _repr_html_(self) -> str:
        said = self._said()
        if self.models or not (self._summary / TRANSITION).is_file():
            return table_html(f"Sweep '{self.folder}'", (), (), said)
        notes = [repr(place)[1:-1] for place in self.places]
        report, t = self._report, self.n_star.t
        first, recovered = (
            "second halves that come back",
            by_size(row for row in report.measured if row.measurement == "prefix_tokens"),
        )
        if t is not None:
            first, recovered = f"recovery, t = {t:g}", report.recovery
        head = ("n", first, "of unseen text", "entropy, nats", "of unseen text")
        curves = [
            find(some, split, at)
            for some, at in ((recovered, t), (report.entropy, None))
            for split in ("train", "test")
        ]
        forms = (words.percent, words.percent, words.nats, words.nats)
        rows = [
            (words.count(n), *(_cell(c, n, form) for c, form in zip(curves, forms, strict=True)))
            for n in report.sizes
        ]
        notes.append("Brackets: 95% intervals over sequences.")
        return table_html(f"Sweep '{self.folder}'", head, rows, [said[0], *notes])

    def _said(self) -> list[str]:
        if self.models:
            return [f"models {', '.join(self.models)}, one by one in .models"]
        if not (self._summary / TRANSITION).is_file():
            return ["not finished, without numbers yet"]
        sizes, seeds = self._report.sizes, self._report.seeds
        runs = f"{len(seeds)} training seeds" if len(seeds) > 1 else "one training seed"
        span = f"n = {sizes[0]:,} to {sizes[-1]:,}, {len(sizes)} sizes, {runs}"
        return [span, f"n* of {self.n_star.what}: {self.n_star}"]


def _cell(curve: Curve | None, n: int, form: Callable[[float], str]) -> str:
    e = None if curve is None else curve.at(n)
    return "" if e is None else words.with_interval(e, form)

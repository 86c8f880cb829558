"""What the report shows, as plain data: curves averaged over seeds, transitions, passages and
provenance.

Nothing here knows the files of a sweep; `sweep_files` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import exp
from statistics import fmean
from typing import Any, NamedTuple

from attractor.analysis import training_runs
from attractor.measurements import quantity
from attractor.report.fields import Fields
from attractor.results.estimate import Design, Estimate


class Measured(NamedTuple):
    """One measurement of one training run; `t` is None for what does not depend on it."""

    split: str
    t: float | None
    n_train: float
    """training-set size; on a curve against an axis of its own, the place on that axis"""
    seed: int
    estimate: Estimate
    measurement: str = ""
    at: float | None = None
    """place on an axis of its own, of a measurement that has one, such as nats of a density"""
    data_seed: int = 0
    design: Design | None = None
    """how alike sequences of one group are, where that is known"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training-set size: the mean over seeds, and each seed's own value."""

    n_train: float
    mean: Estimate
    seeds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One measurement of one kind of text against the training-set size."""

    split: str
    t: float | None
    points: tuple[Point, ...]

    @property
    def highest(self) -> float:
        """The highest end of an interval, or value of a seed."""
        ends = (p.mean.value if p.mean.high is None else p.mean.high for p in self.points)
        return max(*ends, *(value for p in self.points for value in p.seeds))

    @property
    def lowest(self) -> float:
        """The lowest end of an interval, or value of a seed."""
        ends = (p.mean.value if p.mean.low is None else p.mean.low for p in self.points)
        return min(*ends, *(value for p in self.points for value in p.seeds))

    def at(self, n_train: float) -> Estimate | None:
        """Return the mean over seeds at one size, None where it was not measured."""
        return next((p.mean for p in self.points if p.n_train == n_train), None)


@dataclass(frozen=True, kw_only=True)
class Star:
    """Where the transition is, as seen in one quantity."""

    t: float | None
    """None for a quantity that does not depend on it"""
    n_star: Estimate | None
    """None where no transition was found"""
    width: float | None = None
    """decades of n over which the quantity falls from 90% to 10% of its top"""
    reason: str | None = None
    """why n* or its interval is missing"""
    warning: str | None = None
    """why the interval is to be read with care"""
    sizes: tuple[float, float] | None = None
    """the measured sizes between which it lies"""
    seed_ci: tuple[float, float] | None = None
    """95% interval over training runs, None with a single one"""


class Model(NamedTuple):
    """One model of a sweep of several, and where its transition is."""

    name: str
    parameters: int
    stars: tuple[Star, ...]


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of a passage at its three stages; entropy in nats."""

    original: str
    corrupted: str
    recovered: str
    outcome: str
    entropy: float


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """One passage as one model returned it."""

    n_train: int
    seed: int
    tokens: tuple[Token, ...]

    def count(self, *outcomes: str) -> int:
        """Return how many tokens had one of these outcomes."""
        return sum(token.outcome in outcomes for token in self.tokens)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One passage, read by models of several training-set sizes, smallest first."""

    split: str
    row: int
    t: float
    readings: tuple[Restoration, ...]
    rows: int | None = None
    """of how many rows it was chosen, None where that is not recorded"""
    typical: bool = False
    """whether it is the row nearest to the median of every model"""

    @property
    def widths(self) -> list[int]:
        """The most characters that any stage of any model has at each place."""
        columns = zip(*(reading.tokens for reading in self.readings), strict=False)
        return [
            max(
                len(words)
                for token in column
                for words in (token.original, token.corrupted, token.recovered)
            )
            for column in columns
        ]

    @property
    def shared(self) -> bool:
        """Tell whether all models were given the same corrupted text."""
        given = {
            tuple((token.original, token.corrupted) for token in r.tokens) for r in self.readings
        }
        return len(given) <= 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the page shows; what the files do not hold is empty or None."""

    name: str
    elapsed_s: float
    sizes: tuple[int, ...]
    times: tuple[float, ...]
    seeds: tuple[int, ...]
    data_seeds: tuple[int, ...]
    recovery: tuple[Curve, ...]
    broken: tuple[Curve, ...]
    entropy: tuple[Curve, ...]
    perplexity: tuple[Curve, ...]
    random: tuple[Curve, ...]
    stars: tuple[Star, ...]
    entropy_star: Star | None
    extraction: Star | None
    """of prefixes, where the models are autoregressive"""
    entropy_bend: Star | None
    calibration_star: Star | None
    copying: Star | None
    """of generations"""
    own_entropy: Star | None
    peak: Star | None
    validation_peak: Star | None
    measured: tuple[Measured, ...]
    """every number, whichever curve it is part of"""
    controls: tuple[tuple[str, Measured], ...]
    """each with the name of its model"""
    detector: Fields
    models: tuple[Model, ...]
    agreement: tuple[Fields, ...]
    micro: tuple[Fields, ...]
    passages: tuple[Passage, ...]
    notices: tuple[str, ...]
    """what of the sweep is not on the page"""
    provenance: dict[str, Any]
    beside: tuple[Report, ...] = ()
    """sweeps to compare with"""
    onset: Fields | None = None
    """the transition over training time, where the trainings were watched"""

    @property
    def runs(self) -> int:
        """Training runs of each size: one for every seed and every order of the data."""
        return len(self.seeds) * len(self.data_seeds)

    @property
    def fewest(self) -> int:
        """Seeds or orders of the data, whichever are fewer where there are several of both; 1 of a
        single run. So many know the spread between runs."""
        return training_runs.fewest_runs(list(product(self.data_seeds, self.seeds)))

    @property
    def primary(self) -> Star | None:
        """The place that every headline is about: n* of recovery at the smallest time that was
        measured, or that of prefix extraction where there is no noise; None without either.

        What is known at a time does not choose it: of several intervals the narrowest claims too
        much.
        """
        return min(self.stars, key=lambda star: star.t or 0.0, default=self.extraction)

    @property
    def located(self) -> list[tuple[float, Estimate]]:
        """Return (t, n*) for the times at which recovery shows a transition."""
        return [
            (star.t, star.n_star)
            for star in self.stars
            if star.t is not None and star.n_star is not None
        ]


def find(curves: Iterable[Curve], split: str, t: float | None = None) -> Curve | None:
    """Return the curve of one kind of text at one time (None for what does not depend on it)."""
    return next((curve for curve in curves if curve.split == split and curve.t == t), None)


def over_seeds(
    estimates: list[Estimate], measurement: str, replicates: list[tuple[int, int]] | None = None
) -> Estimate:
    """The mean over training seeds with its interval over sequences and seeds."""
    value = fmean(e.value for e in estimates)
    if any(e.interval is None for e in estimates):
        return Estimate(value)
    mean = estimates[0]
    if len(estimates) > 1:
        mean = training_runs.over_seeds(estimates, replicates)
    low, high = mean.ends()
    # Student's interval over a few seeds is symmetric and often wider than what the unit allows:
    # a share above 1 would only be an artefact of it.
    low, high = quantity(measurement).unit.clipped(low, high)
    # A bias-corrected interval need not hold its value, but no line may leave its band.
    return Estimate(value, min(value, low), max(value, high), estimates[0].n)


def curves(
    measured: Iterable[Measured], scale: Callable[[float], float] = float
) -> tuple[Curve, ...]:
    """Group measurements into curves and average over seeds; `scale` is applied after the average.

    A perplexity, say, is exp of the mean of nats, not the mean of what exp makes of them.
    """
    # Of several numbers of one (measurement, split, t, n, seed) the first is taken: the rows of
    # transition.json are one for each t, and repeat in each of them what does not depend on t.
    groups: dict[tuple[str, str, float | None], dict[float, dict[tuple[int, int], Estimate]]] = {}
    for m in measured:
        at = groups.setdefault((m.measurement, m.split, m.t), {})
        at.setdefault(m.n_train, {}).setdefault((m.data_seed, m.seed), m.estimate)
    found = []
    for (name, split, t), sizes in groups.items():
        points = []
        for n_train, seeds in sorted(sizes.items()):
            mean = over_seeds(list(seeds.values()), name, list(seeds))
            values = tuple(scale(seeds[seed].value) for seed in sorted(seeds))
            points.append(Point(n_train=n_train, mean=mean.scaled(scale), seeds=values))
        found.append(Curve(split=split, t=t, points=tuple(points)))
    # What is drawn and listed in this order: by t, what has none first, and training text first.
    return tuple(sorted(found, key=lambda c: (-1.0 if c.t is None else c.t, _rank(c.split))))


def _rank(split: str) -> int:
    return {"train": 0, "test": 1}.get(split, 2)


def perplexity(nats: float) -> float:
    """Return exp(nats), capped where a float would overflow."""
    return exp(min(nats, 700.0))

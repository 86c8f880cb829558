"""What the report shows, as plain data: curves averaged over seeds, transitions, passages and
provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, inf
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from attractor.analysis import statistics
from attractor.report.fields import Fields, read_fields
from attractor.results.estimate import Estimate
from attractor.results.outcomes import OUTCOMES
from attractor.types import AttractorError

SPLITS = ("train", "test")


class Measured(NamedTuple):
    """One measurement of one training run; `t` is None for what does not depend on it."""

    split: str
    t: float | None
    n_train: float
    """training-set size; on a profile, the place on its own axis"""
    seed: int
    estimate: Estimate
    measurement: str = ""
    at: float = 0.0
    """where on the axis of a profile"""


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

    def at(self, n_train: float) -> Estimate | None:
        """Return the mean over seeds at one size, None where it was not measured."""
        return next((p.mean for p in self.points if p.n_train == n_train), None)


@dataclass(frozen=True, kw_only=True)
class Star:
    """Where the transition is; `width` is in decades of n; `reason` says why `n_star` or its
    interval is missing."""

    t: float | None
    n_star: Estimate | None
    width: float | None = None
    reason: str | None = None
    warning: str | None = None


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
    recovery: tuple[Curve, ...]
    broken: tuple[Curve, ...]
    entropy: tuple[Curve, ...]
    perplexity: tuple[Curve, ...]
    random: tuple[Curve, ...]
    gap: tuple[Curve, ...]
    fixed_tokens: tuple[Curve, ...]
    fixed_sequences: tuple[Curve, ...]
    stars: tuple[Star, ...]
    entropy_star: Star | None
    entropy_bend: Star | None
    peak: Star | None
    measured: tuple[Measured, ...]
    controls: tuple[tuple[str, Measured], ...]
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


def support(measurement: str) -> tuple[float, float]:
    """The values a measurement can take, which an interval over training seeds must not leave."""
    if measurement.startswith(("entropy_gap", "gap_hedges")):
        return -inf, inf
    if measurement in ("judge_correlation", "gap_cliffs_delta", "auroc_gain"):
        return -1, 1
    nats = (
        "conditional_entropy",
        "entropy",
        "nelbo",
        "judge",
        "path_entropy",
        "gap_wasserstein",
        "gap_energy",
    )
    return (0, inf) if measurement.startswith(nats) else (0, 1)


def over_seeds(estimates: list[Estimate], measurement: str) -> Estimate:
    """The mean over training seeds with its interval over sequences and seeds."""
    value, (least, most) = fmean(e.value for e in estimates), support(measurement)
    if any(e.interval is None for e in estimates):
        return Estimate(value)
    low, high = (estimates[0] if len(estimates) == 1 else statistics.over_seeds(estimates)).ends()
    return Estimate(value, min(value, max(low, least)), max(value, min(high, most)))


def curves(
    measured: Iterable[Measured], scale: Callable[[float], float] = float
) -> tuple[Curve, ...]:
    """Group measurements into curves and average over seeds; `scale` is applied after the
    average."""
    # The first of a (split, t, n, seed) wins: rows repeat what does not depend on t.
    groups: dict[tuple[str, str, float | None], dict[float, dict[int, Estimate]]] = {}
    for m in measured:
        at = groups.setdefault((m.measurement, m.split, m.t), {})
        at.setdefault(m.n_train, {}).setdefault(m.seed, m.estimate)
    found = []
    for (name, split, t), sizes in groups.items():
        points = []
        for n_train, seeds in sorted(sizes.items()):
            mean = over_seeds(list(seeds.values()), name)
            values = tuple(scale(seeds[seed].value) for seed in sorted(seeds))
            points.append(Point(n_train=n_train, mean=mean.scaled(scale), seeds=values))
        found.append(Curve(split=split, t=t, points=tuple(points)))
    return tuple(sorted(found, key=lambda c: (-1.0 if c.t is None else c.t, _rank(c.split))))


def _rank(split: str) -> int:
    return {"train": 0, "test": 1}.get(split, 2)


def perplexity(nats: float) -> float:
    """Return exp(nats), capped where a float would overflow."""
    return exp(min(nats, 700.0))


def _measured(
    row: Fields, key: str, interval: str, splits: tuple[str, ...], timed: bool, measurement: str
) -> Measured:
    return Measured(
        measurement=measurement,
        split=row.text("split", splits),
        t=row.number("t") if timed else None,
        n_train=row.integer("n_train", least=1),
        seed=row.integer("seed"),
        estimate=row.estimate(key, interval),
    )


def _any(row: Fields, n_train: int, seed: int) -> Measured:
    return Measured(
        split=row.text("split"), t=row.optional("t"), n_train=n_train, seed=seed,
        estimate=row.estimate("value", "ci")._replace(n=int(row.optional("sequences") or 0)),
        measurement=row.text("measurement"), at=row.optional("at") or 0.0,
    )  # fmt: skip


def _where_measured(rows: list[Fields], key: str, interval: str, timed: bool) -> list[Measured]:
    return _rows([row for row in rows if row.has(key)], key, interval, timed)


def _rows(rows: list[Fields], key: str, interval: str, timed: bool) -> list[Measured]:
    return [_measured(row, key, interval, SPLITS, timed, key) for row in rows]


class Measurements:
    """The rows of `measurements.json`, by name; without the file there are none."""

    def __init__(self, path: Path) -> None:
        self.fields = read_fields(path) if path.exists() else Fields({}, path.name)
        self.rows = self.fields.objects("rows")

    def named(self, name: str, *splits: str) -> list[Measured]:
        """Return the rows of one measurement and these kinds of text."""
        found = [row for row in self.rows if row.text("measurement") == name and not row.has("at")]
        chosen = [row for row in found if row.text("split") in splits]
        return [_measured(row, "value", "ci", splits, row.has("t"), name) for row in chosen]

    def all(self) -> tuple[Measured, ...]:
        """Return every row."""
        return tuple(
            _any(row, row.integer("n_train", least=1), row.integer("seed")) for row in self.rows
        )

    def controls(self) -> tuple[tuple[str, Measured], ...]:
        """Return the rows of the controls, each with the name of its model."""
        return tuple(
            (row.text("control"), _any(row, 0, 0)) for row in self.fields.objects("controls")
        )

    def gap(self) -> list[Measured]:
        """Return the entropy gap, each row under the kind of text that generations are compared
        with."""
        pairs = [(split, self.named(f"entropy_gap_{split}", "generated")) for split in SPLITS]
        return [
            row._replace(split=split, measurement="entropy_gap")
            for split, rows in pairs
            for row in rows
        ]

    def notices(self) -> tuple[str, ...]:
        """Return what is missing: this file, or runs that are not finished and whose sizes are left
        out."""
        if not self.fields.data:
            return (f"{self.fields.place} is not there, so most measurements are not shown",)
        runs = self.fields.data.get("unfinished") or ()
        return (
            (f"not finished, and left out with their sizes: {', '.join(map(str, runs))}",)
            if runs
            else ()
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """Return where the numbers come from."""
        return Fields(
            self.fields.data.get("provenance") or {}, f"{self.fields.place}.provenance"
        ).data


def _star(fields: Fields, timed: bool, key: str = "n_star") -> Star:
    n_star = fields.optional(key)
    return Star(
        t=fields.number("t") if timed else None,
        n_star=None
        if n_star is None
        else Estimate(n_star, *(fields.interval("ci") or (None, None))),
        width=fields.optional("width"),
        reason=fields.text("reason") if fields.has("reason") else None,
        warning=fields.text("warning") if fields.has("warning") else None,
    )


def _place(content: Any, place: str, key: str = "n_star") -> Star | None:
    return None if content is None else _star(Fields(content, place), timed=False, key=key)


def _passage(fields: Fields) -> Passage:
    fields.require("split", "row", "t", "views")
    readings = [
        Restoration(
            n_train=view.integer("n_train", least=1),
            seed=view.integer("seed"),
            tokens=tuple(_token(token) for token in view.objects("tokens")),
        )
        for view in fields.objects("views")
    ]
    return Passage(
        split=fields.text("split", SPLITS),
        row=fields.integer("row"),
        t=fields.number("t"),
        readings=tuple(sorted(readings, key=lambda reading: reading.n_train)),
    )


def _token(fields: Fields) -> Token:
    return Token(
        original=fields.text("original"),
        corrupted=fields.text("corrupted"),
        recovered=fields.text("recovered"),
        outcome=fields.text("outcome", OUTCOMES),
        entropy=fields.number("entropy"),
    )


def read_passages(path: Path) -> tuple[Passage, ...]:
    """Read `passages.json`; no file, no passages."""
    if not path.exists():
        return ()
    fields = read_fields(path)
    fields.require("passages")
    return tuple(_passage(passage) for passage in fields.objects("passages"))


def read_report(sweep_dir: Path, beside: Iterable[Path] = ()) -> Report:
    """Build the view from the JSON files of a sweep: transition.json and, where there are, the two
    others; the same of the sweeps beside it."""
    fields = read_fields(sweep_dir / "transition.json")
    fields.require("elapsed_s", "rows", "transition", "entropy_transition")
    rows = fields.objects("rows")
    if not rows:
        raise AttractorError(
            f"{fields.place}.rows: no rows; a report needs at least one measured model"
        )
    more = Measurements(sweep_dir / "measurements.json")
    # The two files agree where they overlap; measurements.json has more intervals.
    broken = more.named("unstable_rate", *SPLITS) or _where_measured(
        rows, "unstable_rate", "unstable_ci", timed=True
    )
    nelbo = more.named("nelbo_per_token", *SPLITS) or _where_measured(
        rows, "nelbo_per_token", "nelbo_ci", timed=False
    )
    entropy = _rows(rows, "conditional_entropy", "entropy_ci", timed=False)
    return Report(
        name=sweep_dir.resolve().name,
        elapsed_s=fields.number("elapsed_s"),
        sizes=tuple(sorted({row.integer("n_train") for row in rows})),
        times=tuple(sorted({row.number("t") for row in rows})),
        seeds=tuple(sorted({row.integer("seed") for row in rows})),
        recovery=curves(_rows(rows, "recovery_rate", "recovery_ci", timed=True)),
        broken=curves(broken),
        entropy=curves([*entropy, *more.named("conditional_entropy", "generated")]),
        perplexity=curves(nelbo, scale=perplexity),
        random=curves(more.named("recovery_rate", "random")),
        gap=curves(more.gap()),
        fixed_tokens=curves(more.named("fixed_tokens", *SPLITS, "random")),
        fixed_sequences=curves(more.named("fixed_sequences", *SPLITS, "random")),
        stars=tuple(_star(star, timed=True) for star in fields.objects("transition")),
        entropy_star=_place(
            fields.data["entropy_transition"], f"{fields.place}.entropy_transition"
        ),
        entropy_bend=_place(fields.data.get("entropy_change"), f"{fields.place}.entropy_change"),
        peak=_place(
            fields.data.get("perplexity_peak"), f"{fields.place}.perplexity_peak", "n_train"
        ),
        measured=more.all(),
        controls=more.controls(),
        detector=Fields(more.fields.data.get("detector") or {}, f"{more.fields.place}.detector"),
        models=tuple(
            Model(
                model.text("model"),
                model.integer("parameters"),
                tuple(_star(star, timed=True) for star in model.objects("transition")),
            )
            for model in more.fields.objects("models")
        ),
        agreement=tuple(fields.objects("agreement")),
        micro=tuple(more.fields.objects("micro_attractors")),
        passages=read_passages(sweep_dir / "passages.json"),
        notices=more.notices(),
        provenance=more.provenance,
        beside=tuple(map(read_report, beside)),
    )

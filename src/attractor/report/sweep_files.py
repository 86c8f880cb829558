"""The files of a sweep, read into the view that the report shows.

`transition.json` is always there and holds what locates the transition; `measurements.json`, every
number with its interval, and `passages.json` may be missing, as in sweeps of early versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attractor.measurements import declares
from attractor.report.fields import Fields, read_fields
from attractor.report.view import (
    Measured,
    Model,
    Passage,
    Report,
    Restoration,
    Star,
    Token,
    curves,
    perplexity,
)
from attractor.results.estimate import Design
from attractor.results.outcomes import OUTCOMES
from attractor.types import AttractorError

SPLITS = ("train", "test")


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
        data_seed=int(row.optional("data_seed") or 0),
    )


def _stored(row: Fields, n_train: int, seed: int) -> Measured:
    """A row of measurements.json, whatever its quantity."""
    return Measured(
        split=row.text("split"),
        t=row.optional("t"),
        n_train=n_train,
        seed=seed,
        estimate=row.estimate("value", "ci")._replace(n=int(row.optional("sequences") or 0)),
        measurement=row.text("measurement"),
        at=row.optional("at"),
        data_seed=int(row.optional("data_seed") or 0),
        design=_design(row),
    )


def _design(row: Fields) -> Design | None:
    if not row.has("groups"):
        return None
    groups, icc, effect = (row.optional(key) for key in ("groups", "icc", "design_effect"))
    return Design(int(groups or 0), icc, effect, bool(row.data.get("by_group")))


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
        """Return the rows of one measurement against n, for these kinds of text."""
        # Rows with `at` are points on another axis.
        found = [row for row in self.rows if row.text("measurement") == name and not row.has("at")]
        chosen = [row for row in found if row.text("split") in splits]
        return [_measured(row, "value", "ci", splits, row.has("t"), name) for row in chosen]

    def all(self) -> tuple[Measured, ...]:
        """Return every row whose quantity this version knows; `notices` names the others."""
        known = [row for row in self.rows if declares(row.text("measurement"))]
        return tuple(_stored(r, r.integer("n_train", least=1), r.integer("seed")) for r in known)

    def controls(self) -> tuple[tuple[str, Measured], ...]:
        """Return the rows of the controls, each with the name of its model, which has no n."""
        return tuple(
            (row.text("control"), _stored(row, 0, 0)) for row in self.fields.objects("controls")
        )

    def notices(self) -> tuple[str, ...]:
        """Say in sentences what of the sweep is not on the page, and why."""
        if not self.fields.data:
            return (f"{self.fields.place} is not there, so most measurements are not shown",)
        said, runs = [], self.fields.data.get("unfinished") or ()
        if runs:
            said.append(f"not finished, and left out with their sizes: {', '.join(map(str, runs))}")
        names = dict.fromkeys(row.text("measurement") for row in self.rows)
        if unknown := [name for name in names if not declares(name)]:
            said.append(f"of another version, and not shown: {', '.join(unknown)}")
        if others := self.provenance.get("other_sets"):
            said.append(
                f"also measured, and not shown here: with {'; with '.join(map(str, others))}"
            )
        if old := self.provenance.get("superseded"):
            said.append(
                "measured by an earlier version, otherwise than this page says: "
                f"{', '.join(map(str, old))}; `attractor measure` measures them anew"
            )
        return tuple(said)

    @property
    def provenance(self) -> dict[str, Any]:
        """Return where the numbers come from."""
        found = self.fields.data.get("provenance") or {}
        return Fields(found, f"{self.fields.place}.provenance").data


def _star(fields: Fields, timed: bool, key: str = "n_star") -> Star:
    located = fields.optional(key) is not None
    return Star(
        t=fields.number("t") if timed else None,
        n_star=fields.estimate(key, "ci") if located else None,
        width=fields.optional("width"),
        reason=fields.text("reason") if fields.has("reason") else None,
        warning=fields.text("warning") if fields.has("warning") else None,
        sizes=fields.interval("sizes"),
        seed_ci=fields.interval("seed_ci"),
    )


def _star_of(fields: Fields, name: str, key: str = "n_star") -> Star | None:
    """The transition stored under a name, None where it is absent or null."""
    content = fields.data.get(name)
    if content is None:
        return None
    return _star(Fields(content, f"{fields.place}.{name}"), timed=False, key=key)


def _earlier(fields: Fields) -> list[str]:
    """What to say of places that were located where half of the gap was left, and not where the
    basin advantage is 1/2."""
    located = [star for star in fields.objects("transition") if star.has("n_star")]
    if all(star.has("sizes") for star in located):
        return []
    return [
        "n* was located by an earlier version, where half of the gap at the smallest size is left; "
        "`attractor measure` locates it where the basin advantage is 1/2"
    ]


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
        rows=fields.integer("rows", least=1) if fields.has("rows") else None,
        typical=fields.has("chosen") and fields.text("chosen") == "typical",
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


def _broken(rows: list[Fields]) -> list[Measured]:
    return _where_measured(rows, "unstable_rate", "unstable_ci", timed=True)


def _nelbo(rows: list[Fields]) -> list[Measured]:
    return _where_measured(rows, "nelbo_per_token", "nelbo_ci", timed=False)


def _model(fields: Fields) -> Model:
    return Model(
        name=fields.text("model"),
        parameters=fields.integer("parameters"),
        stars=tuple(_star(star, timed=True) for star in fields.objects("transition")),
    )


def read_report(sweep_dir: Path, beside: Iterable[Path] = ()) -> Report:
    """Build the view of a sweep, and of those beside it, from their JSON files.

    Args:
        sweep_dir: the folder of the sweep.
        beside: folders of sweeps to compare with.

    Raises:
        AttractorError: for a file that is missing or damaged, naming the place.
    """
    fields = read_fields(sweep_dir / "transition.json")
    fields.require("elapsed_s", "rows", "transition", "entropy_transition")
    rows = fields.objects("rows")
    if not rows:
        raise AttractorError(
            f"{fields.place}.rows: no rows; a report needs at least one measured model"
        )
    more = Measurements(sweep_dir / "measurements.json")
    # The two files agree where they overlap, but measurements.json has more intervals.
    broken = more.named("unstable_rate", *SPLITS) or _broken(rows)
    nelbo = more.named("nelbo_per_token", *SPLITS) or _nelbo(rows)
    timed = [row for row in rows if row.has("t")]  # without noise there are no times
    entropy = _rows(rows, "conditional_entropy", "entropy_ci", timed=False)
    return Report(
        name=sweep_dir.resolve().name,
        elapsed_s=fields.number("elapsed_s"),
        sizes=tuple(sorted({row.integer("n_train") for row in rows})),
        times=tuple(sorted({row.number("t") for row in timed})),
        seeds=tuple(sorted({row.integer("seed") for row in rows})),
        data_seeds=tuple(sorted({int(row.optional("data_seed") or 0) for row in rows})),
        recovery=curves(_rows(timed, "recovery_rate", "recovery_ci", timed=True)),
        broken=curves(broken),
        entropy=curves([*entropy, *more.named("conditional_entropy", "generated")]),
        perplexity=curves(nelbo, scale=perplexity),
        random=curves(more.named("recovery_rate", "random")),
        stars=tuple(_star(star, timed=True) for star in fields.objects("transition")),
        extraction=_star_of(fields, "extraction_transition"),
        entropy_star=_star_of(fields, "entropy_transition"),
        entropy_bend=_star_of(fields, "entropy_change"),
        calibration_star=_star_of(fields, "calibration_transition"),
        copying=_star_of(fields, "generation_transition"),
        own_entropy=_star_of(fields, "own_entropy_transition"),
        peak=_star_of(fields, "perplexity_peak", "n_train"),
        validation_peak=_star_of(fields, "validation_peak", "n_train"),
        measured=more.all() or (*_broken(rows), *_nelbo(rows)),
        controls=more.controls(),
        detector=Fields(more.fields.data.get("detector") or {}, f"{more.fields.place}.detector"),
        models=tuple(_model(model) for model in more.fields.objects("models")),
        agreement=tuple(fields.objects("agreement")),
        micro=tuple(more.fields.objects("micro_attractors")),
        passages=read_passages(sweep_dir / "passages.json"),
        notices=(*_earlier(fields), *more.notices()),
        provenance=more.provenance,
        beside=tuple(map(read_report, beside)),
        onset=Fields(fields.data["onset"], f"{fields.place}.onset")
        if fields.has("onset")
        else None,
    )

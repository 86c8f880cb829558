"""The handful of numbers that say most of one model, named as the report names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attractor.analysis.advantage import advantage
from attractor.measurements import quantity
from attractor.report import words
from attractor.results.estimate import Estimate
from attractor.results.tables import Row, RunResults

NUMBERS = (
    "recovery_rate",
    "unstable_rate",
    "exact_match",
    "prefix_tokens",
    "prefix_exact",
    "conditional_entropy",
    "kappa",
    "nelbo_per_token",
)
"""Of training and of unseen text, by their names in the files."""
OWN = "share_memorized"
"""Of what the model writes by itself."""
HEAD = ("", "training text", "unseen text", "own text")
TIMED = ("recovery_rate", "unstable_rate", "exact_match")
"""Numbers of which the time is said; all others are measured near clean text."""

Line = tuple[str, str, str, str]


def headline(results: RunResults) -> list[Line]:
    """What it is, its value on training text, on unseen text and on the model's own text."""
    lines = [line for name in NUMBERS for line in _lines(results, name)]
    own = _row(results, "generated", OWN, None)
    if own is not None:
        lines.append((quantity(OWN).title, "", "", _said(own)))
    return [*_advantages(results), *lines]


def _lines(results: RunResults, name: str) -> Iterator[Line]:
    rows = [row for row in results.rows if row.measurement == name and row.at is None]
    times = dict.fromkeys(row.t for row in rows if row.split in ("train", "test"))
    for t in times:
        splits = (_row(results, split, name, t) for split in ("train", "test", "generated"))
        train, test, own = ("" if row is None else _said(row) for row in splits)
        yield f"{_titled(name)}{_when(t) if name in TIMED else ''}", train, test, own


def _advantages(results: RunResults) -> Iterator[Line]:
    for t in results.times():
        train, test = (results.outcomes(s, t).rate_per_sequence() for s in ("train", "test"))
        found = words.with_interval(advantage(train, test), words.decimal)
        yield f"basin advantage{_when(t)}", found, "", ""


def _titled(name: str) -> str:
    unit = quantity(name).unit.name
    title = quantity(name).title
    return title if "nats" not in unit or "nats" in title else f"{title}, {unit}"


def _when(t: float | None) -> str:
    return "" if t is None else f", t = {t:g}"


def _row(results: RunResults, split: str, name: str, t: float | None) -> Row | None:
    wanted = (split, name, t, None)
    rows = (r for r in results.rows if (r.split, r.measurement, r.t, r.at) == wanted)
    return next(rows, None)


def _said(row: Row) -> str:
    form: Callable[[float], str] = words.form(quantity(row.measurement).unit)
    return words.with_interval(Estimate(row.value, row.low, row.high), form)

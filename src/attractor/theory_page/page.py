"""The page of `attractor theory`: one self-contained file, its sentences computed from the
numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from attractor.machine.files import write_atomically
from attractor.report import words
from attractor.report.curves import Line
from attractor.report.template import fill
from attractor.results.estimate import Estimate
from attractor.theory_page.charts import all_figures
from attractor.theory_page.story import same_story
from attractor.theory_page.view import Theory

FILE, NUMBERS, PICTURE = "theory.html", "theory.json", "why-basins.svg"


def headline(theory: Theory) -> str:
    """Compare the basins of pseudo-likelihood and of Hebb's rule, at the load where the former are
    ahead most."""
    ours, hebb = (
        {x: y.value for x, y in _line(theory.radius, name).points}
        for name in ("pseudo-likelihood", "Hebb")
    )
    load = max(ours, key=lambda x: ours[x] - hebb[x])
    if ours[load] <= hebb[load]:
        return (
            "At these loads pseudo-likelihood's basins are no larger than Hebb's: "
            f"{ours[load]:.0%} at load {load:g}."
        )
    return (
        f"Basins need no energy: at load {load:g} a network trained on conditional likelihood "
        f"returns from {ours[load]:.0%} of its spins flipped, Hebb's from {hebb[load]:.0%}."
    )


def standfirst(theory: Theory) -> list[str]:
    """Say what the random-features model and the controls show."""
    train, test = (
        next(line for line in theory.manifold if line.split == split) for split in ("train", "test")
    )
    first, last = train.points[0][0], train.points[-1][0]

    def pair(i: int) -> str:
        a, b = (words.decimal(line.points[i][1].value) for line in (train, test))
        return f"{a} on training and {b} on unseen patterns"

    said = [
        f"When patterns share features, the overlap after retrieval is {pair(0)} at {first:g} "
        f"patterns per feature, and {pair(-1)} at {last:g}."
    ]
    memory, rest = (
        [line for line in theory.recovery if line.name == name]
        for name in ("memorizer", "generalizer")
    )
    parts = [
        f"{lines[0].name} {words.percent(lines[0].points[0][1].value)} of training and "
        f"{words.percent(lines[1].points[0][1].value)} of unseen tokens"
        for lines in (memory, rest)
    ]
    n = memory[0].points[0][0]
    said.append(
        f"The exact controls under the same probe, at n = {words.count(n)}: the {parts[0]}, the "
        f"{parts[1]}."
    )
    unseen = next((line.points for line in theory.distance if line.split == "test"), ())
    if unseen:
        steps = [
            f"{words.nats(y.value)} at n = {words.count(x)}" for x, y in (unseen[0], unseen[-1])
        ]
        said.append(
            "KL of a network trained between the two from the source, nats per token of unseen "
            f"sequences: {steps[0]}, {steps[1]}."
        )
    return said


def _line(lines: Iterable[Line], name: str) -> Line:
    return next(line for line in lines if line.name == name)


class Cell(NamedTuple):
    """A number of the table and its interval.

    An interval whose ends look alike in the digits shown is left out.
    """

    value: str
    interval: str


def _cell(e: Estimate | None, form: Callable[[float], str]) -> Cell:
    if e is None:
        return Cell("", "")
    low, high = ("", "") if e.interval is None else map(form, e.interval)
    return Cell(form(e.value), "" if low == high else f"{low} to {high}")


def _fine_percent(x: float) -> str:
    return f"{100 * x:.2f}%"


def render(theory: Theory) -> str:
    """Return the page as text."""
    rows = [
        (
            f"{r.load:g}",
            r.rule,
            (
                _cell(r.radius, words.percent),
                _cell(r.floor, _fine_percent),
                _cell(r.stable, words.percent),
                _cell(r.fixed, words.percent),
                _cell(r.lowest_margin, words.decimal),
                _cell(r.asymmetry, words.nats),
            ),
        )
        for r in theory.numbers
    ]
    return fill(
        "theory.html.j2",
        headline=headline(theory),
        standfirst=standfirst(theory),
        figures=all_figures(theory),
        rows=rows,
        facts=theory.facts,
        outcomes={},
    )


def write_page(theory: Theory, out: Path) -> Path:
    """Write the page and its numbers into a directory, which is made if need be.

    The picture of both transitions, `why-basins.svg`, is written too where there is a network.

    Returns:
        the path of the page.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = [line for line in theory.recovery if line.name == "network"]
    if network:
        spins = [line for line in theory.manifold if line.split != "features"]
        write_atomically(out / PICTURE, same_story(spins, network))
    write_atomically(out / NUMBERS, json.dumps(_plain(theory), indent=1))
    write_atomically(out / FILE, render(theory))
    return out / FILE


def _plain(content: Any) -> Any:
    """Content as JSON can hold it; an estimate is [value, low, high]."""
    if isinstance(content, Estimate):
        return content[:3]
    if isinstance(content, tuple):
        return [_plain(part) for part in content]
    if dataclasses.is_dataclass(content):
        return {f.name: _plain(getattr(content, f.name)) for f in dataclasses.fields(content)}
    return content

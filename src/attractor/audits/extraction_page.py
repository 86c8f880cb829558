"""The page of `attractor extract`: what came back, from how little, beside unseen text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attractor.audits.attack import REPEATED, TRAIN, UNSEEN
from attractor.audits.brought import BroughtBack, Tried, tried_of
from attractor.audits.extracted import Found
from attractor.report import words
from attractor.report.tables import Table
from attractor.report.template import fill
from attractor.report.words import with_interval
from attractor.results.geometries import SPANS

SHOWN = 30
"""Passages on the page at most."""
GIVEN = {
    "prefix": "the beginning",
    "suffix": "the end",
    "edge": "both ends",
    "middle": "the middle",
    "random": "random places",
    SPANS: "all but the span",
}
LOWER = (
    "What is found is a lower bound: a coarse number of reverse steps brings back less than a fine "
    "one, and more falls, another temperature or another part of the row may bring back more."
)


def least(passages: Sequence[BroughtBack]) -> list[str]:
    """The least that brought one back, in a sentence; none where nothing came back."""
    return [
        f"The least that was enough are {words.count(p.given)} of {words.count(p.length)} tokens, "
        f"{GIVEN[p.geometry]}."
        for p in passages[:1]
    ]


def standfirst(found: Found) -> list[str]:
    """What stands beside it, in sentences."""
    said = least(found.passages)
    if found.named:
        none = f"; {len(found.missing)} named ones stand neither in a row nor across two"
        missing = none if found.missing else ""
        said.append(
            f"Of {words.count(found.named)} places of named spans {words.count(len(found.spans))} "
            f"came back{missing}."
        )
    said.append(beside(found.tried))
    return [*said, LOWER]


def beside(tried: Sequence[Tried]) -> str:
    """The part that brought back most beyond unseen text."""
    there = [each for each in tried if each.excess is not None and each.geometry != SPANS]
    if not there:
        return (
            "No unseen text stands beside it, so that what is known by heart cannot be told from "
            "what anyone would guess: give --test."
        )
    best = max(there, key=lambda each: each.excess.ends()[0] if each.excess else -math.inf)
    train, unseen = (with_interval(best.ever[kind], words.percent) for kind in (TRAIN, UNSEEN))
    return (
        f"From {_given(best)} of a row, {train} of the training passages came back within their "
        f"falls, and {unseen} of the unseen ones."
    )


def _given(each: Tried) -> str:
    """Which part of a row was given."""
    return GIVEN[each.geometry] + ("" if each.given is None else f", {each.given:.0%}")


def tried_table(tried: Sequence[Tried], falls: int) -> Table:
    """Every part of the rows on every grid."""
    repeated = any(REPEATED in each.ever for each in tried)
    control = any(UNSEEN in each.ever for each in tried)
    rows = tried_of(tried)
    of = f"{words.count(rows[TRAIN])} training rows"
    of += f" and {words.count(rows[UNSEEN])} unseen ones" if control else ""
    # What unseen rows give stands right beside what training rows give.
    head = ["given", "steps", f"training, {falls} falls"]
    head += [f"unseen, {falls} falls", "beyond unseen"] * control
    head += [f"repeated, {falls} falls"] * repeated
    head += ["training, one fall", *["unseen, one fall"] * control]
    return Table(
        "targeted",
        "Which training passages come back, from how little",
        "The given tokens stay, the others start from nothing but noise, and every one of them "
        f"must come back. Each of {of} is tried in {falls} independent falls: the share of the "
        "falls that brought a row back, and of the rows that came back in any. Unseen rows are "
        f"what easy text gives. {LOWER}",
        tuple(head),
        [_cells(each, repeated, control) for each in tried],
    )


def _cells(each: Tried, repeated: bool, control: bool) -> tuple[str, ...]:
    def once(kind: str) -> str:
        return with_interval(each.once[kind], words.percent) if kind in each.once else ""

    def ever(kind: str) -> str:
        return with_interval(each.ever[kind], words.percent) if kind in each.ever else ""

    cells = [_given(each), words.count(each.steps), ever(TRAIN)]
    excess = "" if each.excess is None else with_interval(each.excess, words.percent)
    cells += [ever(UNSEEN), excess] if control else []
    cells += [ever(REPEATED)] * repeated
    cells += [once(TRAIN), *[once(UNSEEN)] * control]
    return tuple(cells)


def needed(p: BroughtBack) -> str:
    """In how many falls a passage comes back."""
    low, high = p.needed.ends()
    to = words.count(high) if math.isfinite(high) else "any number"
    return f"{words.count(p.needed.value)} ({words.count(low)} to {to})"


def render(found: Found) -> str:
    """Return the page as text."""
    return fill(
        "extraction.html.j2",
        found=found,
        headline=found.headline,
        standfirst=standfirst(found),
        table_=tried_table(found.tried, found.attack.falls),
        passages=found.passages[:SHOWN],
        spans=found.spans[:SHOWN],
        given=GIVEN,
        needed=needed,
        outcomes={},
    )

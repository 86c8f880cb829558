"""Models whose answer is known, drawn at the edges of the recovery figure: the exact memorizer on
the left, where training sets are small, an exact generalizer on the right."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, log10

import plotly.graph_objects as go

from attractor.report import words
from attractor.report.figures import MUTED, RULE, Style, polyline, ribbon, style, tag
from attractor.report.view import Measured, Report

LEFT, RIGHT = "memorizer", "generalizer"
GUTTER = 0.1
"""Width of the strip at either edge, as a share of the range of log n."""


def draw_known(figure: go.Figure, report: Report) -> bool:
    """Draw the recovery of these models in strips of their own; without them nothing changes.

    Returns:
        whether there are any.
    """
    found = {name: _measured(report, name) for name in (LEFT, RIGHT)}
    if not any(found.values()):
        return False
    low, high = (10**end for end in figure.layout.xaxis.range)
    reach = GUTTER * log(high / low)
    edges = {LEFT: low if found[LEFT] else None, RIGHT: high if found[RIGHT] else None}
    for name, edge in edges.items():
        if edge is None:
            continue
        outward = reach if name == RIGHT else -reach
        _strip(figure, name, found[name], report, edge, outward)
        low, high = min(low, edge * exp(outward)), max(high, edge * exp(outward))
    figure.update_xaxes(range=[log10(low), log10(high)])
    return True


def _measured(report: Report, name: str) -> list[Measured]:
    return [
        row
        for control, row in report.controls
        if (control, row.measurement) == (name, "recovery_rate")
        and row.split in ("train", "test")
        and row.t in report.times
    ]


def _strip(
    figure: go.Figure,
    name: str,
    rows: list[Measured],
    report: Report,
    edge: float,
    outward: float,
) -> None:
    """One strip: a line at its inner edge, a point and its interval for each number, its name."""
    rule = {"color": RULE, "width": 1}
    figure.add_shape(type="line", x0=edge, x1=edge, y0=0, y1=1, line=rule, layer="below")
    for row in rows:
        look = style(row.split, report.times.index(row.t or 0.0))
        # Side by side, since an exact generalizer treats both kinds of text alike.
        place = 0.3 if row.split == "train" else 0.7
        _point(figure, row, look, edge * exp(outward * place), f"exact {name}")
    figure.add_annotation(
        x=log10(edge * exp(outward / 2)),
        y=_roomiest([row.estimate.value for row in rows]),
        text=f"exact {name}",
        textangle=-90,
        showarrow=False,
        font={"color": MUTED, "size": 12},
    )


def _point(figure: go.Figure, row: Measured, look: Style, x: float, name: str) -> None:
    tags = [tag(row.t), row.split]
    said = (
        f"<b>{name}</b><br>{words.name(row.split)}, t = {words.time(row.t or 0.0)}<br>recovery "
        f"{words.with_interval(row.estimate, words.percent)}"
    )
    ends = row.estimate.interval
    bar = None if ends is None else ribbon([(x, *ends)], look, tags)
    figure.add_traces([] if bar is None else [bar])
    figure.add_trace(polyline([(x, row.estimate.value)], [said], look, tags, 8))


def _roomiest(values: list[float]) -> float:
    """The middle of the widest gap that values leave between 0 and 1."""
    ends = [0.0, *sorted(values), 1.0]
    gap, low = max((b - a, a) for a, b in pairwise(ends))
    return low + gap / 2

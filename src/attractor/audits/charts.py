"""One model placed on the reference curves."""

from __future__ import annotations

import plotly.graph_objects as go

from attractor.analysis.advantage import HALF
from attractor.audits.reference import CURVES, Reference
from attractor.audits.thresholds import TENTH
from attractor.report import words
from attractor.report.axes import canvas
from attractor.report.curves import Line, draw_lines
from attractor.report.figures import (
    GENERATED,
    INK,
    MUTED,
    Figure,
    Key,
    Panel,
    Style,
    faint,
    finish,
)
from attractor.results.estimate import Estimate

OWN = Style(GENERATED, "solid", None, 2.4)
CURVE = Style(INK, "solid", "circle")
ZONE = Style(MUTED, "bar", None)


def reference_figure(reference: Reference, numbers: dict[str, Estimate]) -> Figure:
    """A panel for each curve, with the model as a level across it."""
    return Figure(
        id="reference",
        title="Where the model stands",
        read="The curves are models of a known sweep, from memorizing at the left to generalizing "
        "at the right; the transition between them is shaded. The horizontal line is the audited "
        "model.",
        assumed="Bands: 95% intervals over sequences. The transition is where the basin advantage "
        f"of training text falls from {HALF:g} to {TENTH:g}.",
        keys=(
            Key(tag="own", label="this model", style=OWN),
            Key(tag="curve", label="reference models", style=CURVE),
            Key(tag="zone", label="transition of the reference", style=ZONE),
        ),
        panels=tuple(_panel(reference, name, numbers[name]) for name in CURVES),
    )


def _panel(reference: Reference, name: str, own: Estimate) -> Panel:
    """One number of the reference models against n. The n of the audited model is not known (it is
    what the figure asks), so the model is a level line: it crosses the curve where it stands."""
    sizes = [point.n_train for point in reference.points]
    form = words.nats if name == "entropy" else words.percent
    figure = canvas(sizes, "entropy, nats per token" if name == "entropy" else CURVES[name])
    shown = [*(point.numbers[name] for point in reference.points), own]
    highest = max(e.ends()[1] for e in shown)
    top = highest * 1.1 if name == "entropy" else min(1.0, highest * 1.25)
    figure.add_trace(_zone(reference, top))
    points = tuple((float(p.n_train), p.numbers[name]) for p in reference.points)
    line = Line(name="curve", points=points)
    draw_lines(figure, [line], lambda _: CURVE, lambda _: "reference", form)
    # From edge to edge of the canvas.
    left, right = min(sizes) / 1.35, max(sizes) * 1.35
    figure.add_traces(_level(own, left, right))
    figure.update_yaxes(
        range=[-0.02 * top, top * 1.02], tickformat=None if name == "entropy" else ".0%"
    )
    first, last = (f"{form(points[i][1].value)} at n = {words.count(sizes[i])}" for i in (0, -1))
    label = f"{CURVES[name]}: this model {form(own.value)}, the reference models {first} to {last}."
    return Panel(id=f"reference-{name}", label=label, spec=finish(figure))


def _zone(reference: Reference, top: float) -> go.Scatter:
    left, right = reference.place(HALF), reference.place(TENTH)
    return go.Scatter(
        x=[left, right, right, left],
        y=[0, 0, top, top],
        fill="toself",
        fillcolor=faint(MUTED),
        mode="lines",
        line={"width": 0, "color": MUTED},
        hoverinfo="skip",
        meta={"tags": ["zone"]},
    )


def _level(own: Estimate, left: float, right: float) -> list[go.Scatter]:
    tags, paint = {"tags": ["own"]}, OWN.colour
    low, high = own.ends()
    return [
        go.Scatter(
            x=[left, right, right, left],
            y=[low, low, high, high],
            fill="toself",
            mode="lines",
            fillcolor=faint(paint, 0.2),
            line={"width": 0, "color": paint},
            hoverinfo="skip",
            meta=tags,
        ),
        go.Scatter(
            x=[left, right],
            y=[own.value] * 2,
            mode="lines",
            line={"color": paint, "width": OWN.width},
            hoverinfo="skip",
            meta=tags,
        ),
    ]

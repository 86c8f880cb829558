"""The visual language of every report, and the figures drawn in it.

Training text is solid with filled markers, unseen text dashed with open markers, random tokens
dotted. A colour and a marker shape stand for one time t; what does not depend on t is drawn in ink.
A band is a 95% interval. All colours are from Okabe and Ito's palette. Figures are complete for
light paper; `DARK` maps their colours to a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, NamedTuple

import plotly.graph_objects as go

from attractor.report import words
from attractor.report.view import Curve
from attractor.results.estimate import Estimate

INK, MUTED, RULE, PAPER = "#1b1e23", "#6a707a", "#e4e2dc", "#fbfaf7"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7")
GENERATED = PALETTE[5]
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down")
DASHES = {
    "train": "solid",
    "test": "7px,4px",
    "generated": "10px,3px,2px,3px",
    "random": "1.5px,3.5px",
}
FONT = (
    'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, '
    "sans-serif"
)


def faint(colour: str, opacity: float = 0.13) -> str:
    """Return the colour of the band that belongs to a line."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{opacity})"


_DARK = {INK: "#eceae5", MUTED: "#a0a5ae", RULE: "#33363c", PAPER: "#17191c", PALETTE[0]: "#3d9bdb"}
DARK = _DARK | {faint(light): faint(dark, 0.2) for light, dark in _DARK.items()}


class Style(NamedTuple):
    """How one curve is drawn."""

    colour: str
    dash: str
    symbol: str | None
    width: float = 2.2


@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend: pressing it hides what carries its tag."""

    tag: str
    label: str
    style: Style


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot; `label` is what a screen reader says."""

    id: str
    label: str
    spec: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One or two plots under one title, how to read them, and what was assumed."""

    id: str
    title: str
    read: str
    assumed: str
    keys: tuple[Key, ...]
    panels: tuple[Panel, ...]


def colour(index: int) -> str:
    """Return the colour of the index-th time."""
    return PALETTE[index % len(PALETTE)]


def style(split: str, index: int | None = None) -> Style:
    """Return the style of one kind of text at the index-th time, None for what does not depend on
    t."""
    own = {"generated": GENERATED, "random": MUTED}.get(split, INK)
    paint = own if index is None else colour(index)
    if split == "random":
        return Style(paint, DASHES[split], None, 1.4)
    symbol = SYMBOLS[(index or 0) % len(SYMBOLS)] if split != "generated" else "diamond"
    return Style(paint, DASHES[split], symbol if split == "train" else f"{symbol}-open")


def tag(t: float | None) -> str:
    """Return the tag that all traces of one time carry."""
    return "t" if t is None else f"t{t:g}"


class Ticks(NamedTuple):
    """Major ticks with their labels, and minor ones without."""

    values: list[float]
    labels: list[str]
    minor: list[float]


def log_ticks(lo: float, hi: float, least: int = 3) -> Ticks:
    """Return decades, or the 1-2-5 series where fewer than `least` decades are in sight."""
    decades = range(floor(log10(lo)) - 1, ceil(log10(hi)) + 1)
    inside = [m * 10.0**d for d in decades for m in range(1, 10) if lo <= m * 10.0**d <= hi]
    for leading in ("1", "125", "123456789"):
        major = [x for x in inside if f"{x:e}"[0] in leading]
        if len(major) >= least:
            break
    if len(major) < 2:
        # Less than a factor of two is in sight: equal steps serve better.
        step = next(
            m * 10.0**d
            for d in range(floor(log10(hi - lo)) - 1, 99)
            for m in (1, 2, 5)
            if m * 10.0**d * 5 > hi - lo
        )
        major = [k * step for k in range(ceil(lo / step), floor(hi / step) + 1)]
    return Ticks(
        major,
        [f"{x:,.0f}" if x >= 1000 else f"{x:g}" for x in major],
        [x for x in inside if x not in major],
    )


def log_axis(curves: Iterable[Curve]) -> dict[str, Any]:
    """Return a logarithmic axis that holds the curves with their intervals and seeds."""
    values = [x for c in curves for p in c.points for x in (*p.mean[:3], *p.seeds) if x is not None]
    lo, hi = min(values) / 1.15, max(values) * 1.15
    ticks = log_ticks(lo, hi)
    return {
        "type": "log",
        "range": [log10(lo), log10(hi)],
        "tickvals": ticks.values,
        "ticktext": ticks.labels,
    }


QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def share_axis(top: float = 1.0, ticks: Sequence[float] = QUARTERS) -> dict[str, Any]:
    """Return an axis of shares, in per cent; what is above the last tick is room for labels."""
    margin = 0.02 * ticks[-1]
    return {
        "range": [-margin, top + margin],
        "tickvals": list(ticks),
        "ticktext": [f"{100 * x:.0f}%" for x in ticks],
    }


TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "hoverdistance": 24,
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "hoverlabel": {
            "bgcolor": PAPER,
            "bordercolor": RULE,
            "align": "left",
            "font": {"color": INK, "family": FONT},
        },
        "title": {
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 0.99,
            "yref": "container",
            "yanchor": "top",
        },
        "xaxis": {
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "tickangle": 0,
        },
        "yaxis": {
            "automargin": True,
            "fixedrange": True,
            "gridcolor": RULE,
            "zeroline": False,
            "ticklabelstandoff": 6,
        },
    }
)


def plane(x_title: str, y_title: str, x_range: tuple[float, float], log: bool) -> go.Figure:
    """Return an empty figure over a range of x."""
    small = {"size": 12.5, "color": MUTED}
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": y_title, "font": small}})
    figure.update_xaxes(
        ticks="outside", ticklen=6, tickcolor=MUTED, linecolor=MUTED, showline=True,
        title={"text": x_title, "font": small, "standoff": 10},
    )  # fmt: skip
    lo, hi = x_range
    if not log:
        return figure.update_xaxes(range=[lo, hi])
    ticks = log_ticks(lo, hi)
    minor = {"tickvals": ticks.minor, "ticks": "outside", "ticklen": 3, "tickcolor": MUTED}
    return figure.update_xaxes(
        type="log",
        range=[log10(lo), log10(hi)],
        tickvals=ticks.values,
        ticktext=ticks.labels,
        minor=minor,
    )


def canvas(
    sizes: Sequence[float], y_title: str, x_title: str = "training sequences n (log scale)"
) -> go.Figure:
    """Return an empty figure over training-set sizes."""
    return plane(x_title, y_title, (min(sizes) / 1.35, max(sizes) * 1.35), log=True)


def ribbon(
    ends: Sequence[tuple[float, float, float]], style: Style, tags: Iterable[str]
) -> go.Scatter | None:
    """Return the area between (x, low, high), a bar where there is a single x, None where there is
    none."""
    if not ends:
        return None
    x, lo, hi = (list(column) for column in zip(*ends, strict=True))
    if len(ends) == 1:
        # A band over a single x has no width: draw a bar.
        bar = {"color": style.colour, "width": 1.5}
        return go.Scatter(
            x=x * 2, y=lo + hi, mode="lines", line=bar, hoverinfo="skip", meta={"tags": list(tags)}
        )
    return go.Scatter(
        x=x + x[::-1], y=hi + lo[::-1], fill="toself", fillcolor=faint(style.colour), mode="lines",
        line={"width": 0, "color": style.colour}, hoverinfo="skip", meta={"tags": list(tags)},
    )  # fmt: skip


def plain_canvas(y_title: str, x_title: str) -> go.Figure:
    """Return an empty figure over [0, 1]."""
    small = {"size": 12.5, "color": MUTED}
    line = {
        "ticks": "outside",
        "ticklen": 6,
        "tickcolor": MUTED,
        "linecolor": MUTED,
        "showline": True,
    }
    title = {"title": {"text": x_title, "font": small, "standoff": 10}}
    return go.Figure(
        layout={"template": TEMPLATE, "title": {"text": y_title, "font": small}}
    ).update_xaxes(range=[-0.03, 1.03], tickvals=list(QUARTERS), **line, **title)


def band(curve: Curve, style: Style, tags: Iterable[str]) -> go.Scatter | None:
    """Return the interval of a curve, None where no interval is recorded."""
    means = [(p.n_train, p.mean) for p in curve.points]
    ends = [(n, *y.interval) for n, y in means if y.interval is not None]
    return ribbon(ends, style, tags)


def marker(style: Style, size: float) -> dict[str, Any]:
    """Return a marker; a hollow one is filled with the paper, so that no line runs through it."""
    symbol = style.symbol or "circle"
    fill = PAPER if symbol.endswith("-open") else style.colour
    outline = {"width": 1.8, "color": style.colour}
    return {"symbol": symbol.removesuffix("-open"), "color": fill, "size": size, "line": outline}


def line(
    curve: Curve, style: Style, tags: Iterable[str], form: Callable[[float], str], what: str,
    place: str = "n = {}"
) -> go.Scatter:  # fmt: skip
    """Return the mean curve, with what a pointer shows at each point; `place` says what the x of a
    point is."""
    name = words.name(curve.split) + ("" if curve.t is None else f", t = {words.time(curve.t)}")
    text = [
        f"<b>{name}</b><br>{place.format(words.place(p.n_train))}<br>{what} "
        f"{words.with_interval(p.mean, form)}"
        for p in curve.points
    ]
    places = [(p.n_train, p.mean.value) for p in curve.points]
    return polyline(places, text, style, tags, 8 if len(places) <= 15 else 5)


def polyline(
    places: Sequence[tuple[float, float]], text: list[str], style: Style, tags: Iterable[str],
    size: float,
) -> go.Scatter:  # fmt: skip
    """Return a line through places, each with the text that a pointer shows and a marker of a
    size."""
    return go.Scatter(
        x=[x for x, _ in places], y=[y for _, y in places], text=text,
        hovertemplate="%{text}<extra></extra>", mode="lines+markers" if style.symbol else "lines",
        line={"color": style.colour, "width": style.width, "dash": style.dash},
        marker=marker(style, size), meta={"tags": list(tags)}, cliponaxis=False,
    )  # fmt: skip


def dots(curve: Curve, style: Style, tags: Iterable[str]) -> go.Scatter:
    """Return each seed's own value, small."""
    pairs = [(p.n_train, value) for p in curve.points for value in p.seeds]
    return go.Scatter(
        x=[n for n, _ in pairs], y=[value for _, value in pairs], mode="markers", hoverinfo="skip",
        cliponaxis=False,
        marker={"color": style.colour, "size": 3.5, "opacity": 0.75}, meta={"tags": [*tags,
        "seeds"]},
    )  # fmt: skip


def draw(
    figure: go.Figure,
    curves: Iterable[Curve],
    styles: Callable[[Curve], Style],
    form: Callable[[float], str],
    what: str,
) -> None:
    """Draw curves: bands at the back, then seeds, then lines."""
    layers: tuple[list[go.Scatter], ...] = ([], [], [])
    for curve in curves:
        look, tags = styles(curve), [tag(curve.t), curve.split]
        if curve.split != "random" or curve.t is None:
            layers[0].extend(filter(None, [band(curve, look, tags)]))
            if any(len(p.seeds) > 1 for p in curve.points):
                layers[1].append(dots(curve, look, tags))
        layers[2].append(line(curve, look, tags, form, what))
    figure.add_traces([trace for layer in layers for trace in layer])


def legend(times: Sequence[float], curves: Iterable[Curve], star: bool = False) -> tuple[Key, ...]:
    """Return the legend of curves against n: one entry a time, one a kind of text, then the
    transition and the seeds."""
    curves = list(curves)
    keys = []
    for i, t in enumerate(times):
        if any(curve.t == t for curve in curves):
            look = style("train", i)._replace(dash="none")
            keys.append(Key(tag=tag(t), label=f"t = {words.time(t)}", style=look))
    timed = bool(keys)
    for split in dict.fromkeys(curve.split for curve in curves):
        look = style(split)._replace(colour=INK) if timed else style(split)
        keys.append(Key(tag=split, label=words.NAMES[split], style=look))
    if star:
        keys.append(Key(tag="star", label="n* and its interval", style=Style(MUTED, "bar", None)))
    if any(len(point.seeds) > 1 for curve in curves for point in curve.points):
        keys.append(Key(tag="seeds", label="single seeds", style=Style(MUTED, "none", "dot")))
    return tuple(keys)


def roomy_right(n_stars: Sequence[Estimate], sizes: Sequence[float]) -> bool:
    """Whether there is more room for labels on the right of these n* than on their left."""
    return n_stars[0].value * n_stars[-1].value < min(sizes) * max(sizes)


def star_marks(
    n_star: Estimate, t: float | None, paint: str, top: float, label: str, right: bool
) -> list[go.Scatter]:
    """Return a vertical line at n*, its shaded interval up to `top`, and a label on its right or
    left."""
    n = n_star.value
    tags = {"tags": [tag(t), "star"]}
    side = "middle right" if right else "middle left"
    # Two spaces keep the text off the line.
    text = f"  {label}" if right else f"{label}  "
    rule = {"mode": "lines", "hoverinfo": "skip", "meta": tags}
    marks = [go.Scatter(x=[n, n], y=[0, top], line={"color": paint, "width": 1.3}, **rule)]
    if n_star.interval is not None:
        lo, hi = n_star.interval
        shade = {"fill": "toself", "fillcolor": faint(paint), "line": {"width": 0, "color": paint}}
        marks.insert(0, go.Scatter(x=[lo, hi, hi, lo], y=[0, 0, top, top], **shade, **rule))
    marks.append(go.Scatter(x=[n], y=[top], mode="text", text=[text], textposition=side,
    hoverinfo="skip",
                            textfont={"color": INK, "size": 12.5}, meta=tags))  # fmt: skip
    return marks


def finish(figure: go.Figure) -> dict[str, Any]:
    """Return the figure as plain data."""
    spec: dict[str, Any] = figure.to_plotly_json()
    return spec

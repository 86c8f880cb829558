"""The visual language of every report, and the lines, bands and marks that are drawn in it.

Training text is solid with filled markers, unseen text dashed with open markers, random tokens
dotted. A colour and a marker shape stand for one time t; what does not depend on t is drawn in ink.
A band is a 95% interval. All colours are from Okabe and Ito's palette. Figures are complete for
light paper; `DARK` maps their colours to a dark page.

What is drawn carries tags: its time, its kind of text, and what else a legend names. Pressing an
entry of the legend hides what carries its tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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


# Of the palette only the blue is too dark to be read on a dark page. Bands are part of the map
# because the page swaps whole colour strings, and the string of a band holds its opacity too.
_DARK = {INK: "#eceae5", MUTED: "#a0a5ae", RULE: "#33363c", PAPER: "#17191c", PALETTE[0]: "#3d9bdb"}
DARK = _DARK | {faint(light): faint(dark, 0.2) for light, dark in _DARK.items()}


class Style(NamedTuple):
    """How one curve is drawn. `symbol` is None for a line without markers."""

    colour: str
    dash: str
    symbol: str | None
    width: float = 2.2


@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend; pressing it hides whatever carries its tag."""

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
    """Return the style of one kind of text at the index-th time.

    Without an index it is the style of what does not depend on t.
    """
    own = {"generated": GENERATED, "random": MUTED}.get(split, INK)
    paint = own if index is None else colour(index)
    if split == "random":
        return Style(paint, DASHES[split], None, 1.4)
    symbol = "diamond" if split == "generated" else SYMBOLS[(index or 0) % len(SYMBOLS)]
    return Style(paint, DASHES[split], symbol if split == "train" else f"{symbol}-open")


def tag(t: float | None) -> str:
    """Return the tag that all traces of one time carry."""
    return "t" if t is None else f"t{t:g}"


def ribbon(
    ends: Sequence[tuple[float, float, float]], style: Style, tags: Iterable[str]
) -> go.Scatter | None:
    """Return the area between the ends (x, low, high), or None where there are no ends.

    The area over a single x would have no width and could not be seen; it becomes a bar.
    """
    if not ends:
        return None
    x, lo, hi = (list(column) for column in zip(*ends, strict=True))
    if len(ends) == 1:
        bar = {"color": style.colour, "width": 1.5}
        return go.Scatter(
            x=x * 2, y=lo + hi, mode="lines", line=bar, hoverinfo="skip", meta={"tags": list(tags)}
        )
    # Along the upper ends and back along the lower ones.
    return go.Scatter(
        x=x + x[::-1],
        y=hi + lo[::-1],
        fill="toself",
        fillcolor=faint(style.colour),
        mode="lines",
        line={"width": 0, "color": style.colour},
        hoverinfo="skip",
        meta={"tags": list(tags)},
    )


def band(curve: Curve, style: Style, tags: Iterable[str]) -> go.Scatter | None:
    """Return the interval of a curve, None where no interval is recorded."""
    means = [(p.n_train, p.mean) for p in curve.points]
    ends = [(n, *y.interval) for n, y in means if y.interval is not None]
    return ribbon(ends, style, tags)


def marker(style: Style, size: float) -> dict[str, Any]:
    """Return a marker.

    An open one is not plotly's: that is transparent, and the curve would run through it. It is a
    filled one in the colour of the paper.
    """
    symbol = style.symbol or "circle"
    fill = PAPER if symbol.endswith("-open") else style.colour
    outline = {"width": 1.8, "color": style.colour}
    return {"symbol": symbol.removesuffix("-open"), "color": fill, "size": size, "line": outline}


def line(
    curve: Curve,
    style: Style,
    tags: Iterable[str],
    form: Callable[[float], str],
    what: str,
    place: str = "n = {}",
) -> go.Scatter:
    """Return the line through the means, with the text that a pointer shows at each point.

    Args:
        curve: what is drawn.
        style: how.
        tags: by which the legend hides it.
        form: writes a value.
        what: the name of the value.
        place: what the x of a point is; the braces stand for x.
    """
    name = words.name(curve.split) + ("" if curve.t is None else f", t = {words.time(curve.t)}")
    text = [
        f"<b>{name}</b><br>{place.format(words.place(p.n_train))}<br>{what} "
        f"{words.with_interval(p.mean, form)}"
        for p in curve.points
    ]
    places = [(p.n_train, p.mean.value) for p in curve.points]
    # Many large markers would hide the dashes, which tell the kinds of text apart.
    size = 8 if len(places) <= 15 else 5
    return polyline(places, text, style, tags, size)


def polyline(
    places: Sequence[tuple[float, float]],
    text: list[str],
    style: Style,
    tags: Iterable[str],
    size: float,
) -> go.Scatter:
    """Return a line through places (x, y), each with a marker and the text that a pointer shows."""
    # Markers at the edge of a plot are drawn whole, though half of them lies outside.
    return go.Scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
        text=text,
        hovertemplate="%{text}<extra></extra>",
        mode="lines+markers" if style.symbol else "lines",
        line={"color": style.colour, "width": style.width, "dash": style.dash},
        marker=marker(style, size),
        meta={"tags": list(tags)},
        cliponaxis=False,
    )


def dots(curve: Curve, style: Style, tags: Iterable[str]) -> go.Scatter:
    """Return each seed's own value, small."""
    pairs = [(p.n_train, value) for p in curve.points for value in p.seeds]
    return go.Scatter(
        x=[n for n, _ in pairs],
        y=[value for _, value in pairs],
        mode="markers",
        hoverinfo="skip",
        cliponaxis=False,
        marker={"color": style.colour, "size": 3.5, "opacity": 0.75},
        meta={"tags": [*tags, "seeds"]},
    )


def draw(
    figure: go.Figure,
    curves: Iterable[Curve],
    styles: Callable[[Curve], Style],
    form: Callable[[float], str],
    what: str,
) -> None:
    """Draw curves, each with its band and the values of its seeds.

    What is added later lies on top: bands are at the back, so that no band tints the line of
    another curve, then the seeds, then all lines.
    """
    bands, seeds, lines = [], [], []
    for curve in curves:
        look, tags = styles(curve), [tag(curve.t), curve.split]
        # Random tokens are there at every t as a floor; their bands would crowd the plot.
        if curve.split != "random" or curve.t is None:
            bands.append(band(curve, look, tags))
            if several_seeds(curve):
                seeds.append(dots(curve, look, tags))
        lines.append(line(curve, look, tags, form, what))
    figure.add_traces([trace for trace in (*bands, *seeds, *lines) if trace is not None])


def several_seeds(curve: Curve) -> bool:
    """Whether there is a spread between training seeds to show."""
    return any(len(point.seeds) > 1 for point in curve.points)


def legend(times: Sequence[float], curves: Iterable[Curve], star: bool = False) -> tuple[Key, ...]:
    """Return the legend of curves against n.

    There is one entry for each time, one for each kind of text, one for the transition where `star`
    asks for it, and one for single seeds where there are several.
    """
    curves = list(curves)
    keys = []
    for i, t in enumerate(times):
        if any(curve.t == t for curve in curves):
            look = style("train", i)._replace(dash="none")
            keys.append(Key(tag=tag(t), label=f"t = {words.time(t)}", style=look))
    # Where colours stand for times, what shows a kind of text is its dash, in ink.
    timed = bool(keys)
    for split in dict.fromkeys(curve.split for curve in curves):
        look = style(split)._replace(colour=INK) if timed else style(split)
        keys.append(Key(tag=split, label=words.NAMES[split], style=look))
    if star:
        keys.append(Key(tag="star", label="n* and its interval", style=Style(MUTED, "bar", None)))
    if any(several_seeds(curve) for curve in curves):
        keys.append(Key(tag="seeds", label="single seeds", style=Style(MUTED, "none", "dot")))
    return tuple(keys)


def roomy_right(n_stars: Sequence[Estimate], sizes: Sequence[float]) -> bool:
    """Whether there is more room for labels on the right of these n*, smallest first, than on their
    left."""
    # On a log axis the middle of two n is the root of their product; here both sides are squared.
    return n_stars[0].value * n_stars[-1].value < min(sizes) * max(sizes)


def star_marks(
    n_star: Estimate, t: float | None, paint: str, top: float, label: str, right: bool
) -> list[go.Scatter]:
    """Return a vertical line at n* up to `top`, its shaded interval, and a label beside its upper
    end."""
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
        # First, so that it lies behind the line.
        marks.insert(0, go.Scatter(x=[lo, hi, hi, lo], y=[0, 0, top, top], **shade, **rule))
    marks.append(
        go.Scatter(
            x=[n],
            y=[top],
            mode="text",
            text=[text],
            textposition=side,
            hoverinfo="skip",
            textfont={"color": INK, "size": 12.5},
            meta=tags,
        )
    )
    return marks


def finish(figure: go.Figure) -> dict[str, Any]:
    """Return the figure as plain data."""
    spec: dict[str, Any] = figure.to_plotly_json()
    return spec

"""Curves on a plane of their own: lines with their intervals, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import plotly.graph_objects as go

from attractor.report import words
from attractor.report.figures import DASHES, INK, Key, Style, polyline, ribbon
from attractor.results.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve against whatever its plane has for x."""

    name: str
    """whose it is, such as a model or a rule"""
    split: str = "train"
    """on which kind of text or pattern: train, test, or what else there is"""
    points: tuple[tuple[float, Estimate], ...]
    """(x, y)"""

    def at(self, x: float) -> Estimate | None:
        """Return the estimate at one x, None where there is none."""
        return next((y for at, y in self.points if at == x), None)

    def ends(self) -> list[tuple[float, float, float]]:
        """Return (x, low, high) wherever there is an interval."""
        return [(x, *y.interval) for x, y in self.points if y.interval is not None]


def stroke(
    line: Line, style: Style, tags: list[str], title: str, form: Callable[[float], str]
) -> go.Scatter:
    """Return one line, with the text that a pointer shows at each point."""
    text = [f"<b>{title}</b><br>{x:g}: {words.with_interval(y, form)}" for x, y in line.points]
    places = [(x, y.value) for x, y in line.points]
    return polyline(places, text, style, tags, 7 if len(places) <= 12 else 5)


def draw_lines(
    figure: go.Figure,
    lines: Iterable[Line],
    styles: Callable[[Line], Style],
    titles: Callable[[Line], str],
    form: Callable[[float], str],
) -> None:
    """Draw lines, all bands at the back, so that none tints the line of another."""
    bands, strokes = [], []
    for line in lines:
        style, tags = styles(line), [name_tag(line.name), name_tag(line.split)]
        bands.append(ribbon(line.ends(), style, tags))
        strokes.append(stroke(line, style, tags, titles(line), form))
    figure.add_traces([trace for trace in (*bands, *strokes) if trace is not None])


def name_tag(name: str) -> str:
    """Return the tag of a name, in characters that are safe in HTML and CSS."""
    return "".join(c if c.isalnum() else "-" for c in name)


def label(
    title: str, lines: Iterable[Line], titles: Callable[[Line], str], form: Callable[[float], str]
) -> str:
    """Say where each curve starts and ends, for whoever cannot see the plot."""
    parts = [
        f"{titles(line)}: {form(line.points[0][1].value)} at {line.points[0][0]:g}, "
        f"{form(line.points[-1][1].value)} at {line.points[-1][0]:g}"
        for line in lines
    ]
    return f"{title}. " + "; ".join(parts) + "."


def span(lines: Iterable[Line], stretch: float = 1.2) -> tuple[float, float]:
    """Return the range of x, a little stretched, for a logarithmic axis."""
    xs = [x for line in lines for x, _ in line.points]
    return min(xs) / stretch, max(xs) * stretch


def name_of(line: Line) -> str:
    """Return whose line it is."""
    return line.name


def name_and_split(line: Line) -> str:
    """Return whose line it is, and on which kind of text."""
    return f"{line.name}, {words.name(line.split)}"


def split_keys(lines: Iterable[Line], names: dict[str, str]) -> list[Key]:
    """Return the legend of the kinds of text or pattern."""
    splits = dict.fromkeys(line.split for line in lines)
    return [
        Key(
            tag=name_tag(s),
            label=names.get(s, s),
            style=Style(INK, DASHES[s], "circle" if s == "train" else "circle-open"),
        )
        for s in splits
    ]

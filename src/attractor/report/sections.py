"""The figures that measurements declare: curves against n, or against an axis of their own for the
smallest and the largest n."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from attractor.measurements import quantity
from attractor.measurements.measurement import Measurement
from attractor.measurements.section import Section, Trace
from attractor.report import words
from attractor.report.axes import canvas, log_axis, plain_canvas, share_axis
from attractor.report.figures import (
    MUTED,
    PALETTE,
    SYMBOLS,
    Figure,
    Key,
    Panel,
    Style,
    band,
    dots,
    finish,
    legend,
    line,
    several_seeds,
    style,
    tag,
)
from attractor.report.view import Curve, Measured, Report, curves, perplexity
from attractor.results.estimate import FEW
from attractor.results.units import PROBABILITY, SHARE

CHANCE = Style(MUTED, "1.5px,3.5px", None, 1.4)
DASHES = ("solid", "7px,4px", "1.5px,3.5px", "10px,3px,2px,3px")
HALF = 0.5
"""Share above which a plot goes from 0 to 100%. Curves that all stay below would be crowded at its
bottom; their plot ends where they do."""


class Drawn(NamedTuple):
    """A curve with its look, and the tags by which a legend hides it."""

    trace: Trace
    curve: Curve
    style: Style
    tags: list[str]


def sections(report: Report, measurement: Measurement) -> list[Figure]:
    """The figures of a measurement for which the sweep holds data."""
    drawn = [
        _profile(report, section) if section.x_title else _against_n(report, section)
        for section in measurement.sections
    ]
    return [figure for figure in drawn if figure is not None]


def _against_n(report: Report, section: Section) -> Figure | None:
    """One panel, or one for each quantity where the section names several."""
    found = _found(report, section, lambda trace: _rows(report, trace, section.every_t))
    panels = []
    for i, (quantities, axis) in enumerate(_panels(section)):
        there = [each for each in found if each.trace.quantity in quantities]
        if there:
            figure = canvas(report.sizes, axis)
            _draw(figure, there, section, "n = {}")
            name = f"{section.id}-{i}-plot" if section.panels else f"{section.id}-plot"
            title = f"{section.title}: {axis}" if section.panels else section.title
            label = _label(title, there, section)
            panels.append(Panel(id=name, label=label, spec=finish(figure)))
    return _figure(section, found, panels, report) if panels else None


def _profile(report: Report, section: Section) -> Figure | None:
    """A panel for the smallest and one for the largest n, or one for each, against the rows' own
    `at`."""
    # Once for a sweep of a single size.
    ends = dict.fromkeys((report.sizes[0], report.sizes[-1]))
    by_size = {
        n: there
        for n in (report.sizes if section.every_size else ends)
        if (there := _found(report, section, functools.partial(_along, report, n)))
    }
    every = [each for there in by_size.values() for each in there]
    panels: list[Panel] = []
    for n, there in by_size.items():
        x_title = section.x_title or ""
        axis = f"n = {words.count(n)}: {section.axis}"
        xs = [p.n_train for each in every for p in each.curve.points]
        figure = canvas(xs, axis, x_title) if section.x_log else plain_canvas(axis, x_title)
        _draw(figure, there, section, "at {}", every)
        label = _label(f"{section.title} at n = {words.count(n)}", there, section)
        panels.append(Panel(id=f"{section.id}-{n}-plot", label=label, spec=finish(figure)))
    shown = {each.trace.tag: each for each in every}
    return _figure(section, list(shown.values()), panels, report) if panels else None


def _panels(section: Section) -> list[tuple[set[str], str]]:
    """The quantities of each plot, and the title of its axis."""
    names = list(dict.fromkeys(trace.quantity for trace in section.traces))
    if not section.panels:
        return [(set(names), section.axis)]
    return [({name}, axis) for name, axis in zip(names, section.panels, strict=True)]


def _found(
    report: Report, section: Section, rows: Callable[[Trace], list[Measured]]
) -> list[Drawn]:
    """The curves of a section that there is data for, each with its look."""
    found = []
    for i, trace in enumerate(section.traces):
        scale = perplexity if section.exponential else float
        for curve in curves(rows(trace), scale):
            if curve.t is None:
                look, tags = _style(section, i), [_name(trace)]
            else:
                look, tags = style(trace.split, report.times.index(curve.t)), [tag(curve.t)]
                tags.append(trace.split)
            found.append(Drawn(trace, curve, look, tags))
    return found


def _style(section: Section, i: int) -> Style:
    """The look of the i-th line of a section that has no colours for times.

    Kinds of text look as everywhere; lines that are something else get a look of their own each.
    """
    trace = section.traces[i]
    if trace.is_chance:
        return CHANCE
    if not trace.label:
        return style(trace.split)
    symbol = SYMBOLS[i % len(SYMBOLS)]
    return Style(PALETTE[i % len(PALETTE)], DASHES[i % len(DASHES)], symbol)


def _rows(report: Report, trace: Trace, every_t: bool = False) -> list[Measured]:
    """Rows of a trace: at every t of the sweep, or at the smallest t that there is, without it."""
    rows = [r for r in report.measured if (r.measurement, r.split) == (trace.quantity, trace.split)]
    if every_t:
        return [r for r in rows if r.t in report.times]
    first = min((r.t for r in rows if r.t is not None), default=None)
    return [r._replace(t=None) for r in rows if r.t == first]


def _along(report: Report, n: int, trace: Trace) -> list[Measured]:
    """Rows of a trace at one size, placed on their own axis, as if that were the size."""
    rows = [r for r in _rows(report, trace) if r.n_train == n]
    return [r._replace(n_train=r.at) for r in rows if r.at is not None]


def _draw(
    figure: go.Figure,
    there: Sequence[Drawn],
    section: Section,
    place: str,
    every: Sequence[Drawn] = (),
) -> None:
    """Draw curves in the layers of `figures.draw`, on an axis that follows from their unit and has
    room for `every` curve of the plots beside this one."""
    form = _form(section)
    bands, seeds, lines = [], [], []
    for trace, curve, look, tags in there:
        # What chance would give has no interval of its own to show.
        bands.append(None if trace.is_chance else band(curve, look, tags))
        if several_seeds(curve):
            seeds.append(dots(curve, look, tags))
        lines.append(line(curve, look, tags, form, _name(trace), place))
    figure.add_traces([drawn for drawn in (*bands, *seeds, *lines) if drawn is not None])
    shown = [each.curve for each in every or there]
    if section.exponential or section.log:
        figure.update_yaxes(**log_axis(shown))
    elif quantity(section.traces[0].quantity).unit in (SHARE, PROBABILITY):
        highest = max(curve.highest for curve in shown)
        lowest = min(curve.lowest for curve in shown)
        low = {"tickformat": ".0%", "range": _reach(lowest, highest)}
        figure.update_yaxes(**(share_axis() if highest > HALF else low))
    elif every:
        lowest, highest = min(c.lowest for c in shown), max(c.highest for c in shown)
        figure.update_yaxes(range=_reach(lowest, highest))
    if section.zero_line or section.log:
        at = 1 if section.log else 0
        figure.add_hline(y=at, line={"color": MUTED, "width": 1}, layer="below")


def _reach(lowest: float, highest: float) -> list[float]:
    """A range from zero, or from what lies below it, with a margin above and below."""
    low = min(0.0, lowest)
    margin = 0.04 * (highest - low) or 0.04
    return [low - margin, highest + margin]


def _figure(
    section: Section, there: Sequence[Drawn], panels: list[Panel], report: Report
) -> Figure:
    """Plots under their title, with what their intervals leave out said below them."""
    assumed = section.assumed
    banded = any(p.mean.interval for each in there for p in each.curve.points)
    if not banded and "No interval" not in assumed:
        assumed += " No interval is recorded here."
    if report.runs > 1:
        assumed += f" Means over {words.runs_of(report)}"
        assumed += ", whose spread widens the bands." if banded else "."
    if any(p.mean.warning for each in there for p in each.curve.points):
        assumed += f" Some of the intervals rest on fewer than {FEW} sequences."
    if any(each.curve.t is not None for each in there):
        keys = legend(report.times, [each.curve for each in there])
    else:
        keys = _keys(there)
    return Figure(
        id=section.id,
        title=section.title,
        read=section.read,
        assumed=assumed,
        keys=keys,
        panels=tuple(panels),
    )


def _keys(there: Sequence[Drawn]) -> tuple[Key, ...]:
    """One entry for each name; lines of one name, in plots beside each other, share it."""
    looks = {_name(each.trace): each.style for each in there}
    return tuple(Key(tag=name, label=name, style=look) for name, look in looks.items())


def _name(trace: Trace) -> str:
    return trace.label or words.name(trace.split)


def _form(section: Section) -> Callable[[float], str]:
    if section.exponential or section.log:
        return words.approx
    return words.form(quantity(section.traces[0].quantity).unit)


def _label(title: str, there: Sequence[Drawn], section: Section) -> str:
    """Where each curve starts and ends, for whoever cannot see the plot."""
    form, ends = _form(section), []
    for each in there:
        first, last = each.curve.points[0], each.curve.points[-1]
        when = "" if each.curve.t is None else f" at t = {words.time(each.curve.t)}"
        ends.append(
            f"{_name(each.trace)}{when}: {form(first.mean.value)} at {first.n_train:g}, "
            f"{form(last.mean.value)} at {last.n_train:g}"
        )
    return f"{title}. {'; '.join(ends)}."

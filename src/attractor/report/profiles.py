"""Figures of the sections: curves against n, or against an axis of their own for the smallest and
the largest n."""

from __future__ import annotations

from collections.abc import Sequence

from attractor.report import words
from attractor.report.figures import (
    Figure,
    Key,
    Panel,
    band,
    canvas,
    dots,
    finish,
    line,
    log_axis,
    plain_canvas,
)
from attractor.report.sections import SECTIONS, Section, Trace
from attractor.report.view import Curve, Measured, Report, curves
from attractor.results.estimate import FEW

SHARES = ([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])


def sections(report: Report) -> list[Figure]:
    """The sections for which the sweep holds data."""
    drawn = [_profile(report, s) if s.x_title else _against_n(report, s) for s in SECTIONS]
    return [figure for figure in drawn if figure is not None]


def _against_n(report: Report, section: Section) -> Figure | None:
    found = [(trace, _curve(_rows(report, trace), section)) for trace in section.traces]
    there = [(trace, curve) for trace, curve in found if curve is not None]
    if not there:
        return None
    figure = canvas(report.sizes, section.axis)
    _draw(figure, there, section, "n = {}")
    if section.log:
        figure.update_yaxes(**log_axis(curve for _, curve in there))
    return _figure(
        section,
        there,
        [Panel(id=f"{section.id}-plot", label=_label(section, there), spec=finish(figure))],
        report,
    )


def _profile(report: Report, section: Section) -> Figure | None:
    panels: list[Panel] = []
    keys: dict[str, tuple[Trace, Curve]] = {}
    for n in dict.fromkeys((report.sizes[0], report.sizes[-1])):
        found = [
            (
                t,
                _curve(
                    [r._replace(n_train=r.at) for r in _rows(report, t) if r.n_train == n], section
                ),
            )
            for t in section.traces
        ]
        there = [(trace, curve) for trace, curve in found if curve is not None]
        if not there:
            continue
        xs = [p.n_train for _, curve in there for p in curve.points]
        axis = f"n = {words.count(n)}: {section.axis}"
        figure = (
            canvas(xs, axis, section.x_title or "")
            if section.x_log
            else plain_canvas(axis, section.x_title or "")
        )
        _draw(figure, there, section, "at {}")
        label = _label(section, there, f" at n = {words.count(n)}")
        panels.append(Panel(id=f"{section.id}-{n}-plot", label=label, spec=finish(figure)))
        keys |= {trace.measurement + trace.split: (trace, curve) for trace, curve in there}
    return _figure(section, list(keys.values()), panels, report) if panels else None


def _figure(
    section: Section, there: Sequence[tuple[Trace, Curve]], panels: list[Panel], report: Report
) -> Figure:
    keys = tuple(Key(tag=t.measurement + t.split, label=t.label, style=t.style) for t, _ in there)
    known = [r for t, _ in there for r in _rows(report, t) if r.estimate.interval]
    assumed = section.assumed
    if len(report.seeds) > 1:
        assumed += f" Means over {len(report.seeds)} training seeds" + (
            ", whose spread widens the bands." if known else "."
        )
    if any(r.estimate.warning for r in known):
        assumed += f" Some of the intervals rest on fewer than {FEW} sequences."
    return Figure(
        id=section.id,
        title=section.title,
        read=section.read,
        assumed=assumed,
        keys=keys,
        panels=tuple(panels),
    )


def _draw(figure, there: Sequence[tuple[Trace, Curve]], section: Section, place: str) -> None:  # type: ignore[no-untyped-def]
    for layer in ("band", "dots", "line"):
        for trace, curve in there:
            tags = [trace.measurement + trace.split]
            if layer == "band":
                shade = band(curve, trace.style, tags)
                figure.add_traces([shade] if shade is not None else [])
            elif layer == "dots" and any(len(p.seeds) > 1 for p in curve.points):
                figure.add_trace(dots(curve, trace.style, tags))
            elif layer == "line":
                figure.add_trace(line(curve, trace.style, tags, section.form, trace.label, place))
    if section.share:
        figure.update_yaxes(range=[-0.02, 1.02], tickvals=SHARES[0], ticktext=SHARES[1])


def _rows(report: Report, trace: Trace) -> list[Measured]:
    """Rows of a trace; of several t the smallest."""
    rows = [
        r for r in report.measured if (r.measurement, r.split) == (trace.measurement, trace.split)
    ]
    first = min((r.t for r in rows if r.t is not None), default=None)
    return [r for r in rows if r.t == first]


def _curve(rows: list[Measured], section: Section) -> Curve | None:
    found = curves([r._replace(t=None) for r in rows], section.scale)
    return found[0] if found else None


def _label(section: Section, there: Sequence[tuple[Trace, Curve]], where: str = "") -> str:
    ends = [
        f"{trace.label}: {section.form(c.points[0].mean.value)} at {c.points[0].n_train:g}, "
        f"{section.form(c.points[-1].mean.value)} at {c.points[-1].n_train:g}"
        for trace, c in there
    ]
    return f"{section.title}{where}. {'; '.join(ends)}."

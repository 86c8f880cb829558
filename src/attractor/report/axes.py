"""The empty planes on which figures are drawn: their ranges, axes and ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Any, NamedTuple

import plotly.graph_objects as go

from attractor.report.figures import FONT, INK, MUTED, PAPER, RULE
from attractor.report.view import Curve

QUARTERS = (0, 0.25, 0.5, 0.75, 1)


class Ticks(NamedTuple):
    """Major ticks with their labels, and minor ones without."""

    values: list[float]
    labels: list[str]
    minor: list[float]


def log_ticks(lo: float, hi: float, least: int = 3) -> Ticks:
    """Return the ticks of a logarithmic axis from `lo` to `hi`.

    Labels stand at the decades; where fewer than `least` of these are in sight, at halves of them
    too, then at the 1-2-5 series, and where that is not enough, at every leading digit.
    """
    decades = range(floor(log10(lo)) - 1, ceil(log10(hi)) + 1)
    inside = [m * 10.0**d for d in decades for m in range(1, 10) if lo <= m * 10.0**d <= hi]
    for leading in ("1", "15", "125", "123456789"):
        major = [x for x in inside if f"{x:e}"[0] in leading]
        if len(major) >= least:
            break
    if len(major) < 2:
        # The range is so narrow that it holds one number with a single digit, or none.
        major = _even_ticks(lo, hi)
    labels = [f"{x:,.0f}" if x >= 1000 else f"{x:g}" for x in major]
    return Ticks(major, labels, [x for x in inside if x not in major])


def _even_ticks(lo: float, hi: float) -> list[float]:
    """Multiples of the smallest step of the 1-2-5 series of which less than five fit in."""
    powers = (10.0**d for d in range(floor(log10(hi - lo)) - 1, 99))
    step = next(m * power for power in powers for m in (1, 2, 5) if m * power * 5 > hi - lo)
    return [k * step for k in range(ceil(lo / step), floor(hi / step) + 1)]


def log_axis(curves: Iterable[Curve]) -> dict[str, Any]:
    """Return a logarithmic axis that holds the curves with their intervals and seeds."""
    points = [point for curve in curves for point in curve.points]
    # Of an estimate: the value and, where there is one, its interval.
    values = [x for p in points for x in (*p.mean[:3], *p.seeds) if x is not None]
    lo, hi = min(values) / 1.15, max(values) * 1.15
    ticks = log_ticks(lo, hi)
    return {
        "type": "log",
        "range": [log10(lo), log10(hi)],
        "tickvals": ticks.values,
        "ticktext": ticks.labels,
    }


def share_axis(top: float = 1.0, ticks: Sequence[float] = QUARTERS) -> dict[str, Any]:
    """Return an axis of shares, written in per cent.

    It may go on to a `top` above its last tick, where there is room for labels.
    """
    # Lines at 0 and at 1 are drawn whole.
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
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "hoverlabel": {
            "bgcolor": PAPER,
            "bordercolor": RULE,
            "align": "left",
            "font": {"color": INK, "family": FONT},
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
    """Return an empty figure over a range of x.

    The title of y stands above the plot, where it can be read without turning the head and wraps.
    """
    small = {"size": 12.5, "color": MUTED}
    lo, hi = x_range
    axis: dict[str, Any] = {
        "ticks": "outside",
        "ticklen": 6,
        "tickcolor": MUTED,
        "linecolor": MUTED,
        "showline": True,
        "title": {"text": x_title, "font": small, "standoff": 10},
        "range": [lo, hi],
    }
    if log:
        ticks = log_ticks(lo, hi)
        axis |= {
            "type": "log",
            "range": [log10(lo), log10(hi)],
            "tickvals": ticks.values,
            "ticktext": ticks.labels,
            "minor": {
                "tickvals": ticks.minor,
                "ticks": "outside",
                "ticklen": 3,
                "tickcolor": MUTED,
            },
        }
    title = {"text": y_title}
    return go.Figure(layout={"template": TEMPLATE, "title": title, "xaxis": axis})


def canvas(
    sizes: Sequence[float], y_title: str, x_title: str = "training sequences n (log scale)"
) -> go.Figure:
    """Return an empty figure over training-set sizes."""
    return plane(x_title, y_title, (min(sizes) / 1.35, max(sizes) * 1.35), log=True)


def plain_canvas(y_title: str, x_title: str) -> go.Figure:
    """Return an empty figure over [0, 1]."""
    return plane(x_title, y_title, (-0.03, 1.03), log=False).update_xaxes(tickvals=list(QUARTERS))

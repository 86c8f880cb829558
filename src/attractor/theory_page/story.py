"""One picture of two transitions from memorization to generalization: spins on the left, a
diffusion model on the right.

It is written by hand as a small SVG file, so that it can stand in a text without plotly and follow
the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

from attractor.report.axes import log_ticks
from attractor.report.curves import Line, span
from attractor.report.figures import DARK, FONT, INK, MUTED, PAPER, RULE

PANEL, HEIGHT = (330.0, 190.0), 292
"""Width and height of a plot, and height of the picture, in pixels."""
ORIGINS = (50.0, 490.0)
"""Left edges of the plots."""
TOP = 50.0
"""Upper edge of both."""
_LIGHT = {"ink": INK, "muted": MUTED, "rule": RULE, "paper": PAPER}
_DARK = {name: DARK[paint] for name, paint in _LIGHT.items()}
_COLOURS = """
text, circle, .band { fill: %(ink)s } .note { fill: %(muted)s }
.paper, circle.test { fill: %(paper)s }
.line, circle { stroke: %(ink)s } .axis { stroke: %(muted)s } .grid { stroke: %(rule)s }"""
_STYLE = f"""{_COLOURS % _LIGHT}
.line {{ fill: none; stroke-width: 2.2 }} .line.test {{ stroke-dasharray: 7 4 }}
circle {{ stroke-width: 1.8 }} .band {{ opacity: 0.13 }}
@media (prefers-color-scheme: dark) {{{_COLOURS % _DARK} }}
"""


def same_story(spins: Sequence[Line], network: Sequence[Line]) -> str:
    """Return an SVG of training and unseen data, for spins against P/D and for a diffusion model
    against n."""
    overlap, per_feature = "overlap after retrieval, spins", "training patterns per feature, P/D"
    share, n = "corrupted tokens that return, diffusion model", "training sequences n"
    parts = [
        *_panel(ORIGINS[0], spins, overlap, per_feature, "{:g}"),
        *_panel(ORIGINS[1], network, share, n, "{:.0%}"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {HEIGHT}" '
        f"font-family='{FONT}' font-size=\"13\">\n"
        f'<style>{_STYLE}\n</style>\n<rect class="paper" width="860" height="{HEIGHT}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _panel(left: float, lines: Sequence[Line], title: str, x_title: str, form: str) -> list[str]:
    """One plot, x logarithmic, y from 0 to 1; `form` writes a y."""
    width, height = PANEL
    lo, hi = span(lines, stretch=1.0)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + width * log(x / lo) / log(hi / lo), TOP + height * (1 - y)

    parts = [
        _text(left, TOP - 24, title, "note"),
        _text(left + width / 2, TOP + height + 42, x_title, "note", "middle"),
    ]
    for y in (0.0, 0.25, 0.5, 0.75, 1.0):
        down = at(lo, y)[1]
        parts.append(f'<path class="grid" d="M{left:g} {down:.1f}h{width:g}"/>')
        parts.append(_text(left - 8, down + 4, form.format(y), anchor="end"))
    ticks = log_ticks(lo, hi)
    for x, label in zip(ticks.values, ticks.labels, strict=True):
        right, bottom = at(x, 0)
        parts.append(f'<path class="axis" d="M{right:.1f} {bottom:g}v5"/>')
        parts.append(_text(right, bottom + 20, label, anchor="middle"))
    for line in lines:
        parts += _curve(line, at)
    return [*parts, *_names(lines, at)]


def _curve(line: Line, at: Callable[[float, float], tuple[float, float]]) -> list[str]:
    kind = "test" if line.split == "test" else "train"
    ends = line.ends()
    band = [at(x, hi) for x, _, hi in ends] + [at(x, lo) for x, lo, _ in reversed(ends)]
    points = [at(x, y.value) for x, y in line.points]
    return [
        *([f'<polygon class="band" points="{_joined(band)}"/>'] if band else []),
        f'<polyline class="line {kind}" points="{_joined(points)}"/>',
        *(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points),
    ]


def _names(lines: Sequence[Line], at: Callable[[float, float], tuple[float, float]]) -> list[str]:
    """Name each line where it begins: the upper one above, the lower one below."""
    first = [at(line.points[0][0], line.points[0][1].value) for line in lines]
    upper = min(y for _, y in first)
    names = {"train": "training", "test": "unseen"}
    return [
        _text(x + 8, y - 10 if y == upper else y + 22, names[line.split])
        for line, (x, y) in zip(lines, first, strict=True)
    ]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'

"""The transition over training time: what the checks saw at each training-set size, when
memorization sets in, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attractor.report import words
from attractor.report.axes import canvas, plane, share_axis
from attractor.report.curves import Line, draw_lines, label, name_of, name_tag, span
from attractor.report.fields import Fields
from attractor.report.figures import (
    PALETTE,
    SYMBOLS,
    Figure,
    Key,
    Panel,
    Style,
    finish,
)
from attractor.report.tables import Table
from attractor.report.view import Report
from attractor.results.estimate import Estimate

NAMES = {
    "advantage": "recovery",
    "copies": "copies",
    "entropy": "entropy of own text",
}
"""What sets in, as the page calls it."""
COURSES = {
    "advantage": ("basin advantage", words.percent),
    "copies": ("copies, beyond those of unseen rows", words.percent),
    "entropy": ("entropy of own texts, nats per token", words.nats),
}
MOST = 12
"""Sizes that are drawn; more lines could not be told apart."""
DASHES = ("solid", "7px,4px", "1.5px,3.5px")


def onset_figures(report: Report) -> list[Figure]:
    """Courses over training, and onsets against n; none for a sweep without checks."""
    drawn = [_courses(report.onset), _onsets(report.onset)] if report.onset else []
    return [figure for figure in drawn if figure is not None]


def onset_tables(report: Report) -> list[Table]:
    """Every onset, and how they grow and follow one another."""
    if report.onset is None or not report.onset.objects("onsets"):
        return []
    return [_table(report.onset), _comparisons(report.onset)]


def _courses(found: Fields) -> Figure | None:
    checks = found.objects("checks")
    if not checks:
        return None
    sizes = _thinned(sorted({check.integer("n_train") for check in checks}))
    looks = {f"n = {words.count(n)}": _style(i) for i, n in enumerate(sizes)}
    panels = []
    for quantity, (axis, form) in COURSES.items():
        lines = [
            Line(
                name=f"n = {words.count(n)}",
                points=tuple(
                    (c.number("step"), c.estimate(quantity, f"{quantity}_ci"))
                    for c in checks
                    if c.integer("n_train") == n
                ),
            )
            for n in sizes
        ]
        panels.append(_panel(f"course-{quantity}", axis, lines, looks, form))
    shown = len({check.integer("n_train") for check in checks})
    thinned = f" {len(sizes)} of {shown} sizes are drawn." if len(sizes) < shown else ""
    return Figure(
        id="training-time",
        title="Memorization over training",
        read="A line is one training-set size. Basin advantage is 0 where training text comes back "
        "no more often than unseen text and 1 in a perfect store; copies and the entropy of what "
        "the model writes show when generation follows. Where a line crosses one half is its "
        "onset.",
        assumed=f"Measured on the averaged weights while the models trained, on the same rows and "
        f"the same noise at every step and size, at t = {words.time(found.number('t'))}; the "
        "learning rate follows its schedule, and the averages lag by about a tenth of the steps. "
        f"Bands: 95% intervals over rows, each check by itself.{thinned}",
        keys=tuple(Key(tag=name_tag(name), label=name, style=look) for name, look in looks.items()),
        panels=tuple(panels),
    )


def _panel(
    name: str,
    axis: str,
    lines: list[Line],
    looks: dict[str, Style],
    form: Callable[[float], str],
) -> Panel:
    figure = plane("training step (log scale)", axis, span(lines), log=True)
    draw_lines(figure, lines, lambda line: looks[line.name], name_of, form)
    # Below zero unseen rows did better, by chance, or are near training rows more often than own
    # texts are: how far below says little.
    if form is words.percent:
        figure.update_yaxes(**share_axis())
        lowest = min(y.value if y.low is None else y.low for line in lines for _, y in line.points)
        figure.update_yaxes(range=[max(-0.5, min(-0.02, lowest)), 1.02])
    else:
        figure.update_yaxes(rangemode="tozero")
    said = label(axis, lines, name_of, form)
    return Panel(id=f"{name}-plot", label=said, spec=finish(figure))


def _onsets(found: Fields) -> Figure | None:
    lines = []
    for quantity, name in NAMES.items():
        places = [each for each in found.objects("onsets") if each.text("quantity") == quantity]
        points = [
            (each.number("n_train"), Estimate(each.number("step"), *(_closed(each) or ())))
            for each in places
            if each.has("step")
        ]
        lines += [Line(name=name, points=tuple(points))] if points else []
    if not lines:
        return None
    looks = {name: _style(i) for i, name in enumerate(NAMES.values())}
    xs = [x for line in lines for x, _ in line.points]
    figure = canvas(xs, "onset, training steps (log scale)")
    draw_lines(figure, lines, lambda line: looks[line.name], name_of, words.approx)
    ends = [end for line in lines for _, y in line.points for end in y[:3] if end is not None]
    turned = plane("", "", (min(ends) / 1.2, max(ends) * 1.2), log=True).layout.xaxis
    figure.update_yaxes(
        type="log", range=turned.range, tickvals=turned.tickvals, ticktext=turned.ticktext
    )
    return Figure(
        id="onset",
        title="When memorization sets in",
        read="The training step at which half of a perfect store is there. A line that rises as "
        "fast as n says that every training text has to be seen about equally often. A size "
        "without a point never crossed one half, or had before the first check.",
        assumed="Interpolated in log step between two checks. Bars and bands: 95% intervals over "
        "rows, given these training runs; another seed moves a point too.",
        keys=tuple(
            Key(tag=name_tag(line.name), label=line.name, style=looks[line.name]) for line in lines
        ),
        panels=(
            Panel(
                id="onset-plot",
                label=label("Onset against n", lines, name_of, words.approx),
                spec=finish(figure),
            ),
        ),
    )


def _table(found: Fields) -> Table:
    rows = [
        (
            words.count(each.integer("n_train")),
            NAMES[each.text("quantity")],
            words.approx(each.number("step")) if each.has("step") else "none",
            _range(each.data["ci"]),
            _range(each.data["between"]),
            "" if not each.has("seeds_ci") else _range(each.data["seeds_ci"]),
            each.text("reason") if each.has("reason") else "",
        )
        for each in found.objects("onsets")
    ]
    head = (
        "n",
        "of",
        "onset, step",
        "95% over rows",
        "between checks",
        "95% over seeds",
        "why not",
    )
    read = (
        "Three uncertainties, apart: over rows, given these training runs; the checks between "
        "which it lies; and, with several training seeds, Student's interval over them."
    )
    return Table("onsets", "Onset of memorization in training", read, head, rows)


def _comparisons(found: Fields) -> Table:
    rows = [_growth_cells(each) for each in found.objects("growth")]
    rows += [_order_cells(each) for each in found.objects("order")]
    read = (
        "Growth is the slope of log onset against log n: 1 is proportional to n, 0 does not depend "
        "on it; its interval holds the scatter of the sizes around the line. Order is the ratio of "
        "the two onsets, at one n with an interval for as many comparisons as there are sizes, and "
        "over all sizes with the spread between them; within one gap between checks it is never "
        "decided. Halves of different quantities are compared: another t moves recovery's."
    )
    head = ("what", "n", "number", "95% interval", "says")
    return Table("onset-order", "How onsets grow, and which comes first", read, head, rows)


def _growth_cells(each: Fields) -> tuple[str, ...]:
    what = f"growth of {NAMES[each.text('quantity')]}"
    sizes = ", ".join(words.count(n) for n in each.data["sizes"])
    ends = each.interval("ci")
    if ends is None:
        return (what, sizes, "", "", each.text("reason"))
    says = "excludes 1" if ends[0] > 1 or ends[1] < 1 else "does not exclude 1"
    interval = " to ".join(map(words.decimal, ends))
    return (what, sizes, words.decimal(each.number("slope")), interval, says)


def _order_cells(each: Fields) -> tuple[str, ...]:
    first, second = (NAMES[each.text(key)] for key in ("first", "second"))
    n = words.count(each.integer("n_train")) if each.has("n_train") else "all"
    ratio = words.decimal(each.number("ratio")) if each.has("ratio") else ""
    verdict = each.text("verdict")
    says = f"{first} comes {verdict} {second}"
    if verdict == "undecided":
        says = f"undecided: {each.text('reason')}"
    interval = _range(each.data["ci"], words.decimal)
    return (f"{second} over {first}", n, ratio, interval, says)


def _range(ends: Any, form: Callable[[float], str] = words.approx) -> str:
    """An interval either end of which may be open."""
    low, high = ends
    if low is None and high is None:
        return "open"
    if low is None:
        return f"up to {form(high)}"
    return f"from {form(low)}" if high is None else f"{form(low)} to {form(high)}"


def _closed(each: Fields) -> tuple[float, float] | None:
    low, high = each.data["ci"]
    return None if low is None or high is None else (float(low), float(high))


def _style(i: int) -> Style:
    n = len(PALETTE)
    return Style(PALETTE[i % n], DASHES[i // n % len(DASHES)], SYMBOLS[i % len(SYMBOLS)])


def _thinned(sizes: list[int]) -> list[int]:
    """At most `MOST` of them, evenly, both ends among them."""
    if len(sizes) <= MOST:
        return sizes
    return [sizes[round(i * (len(sizes) - 1) / (MOST - 1))] for i in range(MOST)]

"""The figures of the sweep report, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attractor.measurements import ALL
from attractor.measurements.calibration import CALIBRATION
from attractor.measurements.entropy import ENTROPY
from attractor.measurements.fold import BASINS, FOLDS, Fold
from attractor.report import words
from attractor.report.advantage import advantage
from attractor.report.axes import canvas, log_axis, share_axis
from attractor.report.beside import beside
from attractor.report.figures import (
    MUTED,
    Figure,
    Key,
    Panel,
    Style,
    band,
    colour,
    draw,
    finish,
    legend,
    line,
    roomy_right,
    star_marks,
    style,
    tag,
)
from attractor.report.known import draw_known
from attractor.report.onset import onset_figures
from attractor.report.sections import sections
from attractor.report.view import Curve, Point, Report, find
from attractor.report.view import curves as by_size

SAME = "The same rows and the same noise are used at every n."


LABEL = 0.075
"""Height of the label of an n*, as a share of the plot from 0 to 1 below it."""


def _styles(report: Report) -> Callable[[Curve], Style]:
    return lambda curve: style(
        curve.split, None if curve.t is None else report.times.index(curve.t)
    )


def _timed(report: Report, curves: Iterable[Curve]) -> list[Curve]:
    return [curve for curve in curves if curve.t in report.times]


def _label(title: str, curves: Iterable[Curve], form: Callable[[float], str]) -> str:
    """Say in words where each curve starts and ends, for whoever cannot see the plot."""
    parts = []
    for c in curves:
        first, last = c.points[0], c.points[-1]
        name = words.NAMES[c.split] + ("" if c.t is None else f" at t = {words.time(c.t)}")
        parts.append(
            f"{name}: {form(first.mean.value)} at n = {words.count(first.n_train)}, "
            f"{form(last.mean.value)} at n = {words.count(last.n_train)}"
        )
    return f"{title}. " + "; ".join(parts) + "."


def recovery(report: Report) -> Figure:
    """Recovery against n: where the two lines of a colour meet, the basins have the same width."""
    figure = canvas(report.sizes, "corrupted tokens that return")
    curves = [*report.recovery, *_timed(report, report.random)]
    located = [at for at in report.located if at[0] in report.times]
    stars = sorted(located, key=lambda at: at[1].value)
    right = bool(stars) and roomy_right([n_star for _, n_star in stars], report.sizes)
    # The labels are a staircase that goes down in the direction in which they are written: a label
    # lies above the vertical lines beside it, and is crossed by none.
    for i, (t, n_star) in enumerate(stars if right else reversed(stars)):
        text = f"n* = {words.approx(n_star.value)} at t = {words.time(t)}"
        paint, top = colour(report.times.index(t)), 1.0 + LABEL * (len(stars) - i)
        figure.add_traces(star_marks(n_star, t, paint, top, text, right))
    draw(figure, curves, _styles(report), words.percent, "recovery")
    known = draw_known(figure, report)
    figure.update_yaxes(**share_axis(1.0 + LABEL * (len(stars) + 0.4 if stars else 0)))
    title = "Recovery against training-set size"
    marked = " Vertical line: n* and its 95% interval over sequences."
    random = " Dotted: random tokens, the same test."
    edges = (
        " At the edges, the same test on models whose answer is known: the exact memorizer of the "
        "smallest training set and an exact generalizer."
    )
    return Figure(
        id="recovery",
        title=title,
        read="The share of corrupted tokens that the model puts back. Where the solid and the "
        "dashed line of one colour meet, a training text has no wider basin than an unseen one.",
        assumed=words.seeds_note(report, report.recovery)
        + (marked if stars else "")
        + (random if report.random else "")
        + (edges if known else "")
        + f" {SAME} {words.passes(report)}".rstrip(),
        keys=legend(report.times, curves, star=bool(stars)),
        panels=(
            Panel(
                id="recovery-plot", label=_label(title, curves, words.percent), spec=finish(figure)
            ),
        ),
    )


def prefix(report: Report) -> Figure:
    """Prefix extraction against n, which takes the place of recovery where nothing is corrupted."""
    figure = canvas(report.sizes, "tokens of the second half that come back")
    found = [row for row in report.measured if row.measurement == "prefix_tokens"]
    drawn = list(by_size(found))
    n_star = report.extraction.n_star if report.extraction is not None else None
    if n_star is not None:
        right = roomy_right([n_star], report.sizes)
        text = f"n* = {words.approx(n_star.value)}"
        figure.add_traces(star_marks(n_star, None, MUTED, 1.0 + LABEL, text, right))
    draw(figure, drawn, _styles(report), words.percent, "prefix extraction")
    figure.update_yaxes(**share_axis(1.0 + LABEL * (0.4 if n_star is None else 1.4)))
    title = "Rows continued from their first half, against training-set size"
    marked = " Vertical line: n* and its 95% interval over sequences."
    return Figure(
        id="prefix",
        title=title,
        read="The model is given the first half of a row and goes on by the likeliest token. What "
        "comes back of training rows beyond what comes back of unseen ones, it knows by heart.",
        assumed=f"{words.seeds_note(report, tuple(drawn))}{'' if n_star is None else marked} A "
        "token counts where it stands: after a first other word the rest rarely fits. "
        f"{words.passes(report)}".rstrip(),
        keys=legend(report.times, drawn, star=n_star is not None),
        panels=(
            Panel(id="prefix-plot", label=_label(title, drawn, words.percent), spec=finish(figure)),
        ),
    )


def hero(report: Report) -> Figure:
    """The first figure of the page: where memorization ends, as its models can show it."""
    return recovery(report) if report.times else prefix(report)


def entropy(report: Report) -> Figure:
    """Entropy against n, which needs no knowledge of what is training text."""
    figure = canvas(report.sizes, "conditional entropy, nats per token")
    high = max(curve.highest for curve in report.entropy)
    n_star = report.entropy_star.n_star if report.entropy_star is not None else None
    if n_star is not None:
        text = f"n* = {words.approx(n_star.value)} from entropy"
        right = roomy_right([n_star], report.sizes)
        figure.add_traces(star_marks(n_star, None, MUTED, high * 1.12, text, right))
    draw(figure, report.entropy, _styles(report), words.nats, "entropy")
    figure.update_yaxes(
        range=[-0.02 * high, high * (1.06 if n_star is None else 1.18)], rangemode="tozero"
    )
    title = "Conditional entropy against training-set size"
    own = find(report.entropy, "generated") is not None
    return Figure(
        id="entropy",
        title=title,
        read="Entropy near zero means that the model is sure of each token given its context, as "
        "if it had the text by heart. A rise of the solid line marks the end of memorization"
        + ("; the line of generated text needs no training data to be measured." if own else "."),
        assumed=f"{words.seeds_note(report, report.entropy)} Entropy is taken at nearly no "
        "corruption, so it does not depend on t.",
        keys=legend(report.times, report.entropy, star=n_star is not None),
        panels=(
            Panel(
                id="entropy-plot",
                label=_label(title, report.entropy, words.nats),
                spec=finish(figure),
            ),
        ),
    )


def model_sizes(report: Report) -> Figure | None:
    """n* against the size of the model, if a sweep has several models and found n* for any."""
    # A point of these curves is a model: its number of parameters takes the place of n.
    at: dict[float, list[Point]] = {}
    for model in sorted(report.models, key=lambda model: model.parameters):
        for star in model.stars:
            if star.t is not None and star.n_star is not None:
                at.setdefault(star.t, []).append(
                    Point(n_train=model.parameters, mean=star.n_star, seeds=())
                )
    curves = [
        Curve(split="n*", t=t, points=tuple(points))
        for t, points in sorted(at.items())
        if t in report.times
    ]
    if not curves:
        return None
    sizes = [model.parameters for model in report.models]
    figure = canvas(
        sizes, "n*, training sequences (log scale)", "parameters of the model (log scale)"
    )
    keys = []
    for curve in curves:
        look, tags = style("train", report.times.index(curve.t)), [tag(curve.t)]
        shade = band(curve, look, tags)
        figure.add_traces([shade] if shade is not None else [])
        figure.add_trace(line(curve, look, tags, words.approx, "n* =", "{} parameters"))
        keys.append(Key(tag=tag(curve.t), label=f"t = {words.time(curve.t or 0.0)}", style=look))
    figure.update_yaxes(**log_axis(curves))
    title = "n* against model size"
    label = "; ".join(
        f"{words.count(p.n_train)} parameters at t = {words.time(c.t or 0.0)}: "
        f"{words.approx(p.mean.value)}"
        for c in curves
        for p in c.points
    )
    return Figure(
        id="models",
        title=title,
        read="Each point is the training-set size at which one model of this sweep turns from "
        "memorization to generalization. A rising line says that larger models memorize larger "
        "training sets.",
        assumed="Bands: 95% intervals, each model by itself. Models without an n* are left out; "
        "the table says why.",
        keys=tuple(keys),
        panels=(Panel(id="models-plot", label=f"{title}. {label}.", spec=finish(figure)),),
    )


def folds(report: Report) -> dict[Fold, list[Figure]]:
    """The figures for which the sweep holds data, but the first, under the question they answer.

    Sweeps and models beside this one and its course over training time lead those of the
    measurements. The entropy of training and unseen text, in which the transition is located too,
    has a figure that no section can declare; it leads those of its measurement.
    """
    drawn: dict[Fold, list[Figure | None]] = {fold: [] for fold in FOLDS}
    drawn[BASINS] += [beside(report), model_sizes(report), *onset_figures(report)]
    for measurement in ALL:
        into = drawn[measurement.fold]
        into += [entropy(report)] if measurement is ENTROPY else []
        into += sections(report, measurement)
        into += [advantage(report)] if measurement is CALIBRATION else []
    return {fold: [figure for figure in found if figure] for fold, found in drawn.items()}


def all_figures(report: Report) -> list[Figure]:
    """The figures for which the sweep holds data, in the order of the page."""
    return [hero(report), *(figure for found in folds(report).values() for figure in found)]

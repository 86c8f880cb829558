"""The set of figures that a paper about a transition shows, in print: models side by side over all
times, histograms of entropy, trajectories of all sizes, and passages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attractor.report import words
from attractor.report.axes import canvas, log_axis
from attractor.report.charts import all_figures, recovery
from attractor.report.figures import (
    MUTED,
    Key,
    Panel,
    band,
    finish,
    line,
    star_marks,
    style,
)
from attractor.report.passages import draw_passages
from attractor.report.vector import (
    DPI,
    STYLE,
    add_legend,
    blank,
    columns,
    draw_panel,
    grid,
    print_style,
    save,
)
from attractor.report.view import Report, curves, find
from attractor.types import AttractorError

HISTOGRAMS = ("entropy-histograms", "density")
"""Figures of the page that are histograms of entropy, by preference."""


def write_paper(
    reports: Sequence[Report],
    folder: Path,
    kind: str,
    style: Path = STYLE,
    only: Sequence[str] = (),
    dpi: int = DPI,
) -> list[Path]:
    """Write the figures of a paper for which there is data.

    Args:
        reports: of one sweep, one for each of its models.
        folder: made if needed.
        kind: pdf, svg, eps or png.
        style: a matplotlib style file.
        only: names of those that are wanted; all of them unless given.
        dpi: dots per inch of png.

    Raises:
        AttractorError: for a name that is none, an unknown kind, or a style file that is not there.
    """
    wanted = chosen(FIGURES, only)
    paths = []
    with print_style(kind, style):
        for name in wanted:
            drawn = FIGURES[name](reports)
            if drawn is not None:
                paths.append(save(drawn, folder / f"{name}.{kind}", dpi))
    return paths


def chosen(names: Sequence[str] | dict[str, Any], only: Sequence[str]) -> list[str]:
    """Those of the names that are wanted, in their own order; all of them unless some are named.

    Raises:
        AttractorError: for a name that is none of them.
    """
    for name in only:
        if name not in names:
            raise AttractorError(f"only = {name!r}: there are {', '.join(names)}")
    return [name for name in names if name in only or not only]


def transition(reports: Sequence[Report]) -> Any:
    """Recovery over all times, a column for each model, and below it on the same axis the
    perplexity of unseen text with its peak."""
    from matplotlib import rcParams

    width, height = rcParams["figure.figsize"]
    lower = [_validation(report) for report in reports]
    stacked = any(lower)
    drawn = blank(figsize=(width * len(reports), height * (1.5 if stacked else 1)))
    axes = drawn.subplots(
        1 + stacked,
        len(reports),
        sharex="col",
        height_ratios=(2, 1) if stacked else (1,),
        squeeze=False,
    )
    keys: dict[str, Key] = {}
    for i, (report, below) in enumerate(zip(reports, lower, strict=True)):
        upper = recovery(report)
        draw_panel(upper.panels[0], axes[0, i])
        keys |= {key.tag: key for key in upper.keys}
        axes[0, i].set_title(report.name if len(reports) > 1 else "")
        if below is not None:
            ends, x_title = axes[0, i].get_xlim(), axes[0, i].get_xlabel()
            draw_panel(below, axes[1, i])
            axes[0, i].set_xlabel("")
            # One axis for both, whose strips at its edges only the upper plot fills.
            axes[1, i].set_xlim(*ends)
            axes[1, i].set_xlabel(x_title)
        if i:
            for ax in axes[:, i]:
                ax.set_ylabel("")
    add_legend(drawn, list(keys.values()))
    return drawn


def _validation(report: Report) -> Panel | None:
    """Perplexity of unseen text against n, and where it peaks."""
    curve = find(report.perplexity, "test")
    if curve is None:
        return None
    figure = canvas(report.sizes, "validation perplexity (log scale)")
    look = style("test")
    shade = band(curve, look, [])
    figure.add_traces([] if shade is None else [shade])
    figure.add_trace(line(curve, look, [], words.approx, "perplexity"))
    axis = log_axis([curve])
    star = report.validation_peak
    if star is not None and star.n_star is not None:
        top = 10 ** axis["range"][1]
        text = f"peak at n = {words.approx(star.n_star.value)}"
        figure.add_traces(star_marks(star.n_star, None, MUTED, top, text, right=True))
    figure.update_yaxes(**axis)
    return Panel(id="validation", label="", spec=finish(figure))


def histograms(reports: Sequence[Report]) -> Any:
    """Entropy of single tokens at each size, with the same axes; of the largest of several
    models."""
    drawn = {figure.id: figure for figure in all_figures(reports[-1])}
    figure = next((drawn[name] for name in HISTOGRAMS if name in drawn), None)
    if figure is None:
        return None
    page, axes = grid(len(figure.panels))
    wide = columns(len(axes))
    for i, (panel, ax) in enumerate(zip(figure.panels, axes, strict=True)):
        draw_panel(panel, ax)
        if i % wide:
            ax.set_ylabel("")
        if i + wide < len(axes):
            ax.set_xlabel("")
    add_legend(page, figure.keys)
    return page


def trajectories(reports: Sequence[Report]) -> Any:
    """Entropy along the way from noise to text: a line for each size, its colour the size."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    report = reports[-1]
    rows = [r for r in report.measured if (r.measurement, r.split) == ("path_entropy", "generated")]
    if not rows:
        return None
    drawn = blank()
    ax = drawn.subplots()
    sizes = report.sizes
    norm = LogNorm(min(sizes), max(max(sizes), min(sizes) * 1.01))
    colours = colormaps["viridis"]
    for n in sizes:
        along = [
            r._replace(n_train=r.at, t=None) for r in rows if r.n_train == n and r.at is not None
        ]
        for curve in curves(along):
            x = [point.n_train for point in curve.points]
            y = [point.mean.value for point in curve.points]
            ax.plot(x, y, color=colours(norm(n)), linewidth=1.2)
    ax.set_xlabel("time t, from noise on the right to text on the left")
    ax.set_ylabel("entropy, nats per token")
    ax.set_ylim(bottom=0)
    scale = ScalarMappable(norm=norm, cmap=colours)
    drawn.colorbar(scale, ax=ax, label="training sequences n")
    return drawn


def passages(reports: Sequence[Report]) -> Any:
    """The passages of the page, place below place; of the largest of several models."""
    return draw_passages(reports[-1].passages) if reports[-1].passages else None


FIGURES: dict[str, Callable[[Sequence[Report]], Any]] = {
    "transition": transition,
    "histograms": histograms,
    "trajectories": trajectories,
    "passages": passages,
}
"""Each by its name."""

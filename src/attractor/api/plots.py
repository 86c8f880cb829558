"""The figures of a report, drawn where one wants them: on matplotlib's axes for a paper, or by
plotly inside a notebook."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from attractor.report.charts import all_figures
from attractor.report.figures import Figure, Style
from attractor.report.vector import draw_on
from attractor.report.view import Report
from attractor.types import AttractorError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Plots:
    """Draws the figures of one report.

    `plot.recovery()` is a plotly figure, which a notebook shows; `plot.recovery(ax=ax)` draws the
    same on axes of matplotlib. `plot("calibration")` draws any figure of the report by its name;
    `plot.names` lists those for which there are numbers.
    """

    def __init__(self, read: Callable[[], Report]) -> None:
        self._read = read

    @property
    def names(self) -> tuple[str, ...]:
        """The figures there are."""
        return tuple(self._figures)

    def recovery(self, ax: Axes | None = None) -> Any:
        """Share of corrupted tokens that return, of training and unseen text, against n."""
        return self("recovery", ax)

    def entropy(self, ax: Axes | None = None) -> Any:
        """Conditional entropy of training and unseen text against n."""
        return self("entropy", ax)

    def calibration(self, ax: Axes | None = None) -> Any:
        """Surprise over expected surprise, kappa, against n."""
        return self("calibration", ax)

    def novelty(self, ax: Axes | None = None) -> Any:
        """How near the model's own text comes to its training text, against n."""
        return self("novelty", ax)

    def __call__(self, name: str, ax: Axes | None = None, panel: int = 0) -> Any:
        """Draw a figure by its name.

        Args:
            name: one of `names`.
            ax: axes of matplotlib to draw on; a plotly figure is made unless given.
            panel: which of its plots, where it has several.

        Returns:
            the axes, or the plotly figure.

        Raises:
            AttractorError: if there is no such figure or plot.
        """
        figures = self._figures
        if name not in figures:
            raise AttractorError(
                f"there is no figure {name!r}{did_you_mean(name, figures)}; there are "
                f"{', '.join(figures)}"
            )
        figure = figures[name]
        if not 0 <= panel < len(figure.panels):
            raise AttractorError(
                f"panel = {panel}: figure {name!r} has {len(figure.panels)}, counted from 0"
            )
        if ax is None:
            return _inline(figure, panel)
        draw_on(figure, ax, panel)
        return ax

    def __repr__(self) -> str:
        return f"<Plots: {', '.join(self.names)}>"

    @functools.cached_property
    def _figures(self) -> dict[str, Figure]:
        return {figure.id: figure for figure in all_figures(self._read())}


def _inline(figure: Figure, panel: int) -> go.Figure:
    """A plot of the page by itself: on white, with a legend, which the page draws beside it."""
    made = go.Figure(figure.panels[panel].spec)
    for key in figure.keys:
        made.add_trace(
            go.Scatter(x=[None], y=[None], name=key.label, showlegend=True, **_look(key.style))
        )
    made.update_layout(
        showlegend=True,
        legend={"orientation": "h", "yanchor": "top", "y": -0.18, "x": 0},
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=460,
        dragmode="zoom",
    )
    return made


def _look(style: Style) -> dict[str, Any]:
    """How an entry of the legend is drawn."""
    dash = {"none": None, "bar": "solid"}.get(style.dash, style.dash)
    marker = {"symbol": style.symbol or "circle", "color": style.colour, "size": 8}
    modes = [mode for mode, is_there in (("lines", dash), ("markers", style.symbol)) if is_there]
    return {
        "mode": "+".join(modes) or "markers",
        "line": {"color": style.colour, "dash": dash or "solid"},
        "marker": marker,
    }

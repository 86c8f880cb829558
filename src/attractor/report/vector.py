"""The figures of the page as files for a paper, drawn by matplotlib.

They are drawn from the page's own specifications, so what a figure shows is decided in one place.
Here is only as much of plotly's language as the figures of this package use.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from attractor.machine.files import write_atomically
from attractor.report.figures import INK, MUTED, PAPER, Figure, Panel, Style
from attractor.types import AttractorError

STYLE = Path(__file__).parent / "templates" / "paper.mplstyle"
KINDS = ("pdf", "svg", "eps", "png")
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v"}


def write_figures(
    figures: list[Figure], folder: Path, kind: str, style: Path = STYLE
) -> list[Path]:
    """Write each figure as `<id>.<kind>`.

    Args:
        figures: those of the page.
        folder: made if needed.
        kind: pdf, svg, eps or png.
        style: a matplotlib style file.

    Raises:
        AttractorError: for an unknown kind or a style file that is not there.
    """
    if kind not in KINDS:
        raise AttractorError(f"figures = {kind!r}: allowed are {', '.join(KINDS)}")
    if not style.is_file():
        raise AttractorError(f"the style file '{style}' does not exist")
    # Here, since most reports are written without files for a paper, and loading it takes time.
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with pyplot.style.context(str(style)):
        for figure in figures:
            width, height = pyplot.rcParams["figure.figsize"]
            count = len(figure.panels)
            drawn, axes = pyplot.subplots(1, count, figsize=(width * count, height), squeeze=False)
            for panel, ax in zip(figure.panels, axes[0], strict=True):
                _draw(panel, ax)
            # Single seeds are dots so small that they need no entry in print.
            handles = [_handle(key.style, key.label) for key in figure.keys if key.tag != "seeds"]
            drawn.legend(
                handles=handles, loc="outside lower center", ncols=min(3, max(1, len(handles)))
            )
            paths.append(folder / f"{figure.id}.{kind}")
            write_atomically(paths[-1], functools.partial(drawn.savefig, format=kind))
            pyplot.close(drawn)
    return paths


def _draw(panel: Panel, ax: Any) -> None:
    layout = panel.spec["layout"]
    for trace in panel.spec["data"]:
        _draw_trace(trace, ax)
    for shape in layout.get("shapes", ()):
        ax.axhline(shape["y0"], color=MUTED, linewidth=0.6)
    for name in ("x", "y"):
        _set_axis(layout.get(f"{name}axis", {}), name, ax)
    ax.set_xlabel(_plain(layout["xaxis"]["title"]["text"]).replace(" (log scale)", ""))
    # The page names y above the plot. What stands before a colon, "n = 32: entropy", is which plot
    # of several it is; only the rest is the name of the axis.
    title = _plain(layout["title"]["text"]).replace(" (log scale)", "")
    where, _, axis = title.rpartition(": ")
    ax.set_ylabel(axis)
    ax.set_title(where)


def _draw_trace(trace: dict[str, Any], ax: Any) -> None:
    line, mode, x, y = trace.get("line", {}), trace.get("mode", ""), trace["x"], trace["y"]
    if trace.get("fill") == "toself":
        ax.fill(x, y, color=_colour(trace["fillcolor"]), linewidth=0)
    elif mode == "text":
        # Plotly names where the text is, matplotlib which side of the text is at the point.
        side = "right" if trace["textposition"].endswith("left") else "left"
        ax.annotate(
            _plain(trace["text"][0]).strip(),
            (x[0], y[0]),
            xytext=(-3 if side == "right" else 3, 0),
            textcoords="offset points",
            ha=side,
            va="center",
        )
    elif mode == "markers":
        ax.plot(x, y, ".", color=_colour(trace["marker"]["color"]), markersize=2, alpha=0.7)
    else:
        marker = trace.get("marker", {}) if "markers" in mode else {}
        ax.plot(
            x,
            y,
            color=_colour(line.get("color", INK)),
            linestyle=_dash(line.get("dash", "solid")),
            linewidth=line.get("width", 2) * 0.6,
            marker=MARKERS.get(marker.get("symbol", "")),
            markersize=4,
            markerfacecolor="white" if marker.get("color") == PAPER else None,
        )


def _set_axis(axis: dict[str, Any], name: str, ax: Any) -> None:
    log = axis.get("type") == "log"
    getattr(ax, f"set_{name}scale")("log" if log else "linear")
    if "tickvals" in axis:
        labels = axis.get("ticktext", axis["tickvals"])
        ticks = getattr(ax, f"{name}axis")
        ticks.set_ticks(list(axis["tickvals"]), list(map(str, labels)))
        ticks.set_ticks([], minor=True)
    if "range" in axis:
        # Plotly gives the range of a logarithmic axis in decades.
        ends = [10**end for end in axis["range"]] if log else axis["range"]
        getattr(ax, f"set_{name}lim")(*ends)


def _handle(style: Style, label: str) -> Any:
    from matplotlib.lines import Line2D

    symbol = style.symbol or ""
    # "none" is an entry for a colour or a marker alone, "bar" one for a shaded interval.
    dash: Any = {"none": "none", "bar": "solid"}.get(style.dash) or _dash(style.dash)
    face = "white" if symbol.endswith("-open") else style.colour
    marker = MARKERS.get(symbol.removesuffix("-open"))
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=dash,
        marker=marker,
        markersize=4,
        markerfacecolor=face,
        label=label,
    )


def _dash(dash: str) -> Any:
    """Lengths of dashes and gaps, in pixels on the page and half as many points in print."""
    lengths = [float(part) / 2 for part in re.findall(r"[\d.]+", dash)]
    return (0, lengths) if lengths else "solid"


def _colour(colour: str) -> Any:
    found = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", colour)
    if not found:
        return colour
    red, green, blue, opacity = map(float, found.groups())
    return red / 255, green / 255, blue / 255, opacity


def _plain(text: str) -> str:
    """Text without its HTML tags."""
    return re.sub(r"<[^>]+>", " ", text)


def draw_panel(figure: Figure, ax: Any, panel: int = 0) -> None:
    """Draw one plot of a figure on somebody's axes of matplotlib, its legend inside."""
    _draw(figure.panels[panel], ax)
    handles = [_handle(key.style, key.label) for key in figure.keys if key.tag != "seeds"]
    ax.legend(handles=handles, fontsize="small", frameon=False)

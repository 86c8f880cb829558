"""The figures of the page as files for a paper, drawn by matplotlib.

They are drawn from the page's own specifications, so what a figure shows is decided in one place.
Here is only as much of plotly's language as the figures of this package use.
"""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attractor.machine.files import write_atomically
from attractor.report.figures import INK, MUTED, PAPER, Figure, Key, Panel, Style
from attractor.types import AttractorError

STYLE = Path(__file__).parent / "templates" / "paper.mplstyle"
KINDS = ("pdf", "svg", "eps", "png")
DPI = 300
LABEL_WIDTH = 30
"""Characters of a line of the label of an axis of values, which is about as long as the axis."""
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v"}


def write_figures(
    figures: list[Figure], folder: Path, kind: str, style: Path = STYLE, dpi: int = DPI
) -> list[Path]:
    """Write each figure as `<id>.<kind>`.

    Args:
        figures: those of the page.
        folder: made if needed.
        kind: pdf, svg, eps or png.
        style: a matplotlib style file.
        dpi: dots per inch of png.

    Raises:
        AttractorError: for an unknown kind or a style file that is not there.
    """
    with print_style(kind, style):
        return [
            save(draw_figure(figure), folder / f"{figure.id}.{kind}", dpi) for figure in figures
        ]


@contextmanager
def print_style(kind: str, style: Path = STYLE) -> Iterator[None]:
    """Draw what is drawn here in a style. Neither pyplot nor the backend, which belong to whoever
    calls, is touched.

    Raises:
        AttractorError: for an unknown kind of file or a style file that is not there.
    """
    if kind not in KINDS:
        raise AttractorError(f"figures = {kind!r}: allowed are {', '.join(KINDS)}")
    if not style.is_file():
        raise AttractorError(f"the style file '{style}' does not exist")
    # Here, since most reports are written without files for a paper, and loading it takes time.
    from matplotlib.style import context

    with context(str(style)):
        yield


def blank(**settings: Any) -> Any:
    """A figure of matplotlib that no window shows and nothing has to close."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawn = Drawing(**settings)
    FigureCanvasAgg(drawn)
    return drawn


def save(drawn: Any, path: Path, dpi: int = DPI) -> Path:
    """Write a figure of matplotlib, in the format that the ending of its path names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix[1:]
    write_atomically(path, functools.partial(drawn.savefig, format=kind, dpi=dpi))
    return path


def draw_figure(figure: Figure) -> Any:
    """Draw one figure of the page; several plots of one kind are a grid with the same axes."""
    drawn, axes = grid(len(figure.panels))
    titles = [_titles(panel) for panel in figure.panels]
    alike = len({axis for _, axis, _ in titles}) == 1
    for i, (panel, ax) in enumerate(zip(figure.panels, axes, strict=True)):
        draw_panel(panel, ax)
        if alike and i % columns(len(axes)):
            ax.set_ylabel("")  # the first plot of the line says it
    add_legend(drawn, figure.keys)
    return drawn


def columns(count: int) -> int:
    """How many plots stand side by side."""
    return count if count <= 2 else 3


def grid(count: int) -> tuple[Any, list[Any]]:
    """A figure with so many plots, at most three in a line."""
    from matplotlib import rcParams

    width, height = rcParams["figure.figsize"]
    wide = columns(count)
    tall = -(-count // wide)
    small = 1.0 if count <= 2 else 0.7
    size = (width * small * wide, height * small * tall + 0.3 * (1 - small))
    drawn = blank(figsize=size)
    axes = drawn.subplots(tall, wide, squeeze=False)
    for empty in axes.flat[count:]:
        empty.set_axis_off()
    return drawn, list(axes.flat[:count])


def add_legend(drawn: Any, keys: Sequence[Key]) -> None:
    """Put a legend below a figure."""
    # Single seeds are dots so small that they need no entry in print.
    handles = [_handle(key.style, key.label) for key in keys if key.tag != "seeds"]
    if handles:
        drawn.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))


def draw_panel(panel: Panel, ax: Any) -> None:
    """Draw one plot of the page."""
    layout = panel.spec["layout"]
    for trace in panel.spec["data"]:
        _draw_trace(trace, ax)
    for shape in layout.get("shapes", ()):
        x, y = ([shape[f"{axis}0"], shape[f"{axis}1"]] for axis in "xy")
        if shape.get("xref") == "x domain":  # from edge to edge
            ax.axhline(y[0], color=MUTED, linewidth=0.6)
        else:
            ax.plot(x, y, color=shape["line"]["color"], linewidth=0.6)
    for note in layout.get("annotations", ()):
        _draw_note(note, ax, layout["xaxis"].get("type") == "log")
    for name in ("x", "y"):
        _set_axis(layout.get(f"{name}axis", {}), name, ax)
    where, axis, x_title = _titles(panel)
    ax.set_xlabel(x_title)
    ax.set_ylabel(textwrap.fill(axis, LABEL_WIDTH))
    ax.set_title(where, fontsize="medium")


def _titles(panel: Panel) -> tuple[str, str, str]:
    """Which plot of several it is, the name of its values, and of its x."""
    layout = panel.spec["layout"]
    x_title = _plain(layout["xaxis"]["title"]["text"]).replace(" (log scale)", "")
    # What stands before a colon, "n = 32: entropy", is which plot of several it is.
    title = _plain(layout["title"]["text"]).replace(" (log scale)", "")
    where, _, axis = title.rpartition(": ")
    return where, axis, x_title


def _draw_note(note: dict[str, Any], ax: Any, log: bool) -> None:
    """A word in the plot. Plotly gives its place on a logarithmic axis in decades, and turns
    clockwise."""
    ax.text(
        10 ** note["x"] if log else note["x"],
        note["y"],
        _plain(note["text"]),
        rotation=-note.get("textangle", 0),
        ha="center",
        va="center",
        fontsize="small",
        color=note["font"]["color"],
    )


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
            # Above the end of its own line, so above those of others, which end lower.
            xytext=(-2 if side == "right" else 2, -2),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize="small",
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
    if axis.get("tickformat", "").endswith("%"):
        from matplotlib.ticker import PercentFormatter

        getattr(ax, f"{name}axis").set_major_formatter(PercentFormatter(1.0, decimals=0))
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


def draw_on(figure: Figure, ax: Any, panel: int = 0) -> None:
    """Draw one plot of a figure on somebody's axes of matplotlib, its legend inside."""
    draw_panel(figure.panels[panel], ax)
    handles = [_handle(key.style, key.label) for key in figure.keys if key.tag != "seeds"]
    ax.legend(handles=handles, fontsize="small", frameon=False)

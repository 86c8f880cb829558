"""The figures of the page as vector files for a paper, drawn by matplotlib from the same data."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from attractor.machine.files import write_atomically
from attractor.report.figures import Figure, Panel, Style
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
            names = {key.tag: key.label for key in figure.keys}
            handles = [
                _handle(key.style, key.label)
                for key in figure.keys
                if key.tag in names and key.tag != "seeds"
            ]
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
        line, mode, x, y = trace.get("line", {}), trace.get("mode", ""), trace["x"], trace["y"]
        if trace.get("fill") == "toself":
            ax.fill(x, y, color=_colour(trace["fillcolor"]), linewidth=0)
        elif mode == "text":
            side = "right" if trace["textposition"].endswith("left") else "left"
            aside = (-3 if side == "right" else 3, 0)
            ax.annotate(_plain(trace["text"][0]).strip(), (x[0], y[0]), xytext=aside,
            textcoords="offset points",
                        ha=side, va="center")  # fmt: skip
        elif mode == "markers":
            ax.plot(x, y, ".", color=_colour(trace["marker"]["color"]), markersize=2, alpha=0.7)
        else:
            marker = trace.get("marker", {}) if "markers" in mode else {}
            ax.plot(
                x, y, color=_colour(line.get("color", "#1b1e23")), linestyle=_dash(line.get("dash",
                "solid")),
                linewidth=line.get("width", 2) * 0.6, marker=MARKERS.get(marker.get("symbol", "")),
                markersize=4,
                markerfacecolor="white" if marker.get("color") == "#fbfaf7" else None,
            )  # fmt: skip
    for shape in layout.get("shapes", ()):
        ax.axhline(shape["y0"], color="#6a707a", linewidth=0.6)
    for name, set_axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        axis = layout.get(f"{name}axis", {})
        log = axis.get("type") == "log"
        getattr(ax, f"set_{name}scale")("log" if log else "linear")
        if "tickvals" in axis:
            set_axis.set_ticks(
                list(axis["tickvals"]), list(map(str, axis.get("ticktext", axis["tickvals"])))
            )
            set_axis.set_ticks([], minor=True)
        if "range" in axis:
            getattr(ax, f"set_{name}lim")(
                *((10**end for end in axis["range"]) if log else axis["range"])
            )
    ax.set_xlabel(_plain(layout["xaxis"]["title"]["text"]).replace(" (log scale)", ""))
    where, _, axis = _plain(layout["title"]["text"]).replace(" (log scale)", "").rpartition(": ")
    ax.set_ylabel(axis)
    ax.set_title(where)


def _handle(style: Style, label: str) -> Any:
    from matplotlib.lines import Line2D

    symbol = style.symbol or ""
    dash: Any = (
        "none" if style.dash == "none" else _dash("solid" if style.dash == "bar" else style.dash)
    )
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
    lengths = [float(part) / 2 for part in re.findall(r"[\d.]+", dash)]
    return (0, lengths) if lengths else "solid"


def _colour(colour: str) -> Any:
    numbers = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", colour)
    return (
        tuple(float(x) / (255 if i < 3 else 1) for i, x in enumerate(numbers.groups()))
        if numbers
        else colour
    )


def _plain(text: str) -> str:
    return re.sub(r"<[^>]+>", " ", text)

"""The numbers and the picture of the demo in README and documentation.

`python -m docs.demo runs/demo` writes them anew from a finished demo.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attractor.analysis.advantage import basin_advantage
from attractor.cli.tables import show_transition
from attractor.cli.terminal import out
from attractor.report import words
from attractor.report.charts import recovery
from attractor.report.sweep_files import read_report
from attractor.report.vector import draw_figure, print_style, save
from docs.tables import written

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- demo: printed by python -m docs.demo -->", "<!-- end of demo -->"
PICTURE = ROOT / "docs" / "images" / "demo.png"


def whole(content: dict[str, Any]) -> str:
    """What the demo prints, from its transition.json."""
    width = out.width
    out.width = 200  # as a wide terminal: no line is wrapped
    try:
        with out.capture() as printed:
            show_transition(content)
    finally:
        out.width = width
    return "\n".join(line.rstrip() for line in printed.get().splitlines())


def excerpt(content: dict[str, Any]) -> str:
    """Recovery at the smallest t, and its n*: what a reader needs first."""
    t = min(row["t"] for row in content["rows"])
    rows = [row for row in content["rows"] if row["t"] == t]
    lines = [("training rows", "training text returns", "unseen text returns", "basin advantage")]
    for n in sorted({row["n_train"] for row in rows}):
        train, test = (
            next(row["recovery_rate"] for row in rows if (row["n_train"], row["split"]) == (n, s))
            for s in ("train", "test")
        )
        cells = (
            words.count(n),
            f"{train:.0%}",
            f"{test:.0%}",
            f"{basin_advantage(train, test):.2f}",
        )
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    star = next(star for star in content["transition"] if star["t"] == t)
    return "\n".join([*table, "", _place(star, t)])


def _place(star: dict[str, Any], t: float) -> str:
    if star["n_star"] is None:
        return f"no n* at t = {t:g}: {star['reason']}"
    said = f"n* = {star['n_star']:,.0f} at t = {t:g}"
    return said + (" [{:,.0f}, {:,.0f}]".format(*star["ci"]) if star["ci"] else "")


PAGES: dict[str, Callable[[dict[str, Any]], str]] = {"README.md": excerpt, "docs/demo.md": whole}
"""Files with a block, and what prints it."""


def filled(text: str, printed: str) -> str:
    """A page with its block as it should be."""
    return written(text, f"```text\n{printed}\n```", BEGIN, END)


def draw(sweep: Path, path: Path = PICTURE) -> None:
    """Draw the first figure of the report, as wide as a page."""
    from matplotlib import rcParams

    with print_style("png"):
        rcParams |= {"figure.figsize": (7, 4), "font.size": 9, "savefig.facecolor": "white"}
        save(draw_figure(recovery(read_report(sweep))), path, dpi=180)


if __name__ == "__main__":
    (sweep,) = map(Path, sys.argv[1:])
    content = json.loads((sweep / "transition.json").read_text())
    for name, print_ in PAGES.items():
        (ROOT / name).write_text(filled((ROOT / name).read_text(), print_(content)))
    draw(sweep)

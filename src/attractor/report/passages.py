"""Passages in print: a figure of matplotlib, and TeX."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from attractor.report import words
from attractor.report.figures import GENERATED, INK, MUTED, PALETTE
from attractor.report.tables import escaped
from attractor.report.vector import blank
from attractor.report.view import Passage, Restoration

COLOURS = {"recovered": PALETTE[0], "failed": PALETTE[1], "unstable": GENERATED}
NAMES = {"recovered": "came back", "failed": "did not", "unstable": "broken"}
MOST = 76
"""Characters of a line."""
SIZE = 7.0
"""Of the letters, in points."""
ADVANCE = 0.602
"""Width of a letter of DejaVu Sans Mono, in its size."""
LABEL = 14
"""Characters that the names of the lines take."""


class Cell(NamedTuple):
    """One token in one line."""

    text: str
    mark: str
    """its outcome; `noise` where it was put in by the noise; empty for nothing to show"""


class Written(NamedTuple):
    """One line of a passage: whose text it is, and its tokens."""

    name: str
    cells: list[Cell]


def lines(passage: Passage) -> Iterator[Written]:
    """The original, what the noise made of it, and what each model returned."""
    first = passage.readings[0]
    yield Written("original", [Cell(words.visible(t.original), "") for t in first.tokens])
    yield Written("corrupted", _corrupted(first))
    for reading in passage.readings:
        name = f"n = {words.count(reading.n_train)}"
        cells = [
            Cell(words.visible(t.recovered), "" if t.outcome == "stable" else t.outcome)
            for t in reading.tokens
        ]
        yield Written(name, cells)


def _corrupted(reading: Restoration) -> list[Cell]:
    touched = ("recovered", "failed")
    return [
        Cell(words.visible(t.corrupted), "noise" if t.outcome in touched else "")
        for t in reading.tokens
    ]


def draw_passages(passages: tuple[Passage, ...]) -> Any:
    """A figure with all passages in monospace, each token below the one it was."""
    from matplotlib.patches import Rectangle

    placed, height = [], 0.0
    for passage in passages:
        placed.append((height, f"{_title(passage)}", [Cell("", "")], [0.0]))
        height += 1.4
        for block in _wrapped(passage.widths):
            for name, cells in lines(passage):
                starts = _starts(passage.widths, block)
                placed.append((height, name, [cells[i] for i in block], starts))
                height += 1.35
            height += 0.5
    wide = LABEL + max(min(MOST, sum(passage.widths)) for passage in passages)
    inch = SIZE / 72
    # Every letter has its place already, so there is nothing to lay out.
    drawn = blank(layout="none", figsize=(wide * ADVANCE * inch, (height + 1.6) * inch * 1.25))
    ax = drawn.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, wide), ylim=(height + 1.6, -0.8))
    ax.set_axis_off()
    font: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": SIZE, "va": "center_baseline"}
    for y, name, cells, starts in placed:
        title = not cells[0].text and len(cells) == 1
        ax.text(0, y, name, fontsize=SIZE, va="center_baseline", color=INK if title else MUTED)
        for cell, x in zip(cells, starts, strict=True):
            colour = COLOURS.get(cell.mark, MUTED if cell.mark else None)
            if colour:
                room = (LABEL + x, y - 0.55), max(1, len(cell.text)), 1.1
                ax.add_patch(Rectangle(*room, facecolor=colour, alpha=0.25, linewidth=0))
            ax.text(LABEL + x, y, cell.text, color=INK, **font)
    for i, (mark, name) in enumerate(NAMES.items()):
        x = LABEL + 14 * i
        ax.add_patch(Rectangle((x, height), 1.6, 1.1, facecolor=COLOURS[mark], alpha=0.25))
        ax.text(x + 2.2, height + 0.55, name, fontsize=SIZE, va="center", color=MUTED)
    return drawn


def _title(passage: Passage) -> str:
    kind = "training" if passage.split == "train" else "unseen"
    return f"{kind} passage, row {passage.row}, t = {words.time(passage.t)}"


def _wrapped(widths: list[int]) -> list[list[int]]:
    """The places of each line of at most `MOST` characters."""
    blocks: list[list[int]] = [[]]
    used = 0
    for i, width in enumerate(widths):
        if used + width > MOST and blocks[-1]:
            blocks.append([])
            used = 0
        blocks[-1].append(i)
        used += width
    return blocks


def _starts(widths: list[int], block: list[int]) -> list[float]:
    """Where each place of a line begins, in characters."""
    starts = [0.0]
    for i in block[:-1]:
        starts.append(starts[-1] + widths[i])
    return starts


MACROS = r"""% What is marked: redefine these to show it otherwise.
\providecommand{\tokcameback}[1]{\underline{#1}}
\providecommand{\tokfailed}[1]{\textbf{#1}}
\providecommand{\tokbroken}[1]{\textit{#1}}
\providecommand{\toknoise}[1]{\textbf{#1}}
"""
SIGNS = {" ": "~", "↵": r"$\hookleftarrow$", "⇥": r"$\rightarrow$", "∅": r"$\emptyset$"}
COMMANDS = {
    "recovered": "tokcameback",
    "failed": "tokfailed",
    "unstable": "tokbroken",
    "noise": "toknoise",
}


def latex_passages(passages: tuple[Passage, ...]) -> str:
    """A tabular in the style of booktabs for each passage, in typewriter letters."""
    return MACROS + "\n".join(map(_tabular, passages))


def _tabular(passage: Passage) -> str:
    rows = [
        f"{escaped(name)} & \\texttt{{{_typeset(cells)}}} \\\\" for name, cells in lines(passage)
    ]
    body = "\n".join(rows)
    return (
        f"% {_title(passage)}\n\\begin{{tabular}}{{ll}}\n\\toprule\n{body}\n\\bottomrule\n"
        "\\end{tabular}\n"
    )


def _typeset(cells: list[Cell]) -> str:
    """Tokens as TeX; neighbours with the same mark share it."""
    parts = []
    for mark, group in groupby(cells, key=lambda cell: cell.mark):
        # As letters of their own, several spaces in a row stay as they are.
        text = "".join(SIGNS.get(c, escaped(c)) for c in "".join(cell.text for cell in group))
        parts.append(f"\\{COMMANDS[mark]}{{{text}}}" if mark else text)
    return "".join(parts)

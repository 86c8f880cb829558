"""A still of the explorer as SVG: one training line and one unseen line, falling under the model of
the smallest and under that of the largest training set."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.explore.collect import Collection
from attractor.explore.falls import Fall, fall
from attractor.explore.spelling import signs
from attractor.report.figures import DARK, FONT, INK, MUTED, PALETTE, PAPER

SHARE = 0.3
ROWS = 12
SIZE, CELL, LINE, EDGE, HEAD = 12, 7.3, 17, 24, 30
BLUE, VERMILLION, PURPLE = PALETTE[0], PALETTE[1], "#a8457d"


class Panel(NamedTuple):
    """One fall in a picture."""

    title: str
    original: Tensor
    watched: Fall


def panels(found: Collection) -> list[Panel]:
    """The four falls: training and unseen text under the model of few rows and that of many."""
    ends = list(dict.fromkeys((min(found.models), max(found.models))))
    texts = (("a training line", found.learned[0]), ("an unseen line", found.unseen[0]))
    return [
        Panel(f"{what}, n = {n:,}", torch.as_tensor(row), _fall(found, n, row))
        for what, row in texts
        for n in ends
    ]


def _fall(found: Collection, n: int, row: object) -> Fall:
    return fall(found.models[n], torch.as_tensor(row).long(), SHARE)


def still(found: Collection) -> str:
    """The picture as text."""
    shown, drawn = panels(found), []
    shown_as = signs(found.tokenizer, next(iter(found.models.values())).process.vocab_size)
    columns = len(shown) // 2
    wide = max(_width(panel, shown_as) for panel in shown)
    high = HEAD + ROWS * LINE + EDGE
    for i, panel in enumerate(shown):
        left, top = EDGE + (i % columns) * (wide + EDGE), EDGE + (i // columns) * high
        drawn += _panel(panel, shown_as, left, top)
    width, height = EDGE + columns * (wide + EDGE), EDGE + 2 * high
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="Two spoiled lines under two models, step by step">\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{width:.0f}" height="{height}"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


_STYLE = f"""
text {{ font: {SIZE}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: {INK};
  white-space: pre }}
.paper {{ fill: {PAPER} }} .title {{ font: 600 14px {FONT}; fill: {MUTED} }}
.back {{ fill: {BLUE}; font-weight: 700 }} .off {{ fill: {VERMILLION}; font-weight: 700;
  text-decoration: underline }} .broke {{ fill: {PURPLE}; font-weight: 700;
  text-decoration: line-through }}
@media (prefers-color-scheme: dark) {{ text {{ fill: {DARK[INK]} }} .paper {{ fill: {DARK[PAPER]} }}
  .title {{ fill: {DARK[MUTED]} }} .back {{ fill: {DARK.get(BLUE, BLUE)} }}
  .off {{ fill: {DARK.get(VERMILLION, VERMILLION)} }} .broke {{ fill: #e08fbb }} }}
"""


def standing(now: int, before: int, original: int) -> str:
    """What a token is at a moment: back, off (spoiled and not right), broke, or none of them."""
    if before == original:
        return "" if now == original else "broke"
    return "back" if now == original else "off"


def _panel(panel: Panel, shown_as: list[str], left: float, top: float) -> list[str]:
    tokens = panel.watched.tokens
    chosen = torch.linspace(0, len(tokens) - 1, ROWS).round().long()
    cells = [_cell(panel, shown_as, i) for i in range(tokens.shape[1])]
    drawn = [f'<text class="title" x="{left:.1f}" y="{top + 12:.1f}">{escape(panel.title)}</text>']
    for r, row in enumerate(tokens[chosen].tolist()):
        y, x, parts = top + HEAD + r * LINE, left, []
        for i, token in enumerate(row):
            kind = standing(token, int(tokens[0, i]), int(panel.original[i]))
            mark = f' class="{kind}"' if kind else ""
            parts.append(f'<tspan x="{x:.1f}"{mark}>{escape(shown_as[token])}</tspan>')
            x += cells[i] * CELL
        drawn.append(f'<text y="{y + SIZE:.1f}">{"".join(parts)}</text>')
    return drawn


def _cell(panel: Panel, shown_as: list[str], i: int) -> int:
    return max(len(shown_as[token]) for token in panel.watched.tokens[:, i].tolist())


def _width(panel: Panel, shown_as: list[str]) -> float:
    return CELL * sum(_cell(panel, shown_as, i) for i in range(panel.watched.tokens.shape[1]))

"""Draw the house, its rooms stacked as the import contract says, and the way of the data.

`python -m docs.architecture` writes docs/architecture.svg. A test draws it again and compares.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from attractor.report.figures import DARK, FONT, INK, MUTED, PALETTE, PAPER, RULE

ROOT = Path(__file__).parents[1]
CONTRACT, PICTURE = ROOT / "pyproject.toml", ROOT / "docs" / "architecture.svg"

WORDS = {
    "__main__": "python -m attractor",
    "cli": "commands and what they print: thin, every word of it a setting or a call",
    "api": "the calls of notebooks and scripts, and what they give back: sweeps, runs, audits",
    "sweeps": "many runs: plan, executors, search, summary",
    "audits": "one model: evidence, verdict, page",
    "theory_page": "the page of attractor theory",
    "explore": "the explorer: models that run in a page",
    "publish": "a run as a model of the Hub",
    "hf": "our models inside transformers",
    "runs": "one run: its folder, its training, its measuring; taken up again where it stopped",
    "adapters": "checkpoints of other people, each to a Denoiser: one file a family",
    "reference": "models that ship with the package",
    "report": "the page of a sweep: figures, tables, sentences",
    "measurements": "one file a measurement: its question, arrays, numbers and figure",
    "train": "steps on the NELBO, checkpoints",
    "probes": "functions of a Denoiser and of tokens",
    "analysis": "intervals, distances, the transition",
    "theory": "models whose answer is known",
    "model": "Denoiser, and the network behind it",
    "data": "text to rows of tokens, nested training sets",
    "results": "what was measured, on disk and in memory",
    "process": "token noise: schedule, posterior, NELBO, counted noise",
    "machine": "crash-safe files, checkpoints, devices, ranks",
    "config": "settings, presets, and the hash that names a run",
    "notebook": "tables and coloured tokens for notebooks",
    "types": "the error that every user sees, and names of shapes",
}
"""What each room is for."""


class Step(NamedTuple):
    """A stage on the way of the data."""

    room: str
    does: str
    leaves: str


STEPS = (
    Step("data", "text is cut into rows of tokens, shuffled once", "train.npy"),
    Step("train", "a network is trained on the first n rows", "model.safetensors"),
    Step("probes", "rows are corrupted, and the model repairs them", "tokens.parquet"),
    Step("measurements", "numbers are made of it, each with an interval", "results.parquet"),
    Step("analysis", "over all n: where does memorization end?", "transition.json"),
    Step("report", "all of it is drawn on one page", "report.html"),
)

WIDTH, LEFT, RIGHT = 900, 56, 876
GAP, PAD, LINE = 8, 12, 16
CHARACTER = 6.9
"""Width of a character of the small print in a wide font."""


class Contract(NamedTuple):
    """What the picture is drawn from."""

    floors: tuple[tuple[str, ...], ...]
    """from the top: rooms of one floor do not know each other"""
    without_settings: frozenset[str]


def read_contract(path: Path = CONTRACT) -> Contract:
    """The contracts of import-linter in pyproject.toml."""
    contracts: list[dict[str, Any]] = tomllib.loads(path.read_text())["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    floors = tuple(tuple(re.split(r"\s*[|:]\s*", layer.strip("() "))) for layer in layers)
    blind = [
        module.removeprefix("attractor.")
        for contract in contracts
        if contract.get("forbidden_modules") == ["attractor.config"]
        for module in contract["source_modules"]
    ]
    return Contract(floors, frozenset(blind))


def draw(contract: Contract) -> str:
    """The picture as SVG.

    Raises:
        KeyError: for a room that `WORDS` has no words for.
    """
    parts, top = list(_roof(contract.floors[0])), 84.0
    for floor in contract.floors[1:]:
        drawn, height = _floor(floor, contract.without_settings, top)
        parts += drawn
        top += height + GAP
    parts += _ground(top, contract)
    way, height = _way(top + 82)
    total = round(top + 82 + height + 16)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img" '
        f"aria-label=\"The rooms of the package and the way of the data\" font-family='{FONT}'>\n"
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{WIDTH}" height="{total}" rx="10"/>\n'
        + "\n".join([*parts, *way])
        + "\n</svg>\n"
    )


_COLOURS = """
text {{ fill: {ink} }} .note {{ fill: {muted} }} .paper {{ fill: {paper} }}
.room, .card {{ fill: {card}; stroke: {rule} }} .maths {{ fill: {maths}; stroke: {blue} }}
.roof {{ fill: {card}; stroke: {rule} }} .arrow {{ stroke: {muted} }} .head {{ fill: {muted} }}
.badge {{ fill: {blue} }} .digit {{ fill: {paper} }} .file {{ fill: {blue} }}"""
_LIGHT = {
    "ink": INK, "muted": MUTED, "paper": PAPER, "rule": "#d3d0c8", "card": "#ffffff",
    "maths": "#eaf3f9", "blue": PALETTE[0],
}  # fmt: skip
_NIGHT = {
    "ink": DARK[INK], "muted": DARK[MUTED], "paper": DARK[PAPER], "rule": DARK[RULE],
    "card": "#1f2226", "maths": "#182936", "blue": DARK[PALETTE[0]],
}  # fmt: skip
_STYLE = f"""{_COLOURS.format(**_LIGHT)}
text {{ font-size: 12px }} .step {{ font-weight: 600 }}
.name {{ font-size: 15px; font-weight: 600 }}
.digit {{ font-size: 11.5px; font-weight: 700 }} .arrow {{ fill: none; stroke-width: 1.5 }}
.file {{ font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }}
@media (prefers-color-scheme: dark) {{{_COLOURS.format(**_NIGHT)} }}
"""


def _roof(rooms: tuple[str, ...]) -> Iterator[str]:
    middle = (LEFT + RIGHT) / 2
    yield f'<path class="roof" d="M{LEFT - 18} 76L{middle:g} 12L{RIGHT + 14} 76z"/>'
    name = " ".join(rooms)
    yield _text(middle, 50, name, "name", "middle")
    yield _text(middle, 67, " ".join(WORDS[room] for room in rooms), "note", "middle")


def _floor(
    rooms: tuple[str, ...], without_settings: frozenset[str], top: float
) -> tuple[list[str], float]:
    """The rooms of a floor side by side, and how high it is."""
    width = (RIGHT - LEFT - GAP * (len(rooms) - 1)) / len(rooms)
    lines = {room: _wrapped(WORDS[room], width - 2 * PAD) for room in rooms}
    height = 32 + LINE * max(map(len, lines.values())) + 4
    parts = []
    for i, room in enumerate(rooms):
        left = LEFT + i * (width + GAP)
        kind = "maths" if room in without_settings else "room"
        parts += [
            f'<rect class="{kind}" x="{left:.1f}" y="{top:g}" width="{width:.1f}" '
            f'height="{height}" rx="6"/>',
            _text(left + PAD, top + 23, room, "name"),
            *_lines(left + PAD, top + 41, lines[room]),
        ]
        numbers = [n for n, step in enumerate(STEPS, 1) if step.room == room]
        parts += [p for n in numbers for p in _badge(left + width - PAD - 8, top + 19, n)]
    return parts, height


def _ground(top: float, contract: Contract) -> Iterator[str]:
    """What the marks of the house mean, and the arrow beside it."""
    yield f'<path class="arrow" d="M28 92V{top - 22:g}"/>'
    yield f'<path class="head" d="M22 {top - 24:g}h12l-6 12z"/>'
    middle = (92 + top) / 2
    yield (
        f'<text class="note" transform="translate(20 {middle:g}) rotate(-90)" '
        'text-anchor="middle">a room imports only what is below it</text>'
    )
    y = top + 16
    yield f'<rect class="maths" x="{LEFT}" y="{y - 11:g}" width="14" height="14" rx="3"/>'
    yield _text(LEFT + 22, y, "mathematics: receives arguments, never the settings", "note")
    yield from _badge(LEFT + 402, y - 4, 1)
    yield _text(LEFT + 418, y, "a stage on the way of the data", "note")


def _way(top: float) -> tuple[list[str], float]:
    """The stages from text to page, and how high they are."""
    gap = 10
    width = (RIGHT - LEFT - gap * (len(STEPS) - 1)) / len(STEPS)
    lines = [_wrapped(step.does, width - 20) for step in STEPS]
    height = 64 + LINE * max(map(len, lines))
    parts = [_text(LEFT, top - 26, "The way of the data", "name")]
    for i, step in enumerate(STEPS):
        left = LEFT + i * (width + gap)
        parts += [
            f'<rect class="card" x="{left:.1f}" y="{top:g}" width="{width:.1f}" '
            f'height="{height}" rx="6"/>',
            *_badge(left + 20, top, i + 1),
            _text(left + 10, top + 28, step.room, "step"),
            *_lines(left + 10, top + 48, lines[i]),
            _text(left + 10, top + height - 10, step.leaves, "file"),
        ]
        if i:
            middle = top + height / 2
            parts.append(f'<path class="head" d="M{left - 8.5:.1f} {middle - 5:g}l7 5l-7 5z"/>')
    return parts, height


def _badge(x: float, y: float, number: int) -> tuple[str, str]:
    return (
        f'<circle class="badge" cx="{x:.1f}" cy="{y:g}" r="9.5"/>',
        _text(x, y + 4, str(number), "digit", "middle"),
    )


def _wrapped(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int(width / CHARACTER), break_long_words=False)


def _lines(x: float, y: float, lines: Iterable[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        yield _text(x, y + LINE * i, line, "note")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(read_contract()), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))

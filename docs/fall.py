"""Draw the animation of the README: a training line and an unseen one, spoiled, and repaired by two
of the reference models.

`python -m docs.fall` writes docs/images/fall.gif. The lines were chosen so that both ends are seen;
how many lines return in the mean, docs/reference-models.md says. The falls are those of the
explorer with 20% spoiled and noise 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from attractor.explore.collect import Collection, of_reference
from attractor.explore.falls import Fall, fall
from attractor.explore.spelling import signs
from attractor.explore.still import standing
from attractor.report.figures import INK, MUTED, PALETTE, PAPER

PICTURE = Path(__file__).parent / "images" / "fall.gif"
SHARE = 0.2
TRAIN, UNSEEN = 2, 2
"""Which of the explorer's lines."""
FEW, MANY = 64, 57813
WIDTH, EDGE, TOP, PANEL, LINE = 960, 28, 26, 128, 30
FILLS = {"back": PALETTE[0], "off": "#c04a00", "broke": "#a8457d", "": INK}
BEAT, START, END = 350, 1500, 4500
"""Milliseconds of a frame, of the first and of the last."""


class Panel(NamedTuple):
    """A line under a model."""

    title: str
    row: torch.Tensor
    watched: Fall


def panels(found: Collection) -> list[Panel]:
    """What is shown, from top to bottom."""
    train, unseen = (torch.as_tensor(rows[i]).long() for rows, i in
                     ((found.learned, TRAIN), (found.unseen, UNSEEN)))  # fmt: skip
    shown = (
        (f"A line it was trained on. Model of {FEW:,} lines", train, FEW),
        (f"A line it has never seen. Model of {FEW:,} lines", unseen, FEW),
        (f"A line it has never seen. Model of {MANY:,} lines", unseen, MANY),
    )
    return [Panel(title, row, fall(found.models[n], row, SHARE)) for title, row, n in shown]


def draw(shown: list[Panel], shown_as: list[str], at: int) -> Image.Image:
    """One frame: each line as it was, and as it is at a moment."""
    image = Image.new("RGB", (WIDTH, TOP + PANEL * len(shown)), PAPER)
    pen = ImageDraw.Draw(image)
    text, small = _font("DejaVuSans.ttf", 17), _font("DejaVuSansMono.ttf", 14)
    mono, bold = _font("DejaVuSansMono.ttf", 23), _font("DejaVuSansMono-Bold.ttf", 23)
    cell = mono.getlength("m")
    for k, (title, row, watched) in enumerate(shown):
        tokens, top = watched.tokens, TOP + k * PANEL
        now = tokens[min(at, len(tokens) - 1)]
        pen.text((EDGE, top), title, INK, text)
        spoiled = tokens[0] != row
        back = f"{int(((now == row) & spoiled).sum())} of {int(spoiled.sum())} came back"
        if broken := int(((now != row) & ~spoiled).sum()):
            back += f", {broken} broke"
        pen.text((WIDTH - EDGE, top), back, INK, text, anchor="ra")
        pen.text((EDGE, top + 28), "".join(shown_as[i] for i in row), MUTED, small)
        for i, token in enumerate(now.tolist()):
            kind = standing(token, int(tokens[0, i]), int(row[i]))
            x = EDGE + i * cell
            pen.text((x, top + 52), shown_as[token], FILLS[kind], bold if kind else mono)
            if kind:
                pen.line((x + 1, top + 52 + LINE, x + cell - 2, top + 52 + LINE), FILLS[kind], 2)
    return image


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)


def write(path: Path = PICTURE) -> Path:
    """Write the animation."""
    found = of_reference()
    shown = panels(found)
    shown_as = signs(found.tokenizer, found.models[FEW].process.vocab_size)
    count = max(len(panel.watched.tokens) for panel in shown)
    frames = [draw(shown, shown_as, at).quantize(64) for at in range(count)]
    times = [START, *[BEAT] * (count - 2), END]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return path


if __name__ == "__main__":
    written = write()
    print(f"{written.name}: {written.stat().st_size:,} bytes")

"""The figures of denoisers whose law is known exactly, and of a network trained between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attractor.report import words
from attractor.report.axes import plane, share_axis
from attractor.report.curves import Line, draw_lines, label, name_and_split, span, split_keys
from attractor.report.figures import (
    DASHES,
    MUTED,
    PALETTE,
    SYMBOLS,
    Figure,
    Key,
    Panel,
    Style,
    finish,
)
from attractor.theory_page.view import Theory

MODELS = ("memorizer", "network", "generalizer")
_MODEL_COLOURS = dict(zip(MODELS, (PALETTE[1], PALETTE[0], PALETTE[2]), strict=True))


def controls(theory: Theory) -> list[Figure]:
    """Recovery and entropy of the controls, and, where there is a network, its distance from the
    generalizer."""
    drawn = [
        _control(
            theory,
            "controls",
            "Controls: the perfect memorizer and the perfect generalizer",
            theory.recovery,
            "corrupted tokens that return",
            words.percent,
            share_axis(),
            "Two denoisers that are exact, under the probe of the language-model report. The "
            "memorizer knows its training sequences and nothing else; the generalizer knows the "
            "source they were drawn from and no sequence. A trained model is read against both.",
        ),
        _control(
            theory,
            "control-entropy",
            "Entropy of the controls",
            theory.entropy,
            "conditional entropy, nats per token",
            words.nats,
            {"rangemode": "tozero"},
            "The memorizer is sure of every training token until its training set is so large that "
            "sequences differing in one token are in it; the generalizer is as unsure as the "
            "source allows, which for a token between two neighbours is "
            f"{words.nats(theory.closed_form)} nats in closed form, the level line."
            + _left_to_learn(theory),
            level=theory.closed_form,
        ),
    ]
    if theory.distance:
        distance = _control(
            theory,
            "distance",
            "Distance to the perfect generalizer",
            theory.distance,
            "KL from the source, nats per token (log scale)",
            words.nats,
            {"type": "log", "dtick": 1},
            "How far the conditional distributions of the network, each token given all the "
            "others, are from those of the source. Only where the source is known exactly can this "
            "be measured.",
        )
        drawn.append(distance)
    return drawn


def _left_to_learn(theory: Theory) -> str:
    """Say so where the network ends up less sure than the source allows.

    With that many sequences data do not run out, so that it is training that was too short.
    """
    last = {line.name: line.points[-1][1].value for line in theory.entropy if line.split == "test"}
    excess = last.get("network", 0.0) - last["generalizer"]
    if excess < 0.005:
        return ""
    return (
        f" With the most data the network is {words.nats(excess)} nats less sure of unseen tokens "
        "than the generalizer: that is what its training was too short for."
    )


def _control(
    theory: Theory,
    id: str,
    title: str,
    lines: tuple[Line, ...],
    y_title: str,
    form: Callable[[float], str],
    y_axis: dict[str, Any],
    read: str,
    level: float | None = None,
) -> Figure:
    def style(line: Line) -> Style:
        symbol = SYMBOLS[MODELS.index(line.name)]
        shape = symbol if line.split == "train" else f"{symbol}-open"
        return Style(_MODEL_COLOURS[line.name], DASHES[line.split], shape)

    figure = plane("training sequences n (log scale)", y_title, span(lines), log=True)
    draw_lines(figure, lines, style, name_and_split, form)
    figure.update_yaxes(**y_axis)
    if level is not None:
        dotted = {"color": MUTED, "width": 1, "dash": "1.5px,3.5px"}
        figure.add_hline(y=level, line=dotted, layer="below")
    keys = [
        Key(
            tag=name,
            label=name,
            style=Style(_MODEL_COLOURS[name], "none", SYMBOLS[MODELS.index(name)]),
        )
        for name in dict.fromkeys(line.name for line in lines)
    ]
    return Figure(
        id=id,
        title=title,
        read=read,
        assumed=theory.control_note,
        keys=(*keys, *split_keys(lines, {"train": "training", "test": "unseen"})),
        panels=(
            Panel(
                id=f"{id}-plot",
                label=label(title, lines, name_and_split, form),
                spec=finish(figure),
            ),
        ),
    )

"""Reference curves: what audits of the models of a finished sweep found.

A model of the same kind, trained on the same text, may be looked at beside them. No verdict is read
from them: nats do not carry from one text to another.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attractor.analysis.advantage import HALF
from attractor.audits.thresholds import TENTH
from attractor.machine.files import require_regular
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

SCHEMA = 1
REACH = 4.5
"""A reference carries to models whose vocabulary and length are within this factor of its own."""
CURVES = {
    "entropy": "conditional entropy of its own text, nats per token",
    "vanishing": "tokens it is sure of",
    "agreement": "agreement of two noises",
}
"""The numbers that are placed on the curves."""


@dataclass(frozen=True, kw_only=True)
class ReferenceModel:
    """One model of the sweep."""

    n_train: int
    advantage: Estimate
    """of training over unseen text; it decides which state the model is in"""
    numbers: dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The models of one sweep, of one architecture and noise, and how they were audited."""

    name: str
    process: str
    vocab_size: int
    seq_len: int
    parameters: int
    steps: int
    """of the reverse process in the audits"""
    t: float
    """of the two noises"""
    points: tuple[ReferenceModel, ...]
    """in the order of their n_train"""

    def place(self, level: float) -> float:
        """The n_train, between models, at which the basin advantage has fallen to a level."""
        # It falls with n up to the error of each model; a running minimum makes the place unique.
        falling = np.minimum.accumulate([point.advantage.value for point in self.points])
        log_n = np.log([point.n_train for point in self.points])
        # Both with a minus, since np.interp wants x to rise.
        return float(np.exp(np.interp(-level, -falling, log_n)))

    def misfit(
        self, process: str, vocab_size: int, seq_len: int, steps: int, t: float
    ) -> list[str]:
        """Why the curves do not carry to a model; empty if they do."""
        found = []
        if process != self.process:
            found.append(f"its noise is {process}, theirs {self.process}")
        for what, own, theirs in (
            ("vocabulary", vocab_size, self.vocab_size),
            ("length", seq_len, self.seq_len),
        ):
            if not 1 / REACH <= own / theirs <= REACH:
                found.append(f"its {what} is {own:,}, theirs {theirs:,}")
        # What two noises agree on and what a model writes depend on these: they must be the same.
        if (steps, t) != (self.steps, self.t):
            found.append(
                f"it was run with {steps} steps and t = {t:g}, they with {self.steps} and "
                f"{self.t:g}"
            )
        return found

    def text(self) -> str:
        """As the JSON that `read_reference` reads."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=1) + "\n"


def read_reference(path: Path) -> Reference:
    """Read reference curves from a JSON file.

    Raises:
        AttractorError: if it is damaged, or its models do not span the transition.
    """
    require_regular(path)
    try:
        content = json.loads(path.read_text())
        if content.pop("schema") != SCHEMA:
            raise AttractorError(f"'{path}' is of another schema; this version reads {SCHEMA}")
        found = Reference(**{**content, "points": tuple(map(_point, content["points"]))})
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise AttractorError(f"'{path}' is no reference: {error!s:.200}") from None
    check_spans(found, path)
    return found


def check_spans(found: Reference, path: Path) -> None:
    """Raise AttractorError unless the models memorize at one end and generalize at the other."""
    if not (
        found.points
        and found.points[0].advantage.value > HALF
        and found.points[-1].advantage.value < TENTH
    ):
        raise AttractorError(
            f"'{path}' is no reference: its models do not go from memorizing to generalizing"
        )


def _point(content: dict[str, Any]) -> ReferenceModel:
    numbers = {name: _estimate(values) for name, values in content["numbers"].items()}
    if not numbers.keys() >= CURVES.keys():
        raise AttractorError(
            f"a model of the reference lacks {', '.join(CURVES.keys() - numbers.keys())}"
        )
    return ReferenceModel(
        n_train=content["n_train"], advantage=_estimate(content["advantage"]), numbers=numbers
    )


def _estimate(content: list[Any]) -> Estimate:
    # All four must be there: no span can be made of a number without an interval. A fifth tells how
    # alike the sequences of a group were, which nothing here asks for.
    value, low, high, n = content[:4]
    return Estimate(value, low, high, n)

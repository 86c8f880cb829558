"""Reference curves: what audits of the models of a finished sweep found.

A model without its data is placed on them: where the numbers of its own text are those of reference
models that are known to memorize, it is taken to memorize too.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attractor.analysis.advantage import HALF
from attractor.machine.files import require_regular
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

SCHEMA = 1
REACH = 4.5
"""A reference carries to models whose vocabulary and length are within this factor of its own."""
TENTH = 0.1
"""Basin advantage of training text below which a model generalizes; above `HALF` it memorizes."""
CURVES = {
    "entropy": "conditional entropy of its own text, nats per token",
    "vanishing": "tokens it is sure of",
    "agreement": "agreement of two noises",
}
"""The numbers that are placed on the curves."""


class Span(NamedTuple):
    """The values of a number that models of one state may show."""

    low: float
    high: float


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

    def edges(self, name: str) -> tuple[float, float]:
        """The value of a number where memorization ends, and that where generalization begins."""
        return self._at(name, HALF).value, self._at(name, TENTH).value

    def spans(self, name: str) -> tuple[Span, Span, Span]:
        """What memorizing models, those in transition, and generalizing ones show.

        A span goes from edge to edge, and as far as the intervals of its reference models reach. A
        curve need not rise or fall throughout, so spans may overlap; then a number allows several
        states.
        """
        first, second = self._at(name, HALF), self._at(name, TENTH)
        memorizing, transition, generalizing = [first], [first, second], [second]
        for point in self.points:
            level = point.advantage.value
            state = memorizing if level > HALF else transition if level > TENTH else generalizing
            state.append(point.numbers[name])
        left, middle, right = map(_span, (memorizing, transition, generalizing))
        # Beyond the outermost reference models are models of the same state, only more so.
        if self.rises(name):
            return left._replace(low=-math.inf), middle, right._replace(high=math.inf)
        return left._replace(high=math.inf), middle, right._replace(low=-math.inf)

    def _at(self, name: str, level: float) -> Estimate:
        """A number where the basin advantage has fallen to a level, between models in log n."""
        log_n, place = np.log([point.n_train for point in self.points]), math.log(self.place(level))
        estimates = [point.numbers[name] for point in self.points]
        curve = np.array([(e.value, *e.ends()) for e in estimates])
        value, low, high = (float(np.interp(place, log_n, column)) for column in curve.T)
        return Estimate(value, low, high)

    def rises(self, name: str) -> bool:
        """Whether a number is larger where the model generalizes."""
        return self.points[-1].numbers[name].value > self.points[0].numbers[name].value

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

    def distance(self, vocab_size: int, seq_len: int) -> float:
        """How far the shape of a model is from this sweep's."""
        return abs(math.log(vocab_size / self.vocab_size)) + abs(math.log(seq_len / self.seq_len))

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


def shipped() -> list[Reference]:
    """The references that come with the package."""
    entries = sorted(files("attractor.audits.references").iterdir(), key=lambda entry: entry.name)
    return [read_reference(Path(str(entry))) for entry in entries if entry.name.endswith(".json")]


def nearest(
    references: Sequence[Reference],
    process: str,
    vocab_size: int,
    seq_len: int,
    steps: int,
    t: float,
) -> Reference:
    """The reference that carries to a model; of several, the one whose models are most like it.

    If none carries, it is the one that the least speaks against; it can be shown, but not used.
    """

    def how_far(found: Reference) -> tuple[int, bool, float]:
        misfit = found.misfit(process, vocab_size, seq_len, steps, t)
        return len(misfit), process != found.process, found.distance(vocab_size, seq_len)

    return min(references, key=how_far)


def _span(estimates: list[Estimate]) -> Span:
    """As far as any of the intervals reaches."""
    ends = [e.ends() for e in estimates]
    return Span(min(low for low, _ in ends), max(high for _, high in ends))


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

"""What is estimated beside the loss while a model trains, always with the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from attractor.model.ddit import DDiT
from attractor.train.state import Check, Progress, TrainState


@dataclass(frozen=True)
class Watch:
    """Estimates that stand beside the loss in metrics.jsonl."""

    validate: Callable[[DDiT], float] | None = None
    """held-out NELBO in nats per token, every `TrainConfig.validate_every` steps"""
    check: Callable[[DDiT], Check] | None = None
    """basins, entropies and copies, every `every` steps and at the steps `at`"""
    every: int = 1
    """steps between two checks; 0 is never"""
    stop_after: int = 0
    """training ends after so many checks in a row that found a recovery gap; 0 is never"""
    at: tuple[int, ...] = ()
    """steps after which there is a check as well"""

    def is_due(self, state: TrainState) -> bool:
        """Whether anything is to be estimated after this step."""
        validates = self.validate is not None and state.is_due(state.config.validate_every)
        return validates or (self.check is not None and self._checks(state))

    def _checks(self, state: TrainState) -> bool:
        return state.step in self.at or (self.every > 0 and state.is_due(self.every))

    def __call__(self, line: Progress, state: TrainState) -> Progress:
        """The line with what is due after this step."""
        if self.validate and state.is_due(state.config.validate_every):
            nelbo = self.validate(state.averaged())
            if math.isfinite(nelbo):
                now = (state.step, nelbo)
                # Of two equal values the earlier one stays the best.
                state.best = min(state.best or now, now, key=lambda seen: seen[1])
                line = line._replace(validation_nelbo=nelbo)
        if self.check and self._checks(state):
            check = self.check(state.averaged())
            # In a row: one check in forty finds a gap where there is none, several do not.
            state.memorized = state.memorized + 1 if check.gap_opened else 0
            state.stopped = 0 < self.stop_after <= state.memorized
            line = line._replace(check=check)
        return line

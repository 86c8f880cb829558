"""What an extraction found: all that its page and its file tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attractor.audits.attack import Attack
from attractor.audits.brought import BroughtBack, Tried, came_back, plain_passage, plain_tried

LISTED = 200
"""Passages in the files at most."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that an extraction found."""

    model: str
    place: str
    """which of several models of this name it is"""
    noise: str
    attack: Attack
    rows: dict[str, int]
    """how many rows of each kind were tried"""
    tried: tuple[Tried, ...]
    passages: tuple[BroughtBack, ...]
    """training rows that came back"""
    spans: tuple[BroughtBack, ...]
    """named spans that came back"""
    named: int
    """places of the training text at which named spans stand"""
    missing: tuple[str, ...]
    """named text that stands in no row"""
    facts: tuple[tuple[str, str], ...]

    @property
    def headline(self) -> str:
        """What came back, in a sentence."""
        return came_back(self.passages, self.rows)

    def plain(self) -> dict[str, Any]:
        """What extraction.json holds."""
        return {
            "schema": 1,
            "model": self.model,
            "place": self.place,
            "headline": self.headline,
            "noise": self.noise,
            "attack": {name: plain_setting(value) for name, value in self.attack._asdict().items()},
            "rows": self.rows,
            "tried": [plain_tried(each) for each in self.tried],
            "came_back": len(self.passages),
            "passages": [plain_passage(p) for p in self.passages[:LISTED]],
            "spans_tried": self.named,
            "spans_missing": list(self.missing),
            "spans": [plain_passage(p) for p in self.spans[:LISTED]],
            "facts": dict(self.facts),
        }


def plain_setting(value: Any) -> Any:
    """A tuple as a list, as JSON has it."""
    return list(value) if isinstance(value, tuple) else value

"""The four questions under which a report sorts its figures."""

from __future__ import annotations

from typing import NamedTuple


class Fold(NamedTuple):
    """A part of a report that opens when its question is asked."""

    id: str
    name: str
    question: str


BASINS = Fold("basins", "Basins", "How far may text be corrupted and still come back?")
UNCERTAINTY = Fold("uncertainty", "Uncertainty", "What does the model's own uncertainty show?")
GENERATION = Fold("generation", "Generation", "What does it write by itself?")
SAFETY = Fold("safety", "Is it safe?", "Can one tell what it was trained on, or get it out?")
FOLDS = (BASINS, UNCERTAINTY, GENERATION, SAFETY)
"""In the order of the page."""

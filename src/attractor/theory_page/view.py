"""What the theory page shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.report.curves import Line
from attractor.results.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """One line of the table: a memory at a load. Everything is a mean over seeds, and as in
    `experiments.Rule`."""

    load: float
    rule: str
    radius: Estimate
    stable: Estimate
    fixed: Estimate
    asymmetry: Estimate | None
    lowest_margin: Estimate | None
    floor: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Theory:
    """All that the page shows."""

    n: int
    """spins of each memory"""
    seeds: tuple[int, ...]
    loads: tuple[float, ...]
    """patterns per spin"""
    retrieval: tuple[tuple[float, tuple[Line, ...]], ...]
    """for each load: overlap after retrieval against the flipped share, one line a rule"""
    radius: tuple[Line, ...]
    """basin radius against load, one line a rule"""
    floors: tuple[Line, ...]
    """what Gardner's margin promises, against load"""
    training: tuple[Line, ...]
    """margin against training step; `name` is the load, `split` is lowest, median or Gardner"""
    density_load: float
    """the load of which the density of margins is shown"""
    density: tuple[Line, ...]
    """density of margins; `name` is the training step"""
    manifold: tuple[Line, ...]
    """overlap against P/D: train, test, features"""
    recovery: tuple[Line, ...]
    """of the exact denoisers, and of the network where there is one, against training sequences"""
    entropy: tuple[Line, ...]
    """of the same, nats per token"""
    distance: tuple[Line, ...]
    """KL of the network from the generalizer, nats per token; none without a network"""
    closed_form: float
    """entropy of a token of the Markov source given its neighbours, nats"""
    control_note: str
    """how the exact denoisers and the network were measured"""
    numbers: tuple[Numbers, ...]
    facts: tuple[tuple[str, str], ...]

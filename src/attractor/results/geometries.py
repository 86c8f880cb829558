"""The ways in which a part of a row is given to a model that is to bring back the rest."""

from __future__ import annotations

GEOMETRIES = ("prefix", "suffix", "edge", "middle", "random")
"""What is given of a row, see `probes.wanted_tokens`."""
SPANS = "spans"
"""All but the tokens that a file names."""


def array_of(geometry: str) -> str:
    """The array in which falls from a part of a row are kept."""
    return f"extracted_{geometry}"

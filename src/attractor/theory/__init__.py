"""Memories whose answer is known: spin networks, their capacities, and Denoisers that are exact."""

from attractor.theory.capacities import (
    Retrieval,
    basin_floor,
    gardner_capacity,
    hebb_error,
    hopfield_capacity,
    hopfield_overlap,
    max_margin,
    pseudo_inverse_margin,
)
from attractor.theory.mixture import MixtureDenoiser
from attractor.theory.solvable import (
    EmpiricalDenoiser,
    MarkovDenoiser,
    SpinDenoiser,
    ordinary_posterior,
    stationary_law,
)
from attractor.theory.sources import bigram_source, random_source

__all__ = [
    "EmpiricalDenoiser",
    "MarkovDenoiser",
    "MixtureDenoiser",
    "Retrieval",
    "SpinDenoiser",
    "basin_floor",
    "bigram_source",
    "gardner_capacity",
    "hebb_error",
    "hopfield_capacity",
    "hopfield_overlap",
    "max_margin",
    "ordinary_posterior",
    "pseudo_inverse_margin",
    "random_source",
    "stationary_law",
]

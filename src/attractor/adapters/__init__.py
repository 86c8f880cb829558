"""Checkpoints of every kind, each to a Denoiser."""

from attractor.adapters.own_run import Weights, load

__all__ = [
    "Weights",
    "load",
]

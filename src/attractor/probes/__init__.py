"""Measurements, each a function of a Denoiser and a token matrix."""

from attractor.probes.entropy import Entropy, conditional_entropy
from attractor.probes.generation import sample
from attractor.probes.likelihood import Likelihood, likelihood
from attractor.probes.recovery import OUTCOMES, FixedPoints, Recovery, fixed_points, recovery
from attractor.probes.tokens import random_tokens

__all__ = [
    "OUTCOMES",
    "Entropy",
    "FixedPoints",
    "Likelihood",
    "Recovery",
    "conditional_entropy",
    "fixed_points",
    "likelihood",
    "random_tokens",
    "recovery",
    "sample",
]

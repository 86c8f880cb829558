"""Measurements, each a function of a Denoiser and a token matrix."""

from attractor.probes.basin import Radii, basin_radii
from attractor.probes.calibrated import sama
from attractor.probes.calibration import Calibration, PerSequence, Reliability, calibration
from attractor.probes.continuation import PrefixExtraction, prefix_extraction
from attractor.probes.entropy import Conditionals, Entropy, conditional_entropy, conditionals
from attractor.probes.extraction import TargetedExtraction, extraction, wanted_part, wanted_tokens
from attractor.probes.generation import sample
from attractor.probes.judge import HuggingFaceJudge, Judge, NGramJudge, require_judge
from attractor.probes.likelihood import Likelihood, likelihood
from attractor.probes.novelty import Novelty, novelty, own_distances
from attractor.probes.path import Path, path_shapes
from attractor.probes.recovery import (
    OUTCOMES,
    FixedPoints,
    Recovery,
    fixed_points,
    pseudo_likelihood_fixed_points,
    recovery,
)
from attractor.probes.settling import Recombined, recombined, settled, some_positions
from attractor.probes.tokens import random_tokens
from attractor.probes.trajectory import Trajectory
from attractor.probes.twins import Twins, twins

__all__ = [
    "OUTCOMES",
    "Calibration",
    "Conditionals",
    "Entropy",
    "FixedPoints",
    "HuggingFaceJudge",
    "Judge",
    "Likelihood",
    "NGramJudge",
    "Novelty",
    "Path",
    "PerSequence",
    "PrefixExtraction",
    "Radii",
    "Recombined",
    "Recovery",
    "Reliability",
    "TargetedExtraction",
    "Trajectory",
    "Twins",
    "basin_radii",
    "calibration",
    "conditional_entropy",
    "conditionals",
    "extraction",
    "fixed_points",
    "likelihood",
    "novelty",
    "own_distances",
    "path_shapes",
    "prefix_extraction",
    "pseudo_likelihood_fixed_points",
    "random_tokens",
    "recombined",
    "recovery",
    "require_judge",
    "sama",
    "sample",
    "settled",
    "some_positions",
    "twins",
    "wanted_part",
    "wanted_tokens",
]

"""attractor: does a language diffusion model memorize or generalize?

Basins of attraction and conditional entropy of diffusion language models, after "Language Diffusion
Models are Associative Memories Capable of Retrieving Unseen Data" (arXiv:2604.26841).
"""

from attractor import probes, theory
from attractor.adapters import load
from attractor.model.denoiser import Denoiser
from attractor.probes import sample
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess
from attractor.process.nelbo import nelbo
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError

__all__ = [
    "AbsorbingProcess",
    "AttractorError",
    "Denoiser",
    "ForwardProcess",
    "HybridProcess",
    "LogLinear",
    "UniformProcess",
    "load",
    "nelbo",
    "probes",
    "sample",
    "theory",
]

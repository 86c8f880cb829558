"""What notebooks and scripts call; the command line is a thin layer over the same calls."""

from attractor.api.audits import AuditResult, audit
from attractor.api.generating import generate
from attractor.api.measuring import measure
from attractor.api.opened import open
from attractor.api.places import Place
from attractor.api.run import Run
from attractor.api.sweeping import sweep
from attractor.api.sweeps import Sweep
from attractor.api.training import train_model

__all__ = [
    "AuditResult",
    "Place",
    "Run",
    "Sweep",
    "audit",
    "generate",
    "measure",
    "open",
    "sweep",
    "train_model",
]

"""attractor: does a language diffusion model memorize or generalize?

Basins of attraction and conditional entropy of diffusion language models, after "Language Diffusion
Models are Associative Memories Capable of Retrieving Unseen Data" (arXiv:2604.26841).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor import probes, theory
    from attractor.adapters import load
    from attractor.api import audit, generate, measure, open, sweep, train_model
    from attractor.model.denoiser import Denoiser
    from attractor.probes import sample
    from attractor.process.absorbing import AbsorbingProcess
    from attractor.process.forward import ForwardProcess
    from attractor.process.hybrid import HybridProcess
    from attractor.process.nelbo import nelbo
    from attractor.process.schedule import LogLinear
    from attractor.process.uniform import UniformProcess
    from attractor.types import AttractorError

    __version__: str

__all__ = [
    "AbsorbingProcess",
    "AttractorError",
    "Denoiser",
    "ForwardProcess",
    "HybridProcess",
    "LogLinear",
    "UniformProcess",
    "audit",
    "generate",
    "load",
    "measure",
    "nelbo",
    "open",
    "probes",
    "sample",
    "sweep",
    "theory",
    "train_model",
]

# A name is loaded when it is first used (PEP 562): torch takes seconds to load, and whoever asks
# for help, or reads a report, does not need it.
_HOMES = {
    "AbsorbingProcess": "process.absorbing",
    "AttractorError": "types",
    "Denoiser": "model.denoiser",
    "ForwardProcess": "process.forward",
    "HybridProcess": "process.hybrid",
    "LogLinear": "process.schedule",
    "UniformProcess": "process.uniform",
    "audit": "api",
    "generate": "api",
    "load": "adapters",
    "measure": "api",
    "nelbo": "process.nelbo",
    "open": "api",
    "sample": "probes",
    "sweep": "api",
    "train_model": "api",
}
"""Where each public name is defined."""
_ROOMS = ("adapters", "analysis", "api", "config", "model", "probes", "process", "theory")
"""Packages of which documented names are reached through this one."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"{__name__}.{name}")
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    """Version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("attractor")
    except PackageNotFoundError:
        return "unknown"

"""Duo and UDLM as they are on the Hub: uniform noise, weights under `backbone.`, conditioned on
sigma.

Their vocabularies have one id more than their tokenizers. The schedule is not in their files: both
are trained with the log-linear one and eps = 1e-3 (arXiv:2506.10892, arXiv:2412.10193).
"""

from __future__ import annotations

import torch

from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.hub_layout import Names, read_network
from attractor.adapters.source import Source
from attractor.model.network import NetworkDenoiser
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError


def recognises(source: Source) -> bool:
    """Whether config.json names one of these model types."""
    return source.config.get("model_type") in ("duo", "udlm")


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser; raises AttractorError for causal and class-conditional models."""
    published_only(source, weights)
    config = source.config
    for name in ("causal", "cfg"):
        if config.get(name):
            raise AttractorError(
                f"'{source.path}' says {name} = {config[name]!r}: such models are not supported"
            )
    # Duo's configuration has no such entry, because its networks are always conditioned.
    conditioned = config.get(
        "time_conditioning", True if config.get("model_type") == "duo" else None
    )
    network, vocab_size, said = read_network(
        source, settings, Names(), "backbone.", heeded=(), time_conditioning=conditioned
    )
    process = UniformProcess(vocab_size, LogLinear())
    return NetworkDenoiser(
        network.to(device), process, said["seq_len"], time_conditioning=said["time_conditioning"]
    )


FAMILY = Family("duo", recognises, load)

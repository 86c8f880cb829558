"""Models published with `attractor push`: config.json, weights under `backbone.`, everything
told."""

from __future__ import annotations

from typing import Any

import torch

from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.hub_layout import Names, read_network
from attractor.adapters.source import Source
from attractor.model.network import NetworkDenoiser
from attractor.process.registry import process_from_settings, process_settings
from attractor.types import AttractorError

MODEL_TYPE = "attractor"
PREFIX = "backbone."
NAMES = Names(hidden_size="hidden_size", seq_len="seq_len")


def recognises(source: Source) -> bool:
    """Whether config.json names this model type."""
    return source.config.get("model_type") == MODEL_TYPE


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser; raises AttractorError if the file does not tell its process."""
    published_only(source, weights)
    process = source.config.get("process")
    if not isinstance(process, dict):
        raise AttractorError(f"'{source.path}' does not tell its process")
    network, vocab_size, said = read_network(source, settings, NAMES, PREFIX, heeded=("process",))
    return NetworkDenoiser(
        network.to(device), process_from_settings(process, vocab_size), said["seq_len"]
    )


def published_config(denoiser: NetworkDenoiser) -> dict[str, Any]:
    """The config.json from which `load` and transformers build the model again."""
    network = denoiser.network
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["AttractorForMaskedLM"],
        "vocab_size": denoiser.process.vocab_size,
        "hidden_size": network.vocab_embed.embedding.shape[1],
        "n_blocks": len(network.blocks),
        "n_heads": network.blocks[0].n_heads,
        "cond_dim": network.sigma_map.mlp[0].out_features,
        "seq_len": denoiser.seq_len,
        "process": process_settings(denoiser.process),
    }


FAMILY = Family("attractor", recognises, load)

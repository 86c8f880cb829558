"""MDLM as it is on the Hub: absorbing noise, weights under `backbone.`, and the mask is the last
id, unless the tokenizer beside them or the caller says another.

The schedule is not in its files: it is the log-linear one with eps = 1e-3 (arXiv:2406.07524).
"""

from __future__ import annotations

import torch

from attractor.adapters.family import Family, Settings, Weights, published_only, told_mask
from attractor.adapters.hub_layout import Names, read_network
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.model.network import NetworkDenoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.schedule import LogLinear


def recognises(source: Source) -> bool:
    """Whether config.json names this model type."""
    return source.config.get("model_type") == "mdlm"


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser: the mask has probability zero, and visible tokens are carried over."""
    published_only(source, weights)
    conditioned = source.config.get("time_conditioning")
    network, vocab_size, said = read_network(
        source,
        settings,
        Names(),
        "backbone.",
        {"mask_id": None},
        heeded=(),
        time_conditioning=conditioned,
        **told_mask(source.config),
    )
    mask = TokenizerBeside(source).mask_of(said["mask_id"], vocab_size)
    process = AbsorbingProcess(vocab_size, LogLinear(), mask)
    return NetworkDenoiser(
        network.to(device), process, said["seq_len"], time_conditioning=said["time_conditioning"]
    )


FAMILY = Family("mdlm", recognises, load)

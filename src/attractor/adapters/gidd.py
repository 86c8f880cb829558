"""GIDD as it is on the Hub: hybrid noise, weights without a prefix, conditioned on t, and the mask
is the last id, unless the tokenizer beside them or the caller says another."""

from __future__ import annotations

import math

import torch

from attractor.adapters.family import Family, Settings, Weights, published_only, told_mask
from attractor.adapters.hub_layout import Names, read_network
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.model.network import NetworkDenoiser
from attractor.process.hybrid import GiddSchedule, HybridProcess

NAMES = Names(
    hidden_size="hidden_size",
    n_blocks="num_hidden_layers",
    cond_dim="timestep_cond_dim",
    n_heads="num_attention_heads",
    seq_len="max_seq_len",
)
LEAST_SHARE = math.exp(-20)
"""Uniform noise that GIDD adds even where its settings say none."""


def recognises(source: Source) -> bool:
    """Whether config.json names this model type, which others use too, and has a setting of GIDD's
    noise."""
    return source.config.get("model_type") == "dit" and "p_uniform" in source.config


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser, with GIDD's own schedule, whose noise level is t itself."""
    published_only(source, weights)
    p_uniform, t_eps = source.config.get("p_uniform"), source.config.get("t_eps")
    network, vocab_size, said = read_network(
        source,
        settings,
        NAMES,
        "",
        {"mask_id": None},
        heeded=(),
        p_uniform=p_uniform,
        t_eps=t_eps,
        **told_mask(source.config),
    )
    mask = TokenizerBeside(source).mask_of(said["mask_id"], vocab_size)
    # GIDD's own code trains with a share of exp(-20) where the setting is 0; a share of 0 would be
    # another process, the absorbing one.
    share = max(said["p_uniform"], LEAST_SHARE)
    process = HybridProcess(vocab_size, GiddSchedule(vocab_size, share, said["t_eps"]), mask, share)
    return NetworkDenoiser(network.to(device), process, said["seq_len"])


FAMILY = Family("gidd", recognises, load)

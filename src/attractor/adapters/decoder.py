"""Llama, Qwen2 and Qwen3 weights that somebody has trained to attend in both directions.

Their files look like those of causal models, which would be read wrongly without a word: so this
family is never guessed but asked for, `family="decoder"`, with its noise, its mask and whether its
logits are shifted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from attractor.adapters.decoder_network import ARCHITECTURES, read_decoder
from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.noise import absorbing_noise, shifted_noise, uniform_noise
from attractor.adapters.placement import Placement
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.adapters.transformers_extra import quietly, transformers
from attractor.adapters.understood import require_understood
from attractor.model.encoder import EncoderDenoiser
from attractor.process.forward import ForwardProcess
from attractor.process.schedule import LogLinear
from attractor.types import AttractorError

EPS = 1e-3
NOISES = ("absorbing", "uniform", "gidd")


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError for what neither the file nor the caller tells."""
    published_only(source, weights)
    config, given = source.config, settings.given
    kind = config.get("model_type")
    masks = given.get("noise") != "uniform"
    said = settings.read(
        {"seq_len": None, "eps": EPS, "text_ids": None},
        architecture=kind if kind in ARCHITECTURES else None,
        noise=None,
        shift=None,
        **({"mask_id": config.get("mask_token_id")} if masks else {}),
        **({"noise_type": config.get("noise_type")} if given.get("noise") == "gidd" else {}),
    )
    if said["architecture"] not in ARCHITECTURES:
        raise AttractorError(
            f"architecture = {said['architecture']!r:.60}: there are {', '.join(ARCHITECTURES)}"
        )
    heeded = {"noise_type"} if said["noise"] == "gidd" else set()
    return decoder_denoiser(source, settings.placement, device, said["architecture"], said, heeded)


def decoder_denoiser(
    source: Source,
    placement: Placement,
    device: torch.device,
    architecture: str,
    said: dict[str, Any],
    heeded: Collection[str] = (),
) -> EncoderDenoiser:
    """The Denoiser of a decoder whose tensors carry transformers' names.

    Args:
        source: the checkpoint.
        placement: device and precision of the weights.
        device: of the tokens.
        architecture: one of `ARCHITECTURES`.
        said: `noise`, `shift`, `seq_len`, and what the noise needs.
        heeded: settings of the configuration that are no architecture's.

    Raises:
        AttractorError: for settings that are not understood, and as `assemble` does.
    """
    with quietly(f"{ARCHITECTURES[architecture]}Config"):
        plain = getattr(transformers(), f"{ARCHITECTURES[architecture]}Config")()
        theirs = {*plain.to_dict(), "rope_theta", "rope_scaling", "layer_types", "head_dim"}
    require_understood(source, {*theirs, *heeded}, neutral={"use_sliding_window": False})
    kinds = source.config.get("layer_types") or []
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise AttractorError(
            f"'{source.path}' says layer_types = {kinds!r:.60}: only 'full_attention' is supported"
        )
    network = read_decoder(source, architecture, source.config, placement)
    process = _process(source, network.model.config.vocab_size, said)
    return EncoderDenoiser(network, process, device, said["seq_len"], said["shift"])


def _process(source: Source, vocab_size: int, said: dict[str, Any]) -> ForwardProcess:
    beside = TokenizerBeside(source)
    text_ids = said.get("text_ids") or beside.text_ids(vocab_size)
    eps = said.get("eps", EPS)
    if said["noise"] == "uniform":
        return uniform_noise(vocab_size, text_ids, eps)
    mask = beside.checked_mask(said["mask_id"], vocab_size)
    if said["noise"] == "absorbing":
        return absorbing_noise(vocab_size, mask, text_ids, eps)
    if said["noise"] == "gidd":
        return shifted_noise(vocab_size, LogLinear(eps), mask, said["noise_type"])
    raise AttractorError(f"noise = {said['noise']!r:.60}: there are {', '.join(NOISES)}")


FAMILY = Family("decoder", lambda source: False, load, placed=True)

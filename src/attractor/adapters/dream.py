"""Dream (arXiv:2508.15487): masks, and a Qwen2 that attends in both directions, whose logits at a
position are those of the next token."""

from __future__ import annotations

import torch

from attractor.adapters.decoder import decoder_denoiser
from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.source import Source
from attractor.adapters.understood import require_neutral
from attractor.model.encoder import EncoderDenoiser


def recognises(source: Source) -> bool:
    """Whether config.json names this model type."""
    return source.config.get("model_type") == "Dream"


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError for settings that no Dream has."""
    published_only(source, weights)
    require_neutral(source, {"use_mrope": False})
    said = settings.read(
        {"seq_len": None, "shift": True}, mask_id=source.config.get("mask_token_id")
    )
    return decoder_denoiser(
        source, settings.placement, device, "qwen2", said | {"noise": "absorbing"}, {"use_mrope"}
    )


FAMILY = Family("dream", recognises, load, placed=True)

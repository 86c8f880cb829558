"""GIDD at scale (arXiv:2512.10858): uniform noise, masks or a mixture, told by one number, and a
network that is not told the time.

At a log-SNR of s the noise is uniform over all ids but the mask with a share of
sigmoid(s + noise_type), else the mask: +1000 are the uniform models, -1000 the masked ones. The
mask is id 3, which the files do not tell; `mask_id` may say another. The schedule is ours:
log-linear in alpha down to their least log-SNR, which changes no distribution, since the network is
not told the time.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from attractor.adapters.assemble import assemble
from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.noise import shifted_noise
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.adapters.understood import require_understood
from attractor.model.encoder import EncoderDenoiser
from attractor.model.scaled import ScaledShape, ScaledTransformer
from attractor.process.schedule import LogLinear
from attractor.types import AttractorError

MASK = 3
SHAPE = [field.name for field in dataclasses.fields(ScaledShape)]
HEEDED = {*SHAPE, "head_dim", "noise_type", "min_log_snr", "max_log_snr", "attn_performer",
          "init_scale", "rope_parameters", "rope_scaling"}  # fmt: skip


def recognises(source: Source) -> bool:
    """Whether config.json names this model type and has its noise."""
    return source.config.get("model_type") == "gidd" and "noise_type" in source.config


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError for what the configuration lacks or asks beyond this."""
    published_only(source, weights)
    config = source.config
    require_understood(source, HEEDED, neutral={"is_causal": False})
    said = settings.read(
        {"mask_id": MASK, "seq_len": None},
        noise_type=config.get("noise_type"), min_log_snr=config.get("min_log_snr"),
    )  # fmt: skip
    shape = _shape(source)
    network = assemble(
        lambda: ScaledTransformer(shape),
        source,
        lambda name: None if shape.tie_word_embeddings and name == "lm_head.weight" else name,
        settings.placement,
        {"_Layer"},
    )
    mask = TokenizerBeside(source).checked_mask(said["mask_id"], shape.vocab_size)
    schedule = LogLinear(1 / (1 + math.exp(-said["min_log_snr"])))
    process = shifted_noise(shape.vocab_size, schedule, mask, said["noise_type"])
    return EncoderDenoiser(network, process, device, said["seq_len"])


def _shape(source: Source) -> ScaledShape:
    """The configuration as numbers; what it leaves out has the authors' default, but for sizes."""
    config, where = source.config, source.path
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if (
        not isinstance(rope, dict)
        or rope.get("rope_type", rope.get("type", "default")) != "default"
    ):
        raise AttractorError(f"'{where}' says rope_parameters = {rope!r:.60}: only the default is")
    told = {"rope_theta": rope.get("rope_theta")} | {name: config.get(name) for name in SHAPE}
    try:
        shape = ScaledShape(**{name: value for name, value in told.items() if value is not None})
    except TypeError as error:
        raise AttractorError(f"'{where}' does not tell its shape: {error!s:.100}") from None
    head_dim = config.get("head_dim")
    if head_dim is not None and head_dim * shape.num_attention_heads != shape.hidden_size:
        raise AttractorError(
            f"'{where}' says head_dim = {head_dim!r:.20}, but its "
            f"{shape.num_attention_heads} heads share a width of {shape.hidden_size}"
        )
    return shape


FAMILY = Family("gidd-scaled", recognises, load, placed=True)

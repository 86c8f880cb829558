"""GIDD at scale (arXiv:2512.10858): uniform noise, masks or a mixture, told by one number, and a
network that is not told the time.

At a log-SNR of s the noise is uniform over all ids but the mask with a share of
sigmoid(s + noise_type), else the mask: +1000 are the uniform models, -1000 the masked ones. The
mask is id 3 unless the files or `mask_id` say another. The schedule is ours:
log-linear in alpha down to their least log-SNR, which changes no distribution, since the network is
not told the time.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from attractor.adapters.assemble import assemble
from attractor.adapters.family import Family, Settings, Weights, published_only, told_mask
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
        noise_type=config.get("noise_type"),
        min_log_snr=config.get("min_log_snr"),
        **told_mask(config),
    )
    shape = _shape(source)
    network = assemble(
        lambda: ScaledTransformer(shape),
        source,
        lambda name: name,
        settings.placement,
        {"_Layer"},
        ("lm_head.weight", "model.embed_tokens.weight") if shape.tie_word_embeddings else None,
    )
    mask = TokenizerBeside(source).checked_mask(said["mask_id"], shape.vocab_size)
    schedule = LogLinear(_least_alpha(said["min_log_snr"], source))
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
    told = {name: config[name] for name in SHAPE if name in config}
    # Some versions write the angles' base beside other settings of theirs, and null here.
    if (base := told.pop("rope_theta", None) or rope.get("rope_theta")) is not None:
        told["rope_theta"] = base
    for name, value in told.items():
        _require_kind(name, value, source)
    try:
        shape = ScaledShape(**told)
    except TypeError as error:
        raise AttractorError(f"'{where}' does not tell its shape: {error!s:.100}") from None
    head_dim = config.get("head_dim")
    if head_dim is not None and head_dim * shape.num_attention_heads != shape.hidden_size:
        raise AttractorError(
            f"'{where}' says head_dim = {head_dim!r:.20}, but its "
            f"{shape.num_attention_heads} heads share a width of {shape.hidden_size}"
        )
    return shape


def _require_kind(name: str, value: object, source: Source) -> None:
    """Refuse what is no number where one belongs; null is not the default, but says "without"."""
    kind = ScaledShape.__annotations__[name]
    by_name = kind == "Scale" and isinstance(value, str)
    number = type(value) is int or (kind != "int" and type(value) is float and math.isfinite(value))
    good = type(value) is bool if kind == "bool" else by_name or number
    if not good or (kind == "int" and isinstance(value, int) and value < 1):
        wanted = {"int": "a number from 1 on", "bool": "true or false"}.get(kind, "a number")
        raise AttractorError(f"'{source.path}' says {name} = {value!r:.60}: it must be {wanted}")


def _least_alpha(log_snr: object, source: Source) -> float:
    """What is left of the text at the end of the noise."""
    # Beyond 80 alpha(1) or its complement are none that float32 knows.
    if isinstance(log_snr, bool) or not isinstance(log_snr, int | float) or not abs(log_snr) <= 80:
        raise AttractorError(
            f"'{source.path}' says min_log_snr = {log_snr!r:.60}: it must be a number in [-80, 80]"
        )
    return 1 / (1 + math.exp(-log_snr))


FAMILY = Family("gidd-scaled", recognises, load, placed=True)

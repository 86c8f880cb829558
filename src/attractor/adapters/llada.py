"""LLaDA (arXiv:2502.09992): masks, and a Llama that attends in both directions, under names of its
own.

Its noise has no schedule of its own: each token is a mask with probability t.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from attractor.adapters.decoder_network import read_decoder
from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.noise import absorbing_noise
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.adapters.understood import require_understood
from attractor.model.encoder import EncoderDenoiser

NAMES = {
    "wte": "embed_tokens", "ln_f": "norm", "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm", "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj", "v_proj": "self_attn.v_proj", "attn_out": "self_attn.o_proj",
    "ff_proj": "mlp.gate_proj", "up_proj": "mlp.up_proj", "ff_out": "mlp.down_proj",
}  # fmt: skip
"""Its names of the parts of a block, or of what stands around the blocks, and transformers'."""
NEUTRAL = {
    "activation_type": "silu", "block_type": "llama", "block_group_size": 1, "alibi": False,
    "rope": True, "attention_layer_norm": False, "input_emb_norm": False,
    "layer_norm_type": "rms", "layer_norm_with_affine": True, "include_bias": False,
    "bias_for_layer_norm": False, "scale_logits": False, "clip_qkv": None,
}  # fmt: skip
"""Settings of its family tree that its models do not use."""
SHAPE = {
    "d_model": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers",
    "mlp_hidden_size": "intermediate_size", "max_sequence_length": "max_position_embeddings",
    "rms_norm_eps": "rms_norm_eps", "rope_theta": "rope_theta",
}  # fmt: skip
HEEDED = {*SHAPE, "n_kv_heads", "multi_query_attention", "mlp_ratio", "embedding_size",
          "weight_tying", "include_qkv_bias", "alibi_bias_max", "rope_full_precision",
          "flash_attention", "attention_layer_norm_with_affine", "precision"}  # fmt: skip


def recognises(source: Source) -> bool:
    """Whether config.json names this model type."""
    return source.config.get("model_type") == "llada"


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError for settings that no LLaDA has."""
    published_only(source, weights)
    require_understood(source, HEEDED, neutral=NEUTRAL)
    config = source.config
    said = settings.read(
        {"seq_len": None},
        mask_id=config.get("mask_token_id"),
        **{name: config.get(name) for name in SHAPE if name != "mlp_hidden_size"},
        vocab_size=config.get("vocab_size"),
    )
    # Biases of queries, keys and values alone are what a Qwen2 has, which is a Llama otherwise.
    architecture = "qwen2" if config.get("include_qkv_bias") else "llama"
    network = read_decoder(source, architecture, _shape(config, said), settings.placement, _name)
    rows = config.get("embedding_size") or said["vocab_size"]
    beside = TokenizerBeside(source)
    mask = beside.checked_mask(said["mask_id"], rows)
    # An output layer that is larger than the vocabulary is so for speed alone.
    known = min(said["vocab_size"], rows)
    text_ids = beside.text_ids(known)
    process = absorbing_noise(rows, mask, range(known) if text_ids is None else text_ids)
    return EncoderDenoiser(network, process, device, said["seq_len"])


def _shape(config: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """The settings by transformers' names."""
    shape = {theirs: said[name] for name, theirs in SHAPE.items() if name in said}
    heads = 1 if config.get("multi_query_attention") else said["n_heads"]
    inner = config.get("mlp_hidden_size") or config.get("mlp_ratio", 4) * said["d_model"]
    return shape | {
        "vocab_size": config.get("embedding_size") or said["vocab_size"],
        "num_key_value_heads": config.get("n_kv_heads") or heads,
        "intermediate_size": inner,
        "tie_word_embeddings": bool(config.get("weight_tying")),
    }


def _name(name: str) -> str | None:
    """transformers' name of a tensor; `ff_out` is the output layer and a part of each block."""
    bare = name.removeprefix("model.transformer.")
    if bare == "ff_out.weight":
        return "lm_head.weight"
    block = re.fullmatch(r"(blocks\.(\d{1,6})\.)?(\w+)\.(weight|bias)", bare)
    if bare == name or block is None or block[3] not in NAMES:
        return name
    return f"model.{f'layers.{block[2]}.' if block[1] else ''}{NAMES[block[3]]}.{block[4]}"


FAMILY = Family("llada", recognises, load, placed=True)

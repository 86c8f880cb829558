"""RoBERTa checkpoints of fairseq: a pickled `args` and weights under `decoder.` or `encoder.`, with
the alphabet in `dict.txt` beside them.

Ids 0 to 3 are <s>, <pad>, </s> and <unk>, then come the lines of dict.txt, and the mask is last.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.masked_lm_network import read_masked_lm
from attractor.adapters.noise import absorbing_noise
from attractor.adapters.pickle_tree import Placeholder
from attractor.adapters.source import Source
from attractor.adapters.transformers_extra import quietly, transformers
from attractor.model.denoiser import Frame
from attractor.model.encoder import EncoderDenoiser
from attractor.types import AttractorError

STEM = re.compile(r"(decoder|encoder)\.(sentence_encoder\.)?")
NAMES = {
    "embed_tokens": "embeddings.word_embeddings", "emb_layer_norm": "embeddings.LayerNorm",
    "embed_positions": "embeddings.position_embeddings",
    "layernorm_embedding": "embeddings.LayerNorm",
    "self_attn.q_proj": "attention.self.query", "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value", "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm", "fc1": "intermediate.dense",
    "fc2": "output.dense", "final_layer_norm": "output.LayerNorm",
}  # fmt: skip
SIZES = ("encoder_layers", "encoder_ffn_embed_dim", "max_positions")
WORDS, BIAS = "roberta.embeddings.word_embeddings.weight", "lm_head.bias"
START, PAD, END, UNKNOWN, SPECIALS = 0, 1, 2, 3, 4


def recognises(source: Source) -> bool:
    """Whether this is a pickled dictionary whose `args` name the architecture."""
    if not source.path.is_file() or source.path.suffix == ".safetensors":
        return False
    return "roberta" in str(_told(source).get("arch"))


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError if dict.txt is not beside the file or of another size."""
    if weights == "raw":
        raise AttractorError(f"'{source.path}' holds one set of weights, and no 'raw' ones")
    args = _told(source)
    said = settings.read(
        {"seq_len": None},
        n_heads=args.get("encoder_attention_heads"),
        **{name: args.get(name) for name in SIZES},
    )
    for name in SIZES:
        if type(said[name]) is not int or said[name] < 1:
            raise AttractorError(
                f"'{source.path}' says {name} = {said[name]!r:.60}: no size is that"
            )
    tensors = _tensors(source)
    rows, width = source.tensor(tensors[WORDS], WORDS).shape
    letters = _letters(source.path.with_name("dict.txt"))
    if SPECIALS + letters + 1 != rows:
        raise AttractorError(
            f"'{source.path}' has {rows} ids, and the dict.txt beside it makes "
            f"{SPECIALS + letters + 1} with the special ones"
        )
    with quietly("RobertaConfig"):
        config = transformers().RobertaConfig(
            vocab_size=rows,
            hidden_size=width,
            num_hidden_layers=said["encoder_layers"],
            num_attention_heads=said["n_heads"],
            intermediate_size=said["encoder_ffn_embed_dim"],
            hidden_act=args.get("activation_fn", "gelu"),
            max_position_embeddings=said["max_positions"] + PAD + 1,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_token_id=PAD, bos_token_id=START, eos_token_id=END,
        )  # fmt: skip
    # fairseq knows no types of tokens, and transformers adds one: nothing.
    tensors["roberta.embeddings.token_type_embeddings.weight"] = torch.zeros(1, width)
    tensors["lm_head.decoder.bias"] = tensors[BIAS]
    network = read_masked_lm(source.holding(tensors), config, settings.placement)
    process = absorbing_noise(rows, rows - 1, range(SPECIALS, rows - 1))
    frame = Frame((START,), (END,))
    return EncoderDenoiser(network, process, device, said["seq_len"], pad_id=PAD, frame=frame)


def _told(source: Source) -> dict[str, Any]:
    args = source.content.get("args")
    return args.state if isinstance(args, Placeholder) and isinstance(args.state, dict) else {}


def _tensors(source: Source) -> dict[str, Any]:
    """What `model` holds, by transformers' names."""
    model = source.content.get("model")
    if not isinstance(model, dict) or not all(isinstance(name, str) for name in model):
        raise AttractorError(f"'{source.path}' has no 'model' with the weights by their names")
    found = {_name(name): value for name, value in model.items()}
    for name in (WORDS, BIAS):
        if name not in found:
            raise AttractorError(f"'{source.path}' lacks the tensor that is '{name}' here")
    if source.tensor(found[WORDS], WORDS).ndim != 2:
        raise AttractorError(f"'{source.path}' has embeddings that are no matrix")
    return found


def _name(name: str) -> str:
    """transformers' name of a tensor."""
    bare = STEM.sub("", name, count=1)
    if bare.startswith("lm_head."):
        return re.sub(r"^lm_head\.weight$", "lm_head.decoder.weight", bare)
    match = re.fullmatch(r"(layers\.\d{1,6}\.)?(.+)\.(weight|bias)", bare)
    if match is None or match[2] not in NAMES:
        return bare
    layer = f"encoder.{match[1].replace('layers', 'layer')}" if match[1] else ""
    return f"roberta.{layer}{NAMES[match[2]]}.{match[3]}"


def _letters(file: Path) -> int:
    if not file.is_file():
        raise AttractorError(f"'{file}' is not there: it tells which letter each id is")
    return sum(1 for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


FAMILY = Family("fairseq", recognises, load, placed=True)

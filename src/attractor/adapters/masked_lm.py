"""BERT and its kin: any masked language model that transformers' own classes build.

Such a network is an absorbing-state denoiser that is not told the time. Its texts have a frame,
such as [CLS] ... [SEP], and its special tokens are no text.
"""

from __future__ import annotations

from typing import Any

import torch

from attractor.adapters.family import Family, Settings, Weights, published_only
from attractor.adapters.masked_lm_network import HEEDED, config_of, read_masked_lm
from attractor.adapters.noise import absorbing_noise
from attractor.adapters.source import Source
from attractor.adapters.tokenizer_beside import TokenizerBeside
from attractor.adapters.understood import require_understood
from attractor.model.denoiser import Frame
from attractor.model.encoder import EncoderDenoiser
from attractor.types import AttractorError

ENDS = ("ForMaskedLM", "WithLMHeadModel")
"""How the names of architectures end that transformers trains by masks."""
BIDIRECTIONAL = {"is_decoder": False, "add_cross_attention": False}
"""What many a class of transformers can be told to be instead: a causal model of the same names."""
SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


def recognises(source: Source) -> bool:
    """Whether config.json names an architecture that is trained by masks."""
    named = source.config.get("architectures")
    return (
        isinstance(named, list)
        and any(isinstance(name, str) and name.endswith(ENDS) for name in named)
        and isinstance(source.config.get("model_type"), str)
    )


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> EncoderDenoiser:
    """The Denoiser; raises AttractorError for a model type that transformers does not have, and for
    what is neither told by the files nor by the caller."""
    published_only(source, weights)
    config = config_of(source)
    # By a configuration of its class that was told nothing: this one took in whatever it was told.
    require_understood(source, {*type(config)().to_dict(), *HEEDED}, neutral=BIDIRECTIONAL)
    beside = TokenizerBeside(source)
    # From the file: some classes have a mask by default, which need not be this model's.
    mask_id = source.config.get("mask_token_id")
    said = settings.read(
        {"seq_len": None, "text_ids": None, "frame": None},
        mask_id=beside.mask_id if mask_id is None else mask_id,
    )
    network = read_masked_lm(source, config, settings.placement)
    vocab_size = config.vocab_size
    mask = beside.checked_mask(said["mask_id"], vocab_size)
    text = said["text_ids"] or beside.text_ids(vocab_size, special=False)
    if text is None:
        named = {getattr(config, name, None) for name in SPECIAL}
        text = [i for i in range(vocab_size) if i not in named]
    frame = beside.frame if said["frame"] is None else _frame(said["frame"], vocab_size)
    return EncoderDenoiser(
        network,
        absorbing_noise(vocab_size, mask, text),
        device,
        said["seq_len"],
        pad_id=getattr(config, "pad_token_id", None),
        frame=frame,
    )


def _frame(told: Any, vocab_size: int) -> Frame:
    """Two lists of ids, for the two ends of a row."""
    try:
        leading, trailing = (tuple(ids) for ids in told)
    except (TypeError, ValueError):
        raise AttractorError(
            f"frame = {told!r:.60}: it is two lists of ids, such as [[0], [2]]"
        ) from None
    outside = [i for i in leading + trailing if type(i) is not int or not 0 <= i < vocab_size]
    if outside:
        raise AttractorError(
            f"frame: the id {outside[0]!r:.20} is outside the vocabulary of {vocab_size}"
        )
    return Frame(leading, trailing)


FAMILY = Family("masked-lm", recognises, load, placed=True)

"""Causal decoders of transformers run in both directions, from its own classes: no remote code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attractor.adapters.assemble import assemble
from attractor.adapters.placement import Placement
from attractor.adapters.source import Source
from attractor.adapters.transformers_extra import quietly, transformers
from attractor.types import AttractorError

ARCHITECTURES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""By the name that configurations give them; what transformers' classes begin with."""
ANGLES = "rotary_emb.inv_freq"
"""How the names of tables end of how fast each pair of coordinates turns."""


class Decoder(nn.Module):
    """A decoder without its causal mask: every position attends to every other.

    Args:
        architecture: one of `ARCHITECTURES`.
        config: settings by transformers' names.

    Raises:
        AttractorError: if transformers is not installed, or it does not accept the settings.
    """

    def __init__(self, architecture: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        library, name = transformers(), ARCHITECTURES[architecture]
        with quietly(f"{name}Config"):
            settings = getattr(library, f"{name}Config").from_dict(dict(config))
            # The mask is made by the configuration, and attention without a mask by its module.
            settings.is_causal = False
            settings._attn_implementation = "sdpa"
            self.model = getattr(library, f"{name}Model")(settings)
            # The weights come from the file, but the angles of the positions are in no file.
            with torch.device("cpu"):
                self.model.rotary_emb = type(self.model.rotary_emb)(config=settings)
        for module in self.model.modules():
            if "is_causal" in vars(module):
                module.is_causal = False
        tied = settings.tie_word_embeddings
        self.lm_head = (
            None if tied else nn.Linear(settings.hidden_size, settings.vocab_size, bias=False)
        )
        self.longest = settings.max_position_embeddings

    def hidden(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """What goes into the output layer, (B, L, H); raises AttractorError for rows that are
        longer than the positions there are."""
        if x.shape[1] > self.longest:
            raise AttractorError(
                f"rows have {x.shape[1]} tokens, but the network has {self.longest} positions"
            )
        mask = None if keep is None else keep.long()
        return self.model(input_ids=x, attention_mask=mask, use_cache=False).last_hidden_state

    def head(self, hidden: Tensor) -> Tensor:
        """Logits, (M, V)."""
        if self.lm_head is None:
            return F.linear(hidden, self.model.embed_tokens.weight)
        return self.lm_head(hidden)


def read_decoder(
    source: Source,
    architecture: str,
    config: Mapping[str, Any],
    placement: Placement,
    rename: Callable[[str], str | None] = lambda name: name,
) -> Decoder:
    """The decoder that carries a source's tensors.

    Args:
        source: the checkpoint.
        architecture: one of `ARCHITECTURES`.
        config: settings by transformers' names.
        placement: device and precision.
        rename: from the source's names of tensors to transformers'.

    Raises:
        AttractorError: as `assemble` does.
    """

    def needed(name: str) -> str | None:
        new = rename(name)
        # Old files hold a table that follows from the settings.
        return None if new is None or new.endswith(ANGLES) else new

    layer = f"{ARCHITECTURES[architecture]}DecoderLayer"
    tied = ("lm_head.weight", "model.embed_tokens.weight")
    network = assemble(
        lambda: Decoder(architecture, config),
        source,
        needed,
        placement,
        {layer},
        tied if config.get("tie_word_embeddings") else None,
    )
    _require_angles(source, network.model.rotary_emb.inv_freq)
    return network


def _require_angles(source: Source, made: Tensor) -> None:
    """Raise AttractorError if a table that old files hold is not the one that the settings make."""
    names = [] if source.headers_only else [n for n in source.content if n.endswith(ANGLES)]
    for name in names:
        stored = source.tensor(source.content[name], name).float()
        # A table in half precision has three digits.
        if stored.shape != made.shape or not torch.allclose(stored, made.cpu(), rtol=0.01):
            raise AttractorError(
                f"'{name:.100}' in '{source.path}' is not what its settings make of the positions "
                "(rope_theta, rope_scaling)"
            )

"""A masked language model of transformers in two parts: the head runs where it is wanted.

There are some fifty architectures, and what comes after the body is called otherwise in each. So
the head is the whole model with a body that hands out what it is given: whatever the model does to
the body's output is done to that. Whether each position is treated by itself is tried on load.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from attractor.adapters.assemble import require_plain, require_tied
from attractor.adapters.placement import Placement
from attractor.adapters.source import Source
from attractor.adapters.transformers_extra import quietly, transformers
from attractor.types import AttractorError

HEEDED = {"position_embedding_type", "layer_norm_eps", "type_vocab_size", "directionality",
          "model_name", "hidden_act", "max_length", "reference_compile", "repad_logits_with_grad",
          "sparse_prediction", "sparse_pred_ignore_index", "output_past", "torchscript",
          "adapters", "xla_device", "language"}  # fmt: skip
"""What older versions wrote and what changes nothing; relative positions are refused apart."""
UNUSED = ("pooler", "seq_relationship", "sop_classifier", "nsp_", "contact_head", "position_ids",
          "discriminator_predictions")  # fmt: skip
"""Parts of the names of tensors that the distributions do not need: other heads."""
TRIED = 7
"""Positions of the row on which body and head apart are compared with the whole."""


class MaskedLM(nn.Module):
    """Body and head of a model apart.

    Args:
        model: one of transformers' classes for masked language models, in evaluation mode.

    Raises:
        AttractorError: if its body cannot be told from its head.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        name = getattr(model, "base_model_prefix", "")
        body = getattr(model, name, None) if name else None
        if not isinstance(body, nn.Module):
            raise AttractorError(f"{type(model).__name__} has no body apart from its head")
        self.body, self.model = body, model
        self._given = _Given(body)
        model._modules[name] = self._given

    def hidden(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """The body's output, (B, L, H)."""
        return _first(self.body(input_ids=x, attention_mask=_mask(x, keep)))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits, (M, V)."""
        self._given.output = hidden[None]
        # The body that hands out ignores the tokens.
        ids = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
        try:
            return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        finally:
            self._given.output = None


class _Given(nn.Module):
    """Stands where the body was; all but a call is the body's own, such as its embeddings, which
    many a head uses."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        # Not a submodule, which would be moved and counted twice.
        object.__setattr__(self, "real", body)
        self.output: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "real"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return _Output(self.output)


class _Output(SimpleNamespace):
    """What a body returns, of which heads take `last_hidden_state` or the first."""

    def __init__(self, hidden: Tensor | None) -> None:
        super().__init__(last_hidden_state=hidden, hidden_states=None, attentions=None)

    def __getitem__(self, index: int | slice) -> Any:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


def config_of(source: Source) -> Any:
    """The configuration as transformers' own class reads it.

    Raises:
        AttractorError: if it has no such class, or does not accept the settings.
    """
    library, kind = transformers(), str(source.config.get("model_type"))
    auto = library.models.auto.configuration_auto
    if kind not in auto.CONFIG_MAPPING_NAMES:
        raise AttractorError(
            f"'{source.path}' is of the model type {kind!r:.60}, which transformers does not have "
            "of its own, and remote code is not run"
        )
    relative = source.config.get("position_embedding_type")
    if relative not in (None, "absolute", "rotary", "rope"):
        raise AttractorError(
            f"'{source.path}' says position_embedding_type = {relative!r:.60}, which is not "
            "understood here"
        )
    plain = {name: value for name, value in source.config.items() if name != "auto_map"}
    with quietly(f"configuration of the model type '{kind}'"):
        config = auto.CONFIG_MAPPING[kind].from_dict(plain)
        if type(config) not in library.MODEL_FOR_MASKED_LM_MAPPING:
            raise AttractorError(f"transformers has no masked language model of the type '{kind}'")
        return config


def read_masked_lm(source: Source, config: Any, placement: Placement) -> MaskedLM:
    """The model that carries a source's tensors.

    Raises:
        AttractorError: if tensors are missing, left over, of other shapes or no plain numbers; for
            models that read a text and write another; and if the head is no function of single
            positions.
    """
    library = transformers()
    kind = library.MODEL_FOR_MASKED_LM_MAPPING[type(config)]
    if getattr(config, "is_encoder_decoder", False) or not hasattr(kind, "base_model_prefix"):
        raise AttractorError(f"{kind.__name__} reads one text and writes another: no denoiser")
    if source.headers_only:
        from accelerate import init_empty_weights

        with quietly(kind.__name__), init_empty_weights():
            return MaskedLM(kind(config).eval().requires_grad_(False))
    state = {
        name: value for name, value in source.tensors(source.content).items() if not _unused(name)
    }
    dtype = placement.dtype or require_plain(state, str(source.path))
    if getattr(config, "tie_word_embeddings", False):
        _require_tied(source, state, kind)
    with quietly(kind.__name__):
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=state,
            output_loading_info=True,
            dtype=dtype,
            device_map=placement.device_map,
            attn_implementation="eager" if not kind._supports_sdpa else None,
        )
    _require_complete(report, str(source.path))
    if placement.device_map is None:
        model = model.to(placement.device)
    whole = model.eval().requires_grad_(False)
    return _tried(whole, config, placement)


def _require_tied(source: Source, state: dict[str, Tensor], kind: Any) -> None:
    """Matrices that are one by the configuration are one in the file, if it has both."""
    for name, other in (getattr(kind, "_tied_weights_keys", None) or {}).items():
        require_tied(source, name, state.get(name), state.get(other))


def _require_complete(report: Any, where: str) -> None:
    for what, key in (("lacks", "missing_keys"), ("has an unknown", "unexpected_keys")):
        names = sorted(str(name) for name in report[key] if not _unused(str(name)))
        if names:
            raise AttractorError(
                f"'{where}' {what} '{names[0]:.100}' one of {len(names)} such tensors"
            )
    if report["mismatched_keys"]:
        name = min(str(found[0]) for found in report["mismatched_keys"])
        raise AttractorError(f"'{name:.100}' in '{where}' is not of the shape that it says")


def _tried(whole: nn.Module, config: Any, placement: Placement) -> MaskedLM:
    """Body and head apart, if they give what the whole gives."""
    x = torch.arange(TRIED, device=placement.device)[None] % (config.vocab_size - 1) + 1
    with torch.no_grad(), quietly(type(whole).__name__):
        expected = whole(input_ids=x, attention_mask=torch.ones_like(x)).logits[0]
        parts = MaskedLM(whole)
        hidden = parts.hidden(x)[0]
        found = torch.cat([parts.head(hidden[:3]), parts.head(hidden[3:])])
    wide = expected.float()
    if not torch.allclose(
        found.float(), wide, rtol=0, atol=1e-4 * max(1.0, wide.abs().max().item())
    ):
        raise AttractorError(
            f"the head of {type(whole).__name__} is no function of single positions: such models "
            "are not supported"
        )
    return parts


def _unused(name: str) -> bool:
    return any(part in name for part in UNUSED)


def _first(output: Any) -> Tensor:
    return output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]


def _mask(x: Tensor, keep: Tensor | None) -> Tensor:
    return torch.ones_like(x) if keep is None else keep.long()

"""Settings of a configuration that would change the mathematics, and that nobody here heeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attractor.adapters.source import Source
from attractor.types import AttractorError

BOILERPLATE = frozenset({
    "_name_or_path", "_attn_implementation", "architectures", "auto_map", "model_type", "dtype",
    "torch_dtype", "transformers_version", "output_hidden_states", "output_attentions",
    "return_dict", "use_return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "id2label",
    "label2id", "problem_type", "use_cache", "initializer_range", "bos_token_id", "eos_token_id",
    "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id", "mask_token_id", "num_labels",
    "finetuning_task", "task_specific_params", "tokenizer_class", "gradient_checkpointing",
    "vocab_size", "quantization_config",
})  # fmt: skip
"""What transformers writes into every config.json, none of which a network is made of."""
TRAINING = (
    "dropout",
    "_init",
    "init_",
    "attn_implementation",
    "gradient_",
    "pooler_",
    "classifier",
)
"""Parts of names of settings that matter in training alone, or to heads that are not used."""
ALTERS = {
    "block_size": (), "cross_attn": (), "causal": (), "is_causal": (), "cfg": (), "adaln": (True,),
    "tie_word_embeddings": (), "weight_tying": (), "scale_logits": (), "logit_scale": (1, 1.0),
    "logits_scaling": (1, 1.0), "final_logit_softcapping": (), "attn_logit_softcapping": (),
    "rope_scaling": (), "sliding_window": (), "num_experts": (), "quantization_config": (),
}  # fmt: skip
"""Settings that change what a network computes, and the values, beside null, false and 0, of those
that do not."""


def require_understood(
    source: Source, heeded: Collection[str], *, neutral: Mapping[str, Any] | None = None
) -> None:
    """Refuse a configuration with a setting that is not understood.

    Args:
        source: config.json.
        heeded: settings that the family reads, or that are known to change nothing.
        neutral: further settings, each with the one value that is understood.

    Raises:
        AttractorError: naming the setting.
    """
    only = dict(neutral or {})
    require_one_base(source)
    require_neutral(source, only)
    for name, value in source.config.items():
        known = name in heeded or name in only or name in BOILERPLATE or name.startswith("_")
        if name == "quantization_config" or not (known or any(part in name for part in TRAINING)):
            _require(source, name, value, ALTERS.get(name, ()))


def require_one_base(source: Source) -> None:
    """Refuse a configuration that tells two bases of the positions' angles, of which the network
    would take one without a word."""
    told: dict[str, Any] = {"rope_theta": source.config.get("rope_theta")}
    for name in ("rope_parameters", "rope_scaling"):
        inner = source.config.get(name)
        if isinstance(inner, dict):
            told[f"{name}.rope_theta"] = inner.get("rope_theta")
    told = {name: base for name, base in told.items() if base is not None}
    if len(set(map(repr, map(_number, told.values())))) > 1:
        both = " and ".join(f"{name} = {base!r:.40}" for name, base in told.items())
        raise AttractorError(f"'{source.path}' says {both}: they contradict each other")


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def require_unaltered(source: Source, heeded: Collection[str] = ()) -> None:
    """Refuse a configuration with one of the settings of `ALTERS`, unless the family heeds it."""
    for name, values in ALTERS.items():
        if name not in heeded:
            _require(source, name, source.config.get(name), values)


def require_neutral(source: Source, neutral: Mapping[str, Any]) -> None:
    """Refuse a configuration that gives one of these settings another value than that beside it;
    untold is taken for that value."""
    for name, value in neutral.items():
        found = source.config.get(name, value)
        if found != value and not (found is None and not value):
            raise AttractorError(
                f"'{source.path}' says {name} = {found!r:.60}: only {value!r} is supported"
            )


def _require(source: Source, name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value and value not in allowed:
        raise AttractorError(
            f"'{source.path}' says {name} = {value!r:.60}, which is not understood here: its model "
            "would be read wrongly"
        )

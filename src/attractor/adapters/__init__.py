"""Checkpoints of every kind, each to a Denoiser; one family of checkpoints a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attractor.adapters import (
    decoder,
    dream,
    duo,
    fairseq,
    gidd,
    gidd_scaled,
    lightning,
    llada,
    masked_lm,
    mdlm,
    own_run,
    published,
)
from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.placement import Placement, read_placement
from attractor.adapters.source import Source, find_source
from attractor.adapters.tokenizer import tokenizer_of
from attractor.model.denoiser import Denoiser
from attractor.types import AttractorError, did_you_mean

LOG = logging.getLogger("attractor")
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        own_run.FAMILY,
        published.FAMILY,
        lightning.FAMILY,
        duo.FAMILY,
        mdlm.FAMILY,
        gidd.FAMILY,
        gidd_scaled.FAMILY,
        llada.FAMILY,
        dream.FAMILY,
        masked_lm.FAMILY,
        fairseq.FAMILY,
        decoder.FAMILY,
    )
}
"""All families by name, in the order in which they are asked whether a checkpoint is theirs; see
docs/adapters.md for how to add one."""


def load(
    path: str | Path,
    weights: Weights = "ema",
    device: str = "auto",
    *,
    family: str | None = None,
    revision: str | None = None,
    dtype: str | None = None,
    device_map: str | Mapping[str, str | int] | None = None,
    tokenizer: str | Path | None = None,
    **settings: Any,
) -> Denoiser:
    """Load a model as a Denoiser: a run, somebody's checkpoint, or a model of the Hugging Face Hub.

    Shapes and settings are read from the checkpoint; what it does not tell is asked for. Nothing in
    a file is ever executed.

    Args:
        path: a run directory, one of its `checkpoint/step-*`, or the run of a sweep that has these
            values, such as `runs/demo:n=32,seed=1`; a model that ships with the package, such as
            `reference:n=2048`; a Lightning checkpoint; a folder in the layout of the Hub; or a Hub
            id `owner/name`, with `/path/of/a/file.ckpt` behind it for one file.
        weights: "ema" for the averaged weights, "raw" for the last ones. They are chosen here,
            once: a Denoiser never changes its weights.
        device: where the model computes: "cpu", "cuda", ..., or "auto" for a GPU where there is
            one; or "meta" for a model without its numbers, which can be planned but not run.
        family: which layout it is, where it cannot be told: one of `FAMILIES`.
        revision: of a Hub model: branch, tag or commit.
        dtype: of the weights, for networks that are large: "float32", "bfloat16", "float16"; as
            they are stored unless given. The others are read in float32.
        device_map: how accelerate spreads such a network over several devices, such as "auto".
        tokenizer: a tokenizer.json, a vocab.txt, or a folder of one; that which lies beside the
            model unless given.
        settings: what the checkpoint does not tell, such as `n_heads`; the error names what is
            missing.

    Raises:
        AttractorError: if there is no such checkpoint, it is a whole sweep, damaged or of no known
            family, its tensors do not fit its settings, or a setting is missing.
    """
    if weights not in ("ema", "raw"):
        raise AttractorError(f"weights = {weights!r}: allowed are 'ema' and 'raw'")
    placement = read_placement(device, dtype, device_map)
    source = find_source(path, revision, headers_only=placement.device.type == "meta")
    chosen = _family(source, family)
    if source.config.get("auto_map"):
        LOG.warning("'%s' asks for remote code (auto_map), which is not run", source.path)
    if not chosen.placed and placement != Placement(placement.device):
        raise AttractorError(
            f"dtype and device_map are not for the family '{chosen.name}', which is read in "
            "float32 onto one device"
        )
    if not chosen.placed and source.headers_only:
        raise AttractorError(f"the family '{chosen.name}' cannot be read without its numbers")
    given = Settings(settings, str(path), placement)
    denoiser = chosen.load(source, weights, given, placement.device)
    denoiser.tokenizer = tokenizer_of(source.path, denoiser.process.vocab_size, tokenizer)
    return denoiser


def family_of(path: str | Path, family: str | None = None, revision: str | None = None) -> Family:
    """The family of a checkpoint, of which no weight is read where its configuration tells.

    Raises:
        AttractorError: as `load` does.
    """
    return _family(find_source(path, revision, headers_only=True), family)


def _family(source: Source, name: str | None) -> Family:
    known = ", ".join(FAMILIES)
    if name is not None:
        if name not in FAMILIES:
            raise AttractorError(
                f"family = {name!r}: there are {known}{did_you_mean(name, FAMILIES)}"
            )
        return FAMILIES[name]
    for family in FAMILIES.values():
        if family.recognises(source):
            return family
    if source.config and not isinstance(source.config.get("model_type"), str):
        raise AttractorError(
            f"the config.json of '{source.path}' names no architecture (model_type); say which "
            f"family it is with family=... ({known})"
        )
    raise AttractorError(
        f"'{source.path}' is of no family that is known ({known}); say which with family=..."
    )


__all__ = ["FAMILIES", "Family", "Settings", "Source", "Weights", "load"]

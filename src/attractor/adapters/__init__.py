"""Checkpoints of every kind, each to a Denoiser; one family of checkpoints a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attractor.adapters import duo, gidd, lightning, mdlm, own_run, published
from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.source import Source, find_source
from attractor.adapters.tokenizer import tokenizer_of
from attractor.machine.device import pick_device
from attractor.model.denoiser import Denoiser
from attractor.types import AttractorError, did_you_mean

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        own_run.FAMILY,
        published.FAMILY,
        lightning.FAMILY,
        duo.FAMILY,
        mdlm.FAMILY,
        gidd.FAMILY,
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
            one.
        family: which layout it is, where it cannot be told: one of `FAMILIES`.
        revision: of a Hub model: branch, tag or commit.
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
    target = pick_device(device)
    source = find_source(path, revision)
    denoiser = _family(source, family).load(source, weights, Settings(settings, str(path)), target)
    denoiser.tokenizer = tokenizer_of(source.path, denoiser.process.vocab_size, tokenizer)
    return denoiser


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
    raise AttractorError(
        f"'{source.path}' is of no family that is known ({known}); say which with family=..."
    )


__all__ = ["FAMILIES", "Family", "Settings", "Source", "Weights", "load"]

"""Our own runs on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.network import build_network, read_shape, require_shape
from attractor.adapters.source import Source
from attractor.adapters.sweep_folder import is_run
from attractor.machine.checkpoint import STATE, load_checkpoint
from attractor.model.network import NetworkDenoiser
from attractor.process.registry import process_from_settings
from attractor.train.checkpoints import checkpoint_paths
from attractor.types import AttractorError

FILES = {"ema": "ema", "raw": "model"}
"""The group of tensors in a checkpoint for each choice of weights."""


def recognises(source: Source) -> bool:
    """Whether this is a run directory, trained or not, or one of its checkpoints."""
    return (
        (source.path / STATE).is_file()
        or bool(checkpoint_paths(source.path))
        or is_run(source.path)
    )


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser of the last checkpoint of a run, or of the one that was named."""
    settings.read()  # everything is told: whoever gives a setting is wrong
    where, name = str(source.path), FILES[weights]
    state, groups = load_checkpoint(_latest(source.path), name)
    shape = read_shape(groups[name], where)
    try:
        sizes = {size: state["model"][size] for size in ("hidden_size", "n_blocks", "cond_dim")}
        require_shape(shape, where, vocab_size=state["vocab_size"], **sizes)
        process = process_from_settings(state["process"], shape.vocab_size)
        network = build_network(
            groups[name], shape, state["model"]["n_heads"], where, causal=not process.corrupts
        )
        return NetworkDenoiser(network.to(device), process, state["seq_len"])
    except (KeyError, TypeError) as error:
        raise AttractorError(f"the state of '{where}' is incomplete: {error!r}") from None


def _latest(path: Path) -> Path:
    if (path / STATE).is_file():
        return path
    steps = checkpoint_paths(path)
    if not steps:
        what = "a run without a checkpoint yet" if is_run(path) else "not a run"
        raise AttractorError(f"'{path}' is {what}: it has no checkpoint/step-*")
    return steps[0]


FAMILY = Family("run", recognises, load)

"""Our own runs on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.network import fill
from attractor.adapters.source import Source
from attractor.checkpoint import STATE, load_checkpoint
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process.named import process_from_settings
from attractor.train.checkpoints import checkpoint_paths
from attractor.types import AttractorError

FILES = {"ema": "ema", "raw": "model"}


def recognises(source: Source) -> bool:
    """A run directory, or one of its checkpoints."""
    return (source.path / STATE).is_file() or bool(checkpoint_paths(source.path))


def load(source: Source, weights: Weights, settings: Settings, device: torch.device) -> NetworkDenoiser:
    """The last checkpoint of a run, or the one that was named."""
    settings.read()
    where, name = str(source.path), FILES[weights]
    state, tensors = load_checkpoint(_latest(source.path), name)
    try:
        process = process_from_settings(state["process"], state["vocab_size"])
        network, seq_len = DDiT(state["vocab_size"], **state["model"]), state["seq_len"]
    except (KeyError, TypeError) as error:
        raise AttractorError(f"the state of '{where}' is incomplete: {error}") from None
    return NetworkDenoiser(fill(network, tensors[name], where).to(device), process, seq_len)


def _latest(path: Path) -> Path:
    if (path / STATE).is_file():
        return path
    steps = checkpoint_paths(path)
    if not steps:
        raise AttractorError(f"'{path}' is not a run: it has no checkpoint/step-*")
    return steps[0]


FAMILY = Family("run", recognises, load)

"""Our own runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attractor.checkpoint import STATE, load_checkpoint
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process.named import process_from_settings
from attractor.runtime import pick_device
from attractor.train.checkpoints import checkpoint_paths
from attractor.types import AttractorError

Weights = Literal["ema", "raw"]
FILES = {"ema": "ema", "raw": "model"}


def load(path: str | Path, weights: Weights = "ema", device: str = "auto") -> NetworkDenoiser:
    """Load a model as a Denoiser.

    Args:
        path: a run directory, or one of its `checkpoint/step-*`.
        weights: "ema" for the averaged weights, "raw" for the last ones.
        device: "auto", "cpu", "cuda", ...

    Raises:
        AttractorError: if there is no such checkpoint, it is damaged, or its tensors do not fit its settings.
    """
    if weights not in FILES:
        raise AttractorError(f"weights = {weights!r}: allowed are 'ema' and 'raw'")
    target = pick_device(device)
    name = FILES[weights]
    state, tensors = load_checkpoint(_latest(Path(path)), name)
    process = process_from_settings(state["process"], state["vocab_size"])
    network = DDiT(state["vocab_size"], **state["model"])
    try:
        network.load_state_dict(tensors[name])
    except RuntimeError as error:
        raise AttractorError(f"the tensors in '{path}' do not fit its settings: {error}") from None
    return NetworkDenoiser(network.to(target), process, state["seq_len"])


def _latest(path: Path) -> Path:
    if (path / STATE).is_file():
        return path
    steps = checkpoint_paths(path)
    if not steps:
        raise AttractorError(f"'{path}' is not a run: it has no checkpoint/step-*")
    return steps[0]

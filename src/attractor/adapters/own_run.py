"""Our own runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from attractor.checkpoint import STATE, load_checkpoint, save_checkpoint
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process.forward import ForwardProcess
from attractor.process.named import process_from_settings, process_settings
from attractor.runtime import pick_device
from attractor.train.loop import TrainState
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


def save(run: Path, trained: TrainState, process: ForwardProcess, seq_len: int, model: dict[str, Any]) -> None:
    """Write `<run>/checkpoint/step-*`: weights, averaged weights, optimizer and the settings to rebuild them."""
    parameters: dict[str, torch.Tensor] = dict(trained.network.named_parameters())
    moments: dict[str, torch.Tensor] = {
        f"{key}.{name}": value
        for name, parameter in parameters.items()
        for key, value in trained.optimizer.state[parameter].items()
        if isinstance(value, torch.Tensor)
    }
    state = {
        "step": trained.step,
        "vocab_size": process.vocab_size,
        "seq_len": seq_len,
        "model": model,
        "process": process_settings(process),
    }
    tensors: dict[str, dict[str, torch.Tensor]] = {
        "model": parameters,
        "ema": trained.ema.state_dict(),
        "optimizer": moments,
    }
    save_checkpoint(run / "checkpoint" / f"step-{trained.step:08d}", tensors, state)


def _latest(path: Path) -> Path:
    if (path / STATE).is_file():
        return path
    steps = sorted((path / "checkpoint").glob("step-*"))
    if not steps:
        raise AttractorError(f"'{path}' is not a run: it has no checkpoint/step-*")
    return steps[-1]

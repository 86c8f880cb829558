"""Processes by name, and as the settings that a checkpoint keeps."""

from __future__ import annotations

from typing import Any

import torch

from attractor.process.absorbing import AbsorbingProcess
from attractor.process.autoregressive import AutoregressiveProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess, MixtureProcess
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError, ProcessName


def make_process(
    name: ProcessName, text_size: int, uniform_share: float, pad_id: int | None = None
) -> ForwardProcess:
    """A log-linear process over `text_size` tokens of text; one that needs a mask adds it at the
    end.

    Args:
        name: which process.
        text_size: number of tokens of text.
        uniform_share: of a hybrid process, in (0, 1); not used by the others.
        pad_id: which of these is padding, and so no text; None where there is none.

    Raises:
        AttractorError: if the vocabulary is too small, or the share outside its range.
    """
    ids = [i for i in range(text_size) if i != pad_id]
    if name == "uniform":
        return UniformProcess(text_size, text_ids=ids)
    if name == "absorbing":
        return AbsorbingProcess(text_size + 1, text_ids=ids)
    if name == "autoregressive":
        return AutoregressiveProcess(text_size + 1, text_ids=ids)
    return HybridProcess(text_size + 1, uniform_share=uniform_share, text_ids=ids)


def process_settings(process: ForwardProcess) -> dict[str, Any]:
    """What it takes to build a log-linear process again, as JSON.

    Raises:
        AttractorError: for a process of another kind or schedule.
    """
    if not isinstance(process.schedule, LogLinear):
        raise AttractorError(
            f"{type(process.schedule).__name__} is not a schedule that runs are saved with"
        )
    if isinstance(process, MixtureProcess) and not isinstance(process, HybridProcess):
        raise AttractorError(f"{type(process).__name__} is not a process that runs are saved with")
    settings: dict[str, Any] = {
        "name": process_name(process),
        "schedule": "log-linear",
        "eps": process.schedule.eps,
    }
    if process.mask_id is not None:
        settings["mask_id"] = process.mask_id
    if isinstance(process, HybridProcess):
        settings["uniform_share"] = process.uniform_share
    others = torch.arange(process.vocab_size)
    if not_text := others[process.is_fixed(others)].tolist():
        settings["not_text"] = not_text
    return settings


def process_name(process: ForwardProcess) -> ProcessName:
    """The name under which `make_process` builds such a process.

    Raises:
        AttractorError: for a process of another kind.
    """
    match process:
        case MixtureProcess():
            return "hybrid"
        case AbsorbingProcess():
            return "absorbing"
        case UniformProcess():
            return "uniform"
        case AutoregressiveProcess():
            return "autoregressive"
    raise AttractorError(f"{type(process).__name__} is not a process that has a name")


def process_from_settings(settings: dict[str, Any], vocab_size: int) -> ForwardProcess:
    """The process of `process_settings`; `vocab_size` counts the mask.

    Raises:
        AttractorError: for an unknown process, or a setting that is missing or wrong.
    """
    try:
        schedule, name = LogLinear(settings["eps"]), settings["name"]
        text_ids = sorted(set(range(vocab_size)) - set(settings.get("not_text", ())))
        if name == "autoregressive":
            return AutoregressiveProcess(vocab_size, text_ids)
        if name == "uniform":
            return UniformProcess(vocab_size, schedule, text_ids)
        if name == "absorbing":
            return AbsorbingProcess(vocab_size, schedule, settings["mask_id"], text_ids)
        if name == "hybrid":
            return HybridProcess(
                vocab_size, schedule, settings["mask_id"], settings["uniform_share"], text_ids
            )
    except (KeyError, TypeError) as error:
        raise AttractorError(f"the settings of the process are incomplete: {error!r}") from None
    raise AttractorError(
        f"unknown process {name!r}; there are uniform, absorbing, hybrid and autoregressive"
    )

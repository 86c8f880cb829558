"""The device that computes, and in which precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from attractor.machine.processes import processes
from attractor.types import AttractorError

Precision = Literal["float32", "bf16"]


def pick_device(name: str = "auto") -> torch.device:
    """The device to compute on: "auto" takes a GPU where there is one.

    Raises:
        AttractorError: if the device is unknown or not there.
    """
    if name == "auto" and processes().count > 1:
        return processes().accelerator.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    # A name may be well formed and the device not there: only using it tells.
    try:
        device = torch.device(name)
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise AttractorError(
            f"device = {name!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from None
    return device


def autocast(
    device: torch.device, precision: Precision
) -> contextlib.AbstractContextManager[object]:
    """The context in which a network computes; float32 is left alone."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a GPU copies it from pinned memory, in turn, while this process goes
    on."""
    # From memory that may be swapped out, torch would have to wait for the copy.
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """A context in which the CPU takes numbers below the normal ones, 1.2e-38 in float32, for zero,
    here and in threads that are begun here; also a decorator.

    Such numbers arise by the million where a memorizing network is sure of itself, change no
    result, and cost a CPU ten times a normal number's time.
    """
    before = bool(torch.full((), 1e-39) / 2 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)

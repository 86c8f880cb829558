"""Where the weights of a large network go, and in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from attractor.machine.device import pick_device
from attractor.types import AttractorError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Placement(NamedTuple):
    """What the caller says of precision and devices."""

    device: torch.device = torch.device("cpu")
    """where tokens go, and the network if it is not spread; "meta" for a network without numbers"""
    dtype: torch.dtype | None = None
    """of the weights; None for that in which they are stored"""
    device_map: str | Mapping[str, str | int] | None = None
    """how accelerate spreads the network"""


def read_placement(
    device: str, dtype: str | None, device_map: str | Mapping[str, str | int] | None
) -> Placement:
    """The placement that a caller asks for.

    Raises:
        AttractorError: for a device that there is not, another precision, or a device map beside
            "meta".
    """
    if dtype is not None and dtype not in PRECISIONS:
        raise AttractorError(f"dtype = {dtype!r}: there are {', '.join(PRECISIONS)}")
    target = torch.device("meta") if device == "meta" else pick_device(device)
    if device_map is not None and target.type == "meta":
        raise AttractorError("device_map: a network without numbers (device 'meta') is not spread")
    return Placement(target, None if dtype is None else PRECISIONS[dtype], device_map)

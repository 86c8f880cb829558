"""A network from the tensors of a checkpoint, of which no second copy is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from typing import TypeVar

import torch
from torch import Tensor, nn

from attractor.adapters.placement import Placement
from attractor.adapters.source import Source
from attractor.types import AttractorError

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
Network = TypeVar("Network", bound=nn.Module)


def assemble(
    build: Callable[[], Network],
    source: Source,
    rename: Callable[[str], str | None],
    placement: Placement,
    whole_layers: Collection[str] = (),
    tied: tuple[str, str] | None = None,
) -> Network:
    """A network in evaluation mode whose parameters *are* the tensors of a source.

    It is built without memory, and each parameter is given its tensor, which a safetensors file
    maps and does not read: one tensor at a time is converted or moved. A network that is to have no
    numbers (device "meta") needs no weights at all.

    Args:
        build: makes the network, whose buffers, if it has any, are to have their numbers.
        source: the checkpoint.
        rename: from a tensor's name to its parameter's; None for a tensor that is not needed.
        placement: device, precision, and how to spread the network over devices.
        whole_layers: names of classes that are not torn apart when it is spread.
        tied: the name of an output layer that is no parameter of the network, and that of the
            embedding it is.

    Raises:
        AttractorError: if a tensor is missing, left over or there twice, of the wrong shape, no
            plain floating-point number, or holds NaN or infinity; and if a tied output layer is
            stored and is another than the embedding.
    """
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
    where = str(source.path)
    if source.headers_only and not source.has_weights:
        return network.to(placement.dtype or source.config_dtype)
    tensors = _renamed(source, rename)
    if tied is not None:
        head, embedding = tied
        require_tied(source, head, tensors.pop(head, None), tensors.get(embedding))
    wanted = dict(network.named_parameters())
    require_names(wanted.keys(), tensors.keys(), where)
    dtype = placement.dtype or require_plain(tensors, where)
    device_of = _devices(network, placement, dtype, whole_layers)
    for name, parameter in wanted.items():
        value = source.tensor(tensors.pop(name), name)
        _check(name, value, parameter.shape, where, dtype)
        owner, _, leaf = name.rpartition(".")
        value = value.to(device_of(name), dtype)
        network.get_submodule(owner).register_parameter(leaf, nn.Parameter(value, False))
    if placement.device_map is not None:
        from accelerate import dispatch_model

        return dispatch_model(network, device_of.map)
    return network.to(placement.device)


def require_names(wanted: Set[str], found: Set[str], where: str) -> None:
    """Raise AttractorError unless a checkpoint has the tensors a network wants, and no other."""
    for what, names in (("lacks", wanted - found), ("has an unknown", found - wanted)):
        if names:
            raise AttractorError(
                f"'{where}' {what} '{min(names):.100}' one of {len(names)} such tensors"
            )


def require_tied(source: Source, name: str, head: object, embedding: object) -> None:
    """Raise AttractorError if an output layer that is said to be the embedding is stored beside it
    and holds other numbers: one of the two would be dropped without a word."""
    if head is None or embedding is None or source.headers_only:
        return
    one, other = source.tensor(head, name), source.tensor(embedding, name)
    if one.shape != other.shape or not torch.equal(one, other):
        raise AttractorError(
            f"'{source.path}' says that output layer and embedding are one (tied), but stores "
            f"'{name:.100}' with other numbers: one of the two is wrong"
        )


def require_plain(tensors: Mapping[str, object], where: str) -> torch.dtype:
    """The precision in which the weights are stored.

    Raises:
        AttractorError: if it is more than one.
    """
    found = {value.dtype for value in tensors.values() if isinstance(value, Tensor)}
    names = sorted(str(dtype).removeprefix("torch.") for dtype in found & {*FLOATS})
    if len(names) > 1:
        raise AttractorError(
            f"'{where}' stores weights as {' and as '.join(names)}: say which it shall be, such as "
            f"attractor.load(..., dtype='{names[-1]}')"
        )
    # Of anything else `_check` names the tensor.
    return getattr(torch, names[0]) if names else torch.float32


class _Devices:
    """Which device each parameter goes to."""

    def __init__(self, devices: Mapping[str, str | int | torch.device]) -> None:
        self.map = dict(devices)

    def __call__(self, name: str) -> str | int | torch.device:
        parts = name.split(".")
        for size in range(len(parts), -1, -1):
            if (found := self.map.get(".".join(parts[:size]))) is not None:
                return found
        raise AttractorError(f"device_map: it says no device for '{name:.100}'")


def _devices(
    network: nn.Module, placement: Placement, dtype: torch.dtype, whole_layers: Collection[str]
) -> _Devices:
    if placement.device_map is None:
        return _Devices({"": placement.device})
    spread = placement.device_map
    if isinstance(spread, str):
        from accelerate import infer_auto_device_map

        if spread != "auto":
            raise AttractorError(f"device_map = {spread!r}: there is 'auto', or a map by name")
        spread = infer_auto_device_map(
            network, no_split_module_classes=list(whole_layers), dtype=dtype
        )
    if "disk" in spread.values():
        raise AttractorError(
            "device_map: the network does not fit into the memory of all devices; a smaller dtype "
            "may"
        )
    return _Devices(spread)


def _renamed(source: Source, rename: Callable[[str], str | None]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in source.content.items():
        new = rename(name)
        if new is None:
            continue
        if new in found:
            raise AttractorError(f"'{source.path}' holds '{new:.100}' twice")
        found[new] = value
    return found


def _check(name: str, value: Tensor, shape: torch.Size, where: str, dtype: torch.dtype) -> None:
    if value.dtype not in FLOATS or value.shape != shape:
        kind = str(value.dtype).removeprefix("torch.")
        raise AttractorError(
            f"'{name:.100}' in '{where}' is {kind} {tuple(value.shape)}, not plain floating-point "
            f"{tuple(shape)}"
        )
    # By its extremes, for which no second tensor is made; NaN is both extremes.
    if value.numel() and value.device.type != "meta":
        low, high = value.aminmax()
        if not (low.isfinite() and high.isfinite()):
            raise AttractorError(f"'{name:.100}' in '{where}' holds values that are not finite")
        if not (low.to(dtype).isfinite() and high.to(dtype).isfinite()):
            kind = str(dtype).removeprefix("torch.")
            raise AttractorError(
                f"'{name:.100}' in '{where}' holds values that {kind} does not: say another dtype"
            )

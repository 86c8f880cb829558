"""Weights of a network as few bytes, as the page holds them: 8 bits where that changes little, half
precision otherwise."""

from __future__ import annotations

import copy
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.model.network import NetworkDenoiser

Bits = Literal[8, 16]
ALLOWED = 1e-2
"""Largest change of any probability that 8 bits may make."""
TIMES = (1e-5, 0.05, 0.15, 0.3, 0.5, 0.8, 1.0)
"""Times at which changes are looked for."""


class Weights(NamedTuple):
    """The weights of one network, as bytes and where each lies in them."""

    bits: Bits
    content: bytes
    tensors: list[dict[str, Any]]
    """name, shape, kind and first byte of each; see js/network.js"""
    changed: float
    """largest difference of a probability from the network as it was trained"""


def smallest(denoiser: NetworkDenoiser, rows: Tensor) -> Weights:
    """The weights in 8 bits if no probability on these rows, corrupted at `TIMES`, changes by more
    than `ALLOWED`; else in half precision.

    Args:
        denoiser: the model.
        rows: text to compare on, (N, L).
    """
    packed = _weights(denoiser, 8, rows)
    return packed if packed.changed <= ALLOWED else _weights(denoiser, 16, rows)


def _weights(denoiser: NetworkDenoiser, bits: Bits, rows: Tensor) -> Weights:
    content, tensors = packed_in(denoiser, bits)
    changed = difference(denoiser, unpacked(denoiser, content, tensors), rows)
    return Weights(bits, content, tensors, changed)


def difference(one: NetworkDenoiser, other: NetworkDenoiser, rows: Tensor) -> float:
    """Largest difference of a probability between two models, on rows corrupted at `TIMES`."""
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for t in TIMES:
        times = torch.full((len(rows),), t)
        noise = torch.rand(*rows.shape, 2, generator=generator)
        x_t = one.process.corrupt(rows, times, noise)
        p, q = (model.log_probs(x_t, times).exp() for model in (one, other))
        largest = max(largest, (p - q).abs().max().item())
    return largest


def unpacked(
    denoiser: NetworkDenoiser, content: bytes, tensors: list[dict[str, Any]]
) -> NetworkDenoiser:
    """The model that some bytes say, as the page reads them.

    Args:
        denoiser: a model of the same shape, process and length.
        content: as in `Weights`.
        tensors: as in `Weights`.
    """
    network = copy.deepcopy(denoiser.network).float().cpu()
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for tensor in tensors:
            weight = _decoded(content[tensor["at"] :], tuple(tensor["shape"]), tensor["kind"])
            parameters[tensor["name"]].copy_(torch.from_numpy(weight))
    return NetworkDenoiser(network, denoiser.process, denoiser.seq_len, denoiser.time_conditioned)


def packed_in(denoiser: NetworkDenoiser, bits: Bits) -> tuple[bytes, list[dict[str, Any]]]:
    """The weights in so many bits: the bytes, and where each tensor lies in them."""
    content, tensors = bytearray(), []
    for name, parameter in denoiser.network.named_parameters():
        weight = parameter.detach().float().cpu().numpy()
        # Vectors, of which there are few, stay as they are.
        kind = "float" if weight.ndim == 1 else "int8" if bits == 8 else "half"
        tensors.append(
            {"name": name, "shape": list(weight.shape), "kind": kind, "at": len(content)}
        )
        data = _encoded(weight, kind)
        content += data + b"\0" * (-len(data) % 4)
    return bytes(content), tensors


def _encoded(weight: np.ndarray, kind: str) -> bytes:
    if kind != "int8":
        return weight.astype("<f4" if kind == "float" else "<f2").tobytes()
    scale = np.abs(weight).max(1).astype("<f4") / np.float32(127)
    scale[scale == 0] = 1
    return scale.tobytes() + np.rint(weight / scale[:, None]).astype(np.int8).tobytes()


def _decoded(data: bytes, shape: tuple[int, ...], kind: str) -> np.ndarray:
    size = int(np.prod(shape))
    if kind != "int8":
        form = "<f4" if kind == "float" else "<f2"
        return np.frombuffer(data, form, size).reshape(shape).astype(np.float32)
    scale = np.frombuffer(data, "<f4", shape[0])
    small = np.frombuffer(data, np.int8, size, 4 * shape[0]).reshape(shape)
    return small * scale[:, None]

"""A diffusion transformer from the tensors of a checkpoint: shapes are read, never assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attractor.adapters.assemble import require_names
from attractor.model.ddit import DDiT
from attractor.types import AttractorError

BUFFER = re.compile(r"rotary_emb\.")
"""Tables of the rotary embedding, which follow from the shape."""


class NetworkShape(NamedTuple):
    """What the tensors of a DDiT tell about it; None where they do not."""

    vocab_size: int
    hidden_size: int
    n_blocks: int
    cond_dim: int
    n_heads: int | None


def read_shape(tensors: Mapping[str, Tensor], where: str) -> NetworkShape:
    """The shape of the DDiT that some tensors, by their public names, make up.

    The layout is that of MDLM, Duo and UDLM: `vocab_embed.embedding` is (V, H), `sigma_map.mlp.0`
    takes features of the noise level to (C,), `blocks.K.` are numbered from 0 without a gap, and
    linear weights are (out, in) as torch has them.

    Args:
        tensors: by name.
        where: the checkpoint, for messages.

    Raises:
        AttractorError: if a tensor is missing or not of the right rank.
    """
    vocab_size, hidden_size = _matrix(tensors, "vocab_embed.embedding", where).shape
    cond_dim = len(_matrix(tensors, "sigma_map.mlp.0.weight", where))
    matches = (re.match(r"blocks\.(\d{1,6})\.", name) for name in tensors)
    blocks = {int(match[1]) for match in matches if match}
    if not blocks or blocks != set(range(len(blocks))):
        raise AttractorError(f"'{where}' has no transformer blocks, or some of them are missing")
    return NetworkShape(
        vocab_size, hidden_size, len(blocks), cond_dim, _heads(tensors, hidden_size)
    )


def require_shape(shape: NetworkShape, where: str, **said: Any) -> None:
    """Raise AttractorError if the settings of a checkpoint contradict its tensors; None says
    nothing."""
    for name, value in said.items():
        if value is not None and value != getattr(shape, name):
            raise AttractorError(
                f"'{where}' says {name} = {value!r:.60}, but its tensors have "
                f"{getattr(shape, name)}"
            )


def build_network(
    tensors: Mapping[str, Tensor],
    shape: NetworkShape,
    n_heads: int,
    where: str,
    causal: bool = False,
) -> DDiT:
    """A DDiT, causal or not, that carries the tensors, in float32.

    Raises:
        AttractorError: if a tensor is missing, left over, of the wrong shape or type, or holds NaN
            or infinity.
    """
    _, hidden_size, n_blocks, cond_dim, _ = shape
    if type(n_heads) is not int or n_heads < 1 or hidden_size % (2 * n_heads):
        raise AttractorError(
            f"n_heads = {n_heads!r}: a width of {hidden_size} must be a multiple of 2 n_heads"
        )
    # The initialisation draws random numbers, all of which are overwritten: whoever loads a model
    # must not find the global generator moved on.
    with torch.random.fork_rng(devices=[]):
        network = DDiT(
            shape.vocab_size, hidden_size, n_blocks, n_heads, cond_dim, dropout=0.0, causal=causal
        )
    _require_angles(network, tensors.get("rotary_emb.inv_freq"), where)
    return fill(
        network, {name: value for name, value in tensors.items() if not BUFFER.match(name)}, where
    )


def _require_angles(network: DDiT, stored: Tensor | None, where: str) -> None:
    """Raise AttractorError if a stored rotary table is of another base than this network's."""
    made = network.rotary_emb.get_buffer("inv_freq")
    if stored is None or (
        stored.shape == made.shape and torch.allclose(stored.float(), made, rtol=0.01)
    ):
        return
    raise AttractorError(
        f"'rotary_emb.inv_freq' in '{where}' is not that of the base 10,000, which alone is known"
    )


def fill(network: DDiT, tensors: Mapping[str, Tensor], where: str) -> DDiT:
    """Copy tensors into a network, strictly; raises AttractorError as `build_network` does."""
    wanted = dict(network.named_parameters())
    require_names(wanted.keys(), tensors.keys(), where)
    with torch.no_grad():
        for name, parameter in wanted.items():
            value = tensors[name]
            if value.shape != parameter.shape or not value.is_floating_point():
                raise AttractorError(
                    f"'{name}' in '{where}' is {value.dtype} {tuple(value.shape)}, not float "
                    f"{tuple(parameter.shape)}"
                )
            if not value.isfinite().all():
                raise AttractorError(f"'{name}' in '{where}' holds values that are not finite")
            parameter.copy_(value)
    return network


def _matrix(tensors: Mapping[str, Tensor], name: str, where: str) -> Tensor:
    if name not in tensors or tensors[name].ndim != 2:
        raise AttractorError(f"'{where}' has no matrix '{name}' and so is no DDiT")
    return tensors[name]


def _heads(tensors: Mapping[str, Tensor], hidden_size: int) -> int | None:
    """From the rotary tables, where they were saved: a number for each pair of a head, or for each
    part."""
    # inv_freq is (head / 2,), and cos_cached (1, L, 3, 1, head), the 3 for queries, keys and
    # values.
    half = tensors.get("rotary_emb.inv_freq")
    table = tensors.get("rotary_emb.cos_cached")
    if half is not None and half.ndim == 1 and len(half):
        return hidden_size // (2 * len(half))
    if table is not None and table.ndim == 5 and table.shape[-1]:
        return hidden_size // table.shape[-1]
    return None

"""What layouts of the Hub have in common: a configuration and a DDiT, each by names of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from attractor.adapters.family import Settings
from attractor.adapters.network import build_network, read_shape, require_shape
from attractor.adapters.source import Source
from attractor.adapters.understood import require_unaltered, require_understood
from attractor.model.ddit import DDiT

HEEDED = {"time_conditioning", "causal", "cfg", "cfg_num_classes", "var_min", "adaln"}
"""Settings that the families look at themselves, or that change nothing a network computes."""
NEUTRAL = {"rope_theta": 10_000.0, "adaln": True, "causal": False}


class Names(NamedTuple):
    """What a layout calls the shape of its network in config.json."""

    vocab_size: str = "vocab_size"
    hidden_size: str = "hidden_dim"
    n_blocks: str = "n_blocks"
    cond_dim: str = "cond_dim"
    n_heads: str = "n_heads"
    seq_len: str = "model_length"


class Read(NamedTuple):
    """A network and everything else its checkpoint or the caller has told."""

    network: DDiT
    vocab_size: int
    settings: dict[str, Any]


def read_network(
    source: Source,
    settings: Settings,
    names: Names,
    prefix: str = "",
    optional: Mapping[str, Any] | None = None,
    heeded: Collection[str] | None = None,
    **more: Any,
) -> Read:
    """The network of a source, its shape read from the tensors and checked against the
    configuration.

    Args:
        source: config.json and weights.
        settings: what the caller says.
        names: what the configuration calls things.
        prefix: of the tensors' names.
        optional: settings that need not be told, and what holds where they are not.
        heeded: settings of the configuration that the family reads itself, beside these: any other
            that says something is refused. Without it only those that are known to alter networks.
        more: other settings of the family, as found; None where they must be asked for.

    Raises:
        AttractorError: if tensors and configuration contradict each other, something is missing, or
            the configuration has a setting that is not understood.
    """
    where, config = str(source.path), source.config
    if heeded is None:
        require_unaltered(source)
    else:
        require_understood(source, {*names, *more, *HEEDED, *heeded}, neutral=NEUTRAL)
    tensors = source.tensors(source.content, prefix)
    shape = read_shape(tensors, where)
    said = {name: config.get(theirs) for name, theirs in names._asdict().items()}
    # Neither can be read from weights: the rows' length is in none of their shapes, and heads are a
    # way to look at a matrix. Both are the configuration's or the caller's to say.
    seq_len, n_heads = said.pop("seq_len"), said.pop("n_heads")
    require_shape(shape, where, **said, **({"n_heads": n_heads} if shape.n_heads else {}))
    found = settings.read(optional, n_heads=n_heads or shape.n_heads, seq_len=seq_len, **more)
    return Read(build_network(tensors, shape, found["n_heads"], where), shape.vocab_size, found)

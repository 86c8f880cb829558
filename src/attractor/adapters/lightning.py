"""The paper's Lightning checkpoints, and those of the Duo and MDLM code bases they come from.

`state_dict` holds the raw weights under `backbone.`, `ema.shadow_params` the averages of trainable
parameters in their order, without names, and `hyper_parameters.config` the settings as OmegaConf
objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attractor.adapters.family import Family, Settings, Weights
from attractor.adapters.network import BUFFER, build_network, read_shape, require_shape
from attractor.adapters.source import Source, told
from attractor.model.network import NetworkDenoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError

PREFIX = "backbone."
UNIFORM, ABSORBING = ("duo", "duo_base", "udlm"), ("mdlm",)
KNOWN = {
    "noise.type": "log-linear", "algo.causal_attention": False, "algo.cross_attn": False,
    "model.tie_word_embeddings": False, "model.adaln": True, "model.cross_attn": False,
}  # fmt: skip
"""Settings that would change the mathematics, and the values that are understood. A block as long
as the row is none."""


def recognises(source: Source) -> bool:
    """Whether this is a pickled dictionary with a `state_dict` of a backbone."""
    state = source.content.get("state_dict") if source.path.is_file() else None
    return isinstance(state, dict) and any(
        isinstance(name, str) and name.startswith(PREFIX) for name in state
    )


def load(
    source: Source, weights: Weights, settings: Settings, device: torch.device
) -> NetworkDenoiser:
    """The Denoiser; raises AttractorError for noise and backbones that this package does not
    have."""
    where, content = str(source.path), source.content

    def says(path: str) -> Any:
        """A setting of the training run by its dotted path; None if it is not told."""
        return told(content.get("hyper_parameters"), f"config.{path}")

    if not isinstance(content.get("state_dict"), dict):
        raise AttractorError(f"'{where}' has no state_dict and so is no Lightning checkpoint")
    # Averages replace the parameters; what has none, such as rotary tables, stays as it is.
    raw = source.tensors(content["state_dict"], PREFIX)
    tensors = raw if weights == "raw" else raw | _averages(source, raw)
    shape = read_shape(tensors, where)
    sizes = {name: says(f"model.{name}") for name in ("hidden_size", "n_blocks", "cond_dim")}
    require_shape(shape, where, **sizes)
    _require_known(where, KNOWN | {"block_size": says("model.length")}, says)
    algo = says("algo.name") or settings.given.get("algo")
    said = settings.read(
        algo=says("algo.name"),
        time_conditioning=says("algo.time_conditioning"),
        eps=says("noise.eps"),
        seq_len=says("model.length"),
        n_heads=shape.n_heads or says("model.n_heads"),
        **({"mask_id": None} if algo in ABSORBING else {}),
    )
    network = build_network(tensors, shape, said["n_heads"], where)
    process = _process(algo, shape.vocab_size, LogLinear(said["eps"]), said.get("mask_id"))
    return NetworkDenoiser(
        network.to(device), process, said["seq_len"], time_conditioning=said["time_conditioning"]
    )


def _process(
    algo: Any, vocab_size: int, schedule: LogLinear, mask_id: int | None
) -> ForwardProcess:
    if algo in UNIFORM:
        return UniformProcess(vocab_size, schedule)
    if algo in ABSORBING:
        return AbsorbingProcess(vocab_size, schedule, mask_id)
    raise AttractorError(
        f"algo = {algo!r} is not supported: there are {', '.join(UNIFORM + ABSORBING)}"
    )


def _averages(source: Source, raw: dict[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights by name; they come in the order of the parameters, which is that of the
    raw ones."""
    ema = source.content.get("ema")
    shadow = ema.get("shadow_params") if isinstance(ema, dict) else None
    if not isinstance(shadow, list):
        raise AttractorError(f"'{source.path}' holds no averaged weights: use weights = 'raw'")
    # The code that wrote them went through `parameters()`, which has no buffers, and the state_dict
    # lists parameters in the same order. Shapes are compared one by one, since that is all there is
    # to tell an order that differs.
    names = [name for name in raw if not BUFFER.match(name)]
    values = [source.tensor(value, "ema.shadow_params") for value in shadow]
    if [value.shape for value in values] != [raw[name].shape for name in names]:
        raise AttractorError(
            f"the averaged weights in '{source.path}' do not match its parameters one by one"
        )
    return dict(zip(names, values, strict=True))


def _require_known(where: str, known: dict[str, Any], says: Callable[[str], Any]) -> None:
    """Refuse a checkpoint that says of itself what would be read wrongly; untold is taken for
    known."""
    for path, value in known.items():
        if says(path) not in (None, value):
            raise AttractorError(
                f"'{where}' says {path} = {says(path)!r}: only {value!r} is supported"
            )


FAMILY = Family("lightning", recognises, load)

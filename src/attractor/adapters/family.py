"""What a family of checkpoints is to `attractor.load`: how to tell it, and how to make a Denoiser
of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch

from attractor.adapters.placement import Placement
from attractor.adapters.source import Source
from attractor.model.denoiser import Denoiser
from attractor.types import AttractorError

Weights = Literal["ema", "raw"]
KINDS: dict[str, tuple[type, ...]] = {
    "algo": (str,),
    "time_conditioning": (bool,),
    "n_heads": (int,),
    "seq_len": (int,),
    "mask_id": (int,),
    "eps": (float, int),
    "p_uniform": (float, int),
    "t_eps": (float, int),
    "shift": (bool,),
    "noise": (str,),
    "noise_type": (float, int),
    "architecture": (str,),
    "text_ids": (list, tuple),
    "frame": (list, tuple),
}
"""Types of settings that families share; the first of several is the one that messages name."""


class Settings:
    """What a checkpoint says about itself, completed by what the caller says.

    Args:
        given: the caller's.
        where: the checkpoint, for messages.
        placement: where the weights go, and in which precision.
    """

    def __init__(
        self, given: Mapping[str, Any], where: str, placement: Placement | None = None
    ) -> None:
        self.given, self.where = dict(given), where
        self.placement = placement or Placement()

    def read(self, optional: Mapping[str, Any] | None = None, /, **found: Any) -> dict[str, Any]:
        """Every setting of a family, from the checkpoint or else from the caller.

        Args:
            optional: settings that need not be told, and what holds where they are not.
            found: what the checkpoint says of each; None stands for one that it does not tell.

        Raises:
            AttractorError: if one is told by nobody, or differently by both, or is of another type,
                or the caller names one that there is not.
        """
        may = dict(optional or {})
        unknown = sorted(self.given.keys() - found.keys() - may.keys())
        if unknown:
            raise AttractorError(
                f"unknown setting {unknown[0]!r} for '{self.where}': there are "
                f"{', '.join([*found, *may])}"
            )
        for name, value in found.items():
            if value is not None and name in self.given and self.given[name] != value:
                raise AttractorError(
                    f"{name} = {self.given[name]!r} was given, but '{self.where}' says "
                    f"{value!r:.60}"
                )
        untold = [name for name, value in found.items() if value is None]
        missing = [name for name in untold if name not in self.given]
        if missing:
            example = ", ".join(f"{name}=..." for name in missing)
            raise AttractorError(
                f"'{self.where}' does not tell {', '.join(missing)}: attractor.load(..., {example})"
            )
        settings: dict[str, Any] = {
            name: self.given.get(name, value) for name, value in found.items()
        }
        settings |= {name: self.given[name] for name in may if name in self.given}
        # By `type` and not `isinstance`: True is an int to Python, and no number of heads.
        for name, value in settings.items():
            if name in KINDS and type(value) not in KINDS[name]:
                kind = KINDS[name][0].__name__
                raise AttractorError(
                    f"{name} = {value!r:.60} for '{self.where}' is not of type {kind}"
                )
        ids = settings.get("text_ids")
        if ids is not None and not (ids and all(type(i) is int for i in ids)):
            raise AttractorError(
                f"text_ids = {ids!r:.60} for '{self.where}': it is a list of ids, at least one"
            )
        if "seq_len" in settings and settings["seq_len"] < 1:
            raise AttractorError(
                f"seq_len = {settings['seq_len']} for '{self.where}' must be at least 1"
            )
        return may | settings


class Family(NamedTuple):
    """One layout of checkpoints."""

    name: str
    """what `attractor.load(..., family=...)` calls it"""
    recognises: Callable[[Source], bool]
    """whether a source is of this family; it must not raise but for damaged files"""
    load: Callable[[Source, Weights, Settings, torch.device], Denoiser]
    """makes a Denoiser of a source"""
    placed: bool = False
    """whether `load` heeds `settings.placement`; others read float32 onto one device"""


def told_mask(config: Mapping[str, Any]) -> dict[str, Any]:
    """The mask as `Settings.read` takes it, where a configuration tells it; else nothing."""
    mask = config.get("mask_token_id")
    return {} if mask is None else {"mask_id": mask}


def published_only(source: Source, weights: Weights) -> None:
    """Raise AttractorError if raw weights are wanted of a checkpoint that holds one set of weights,
    the published."""
    if weights == "raw":
        raise AttractorError(
            f"'{source.path}' holds one set of weights, the published one, and no 'raw' ones"
        )

"""Settings as Python gives them: by the name that only one of them has, or by their section."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attractor.config.described import described
from attractor.config.identity import to_dict
from attractor.config.settings import (
    DataConfig,
    ModelConfig,
    MonitorConfig,
    ProbeConfig,
    RunConfig,
    SweepConfig,
    TrainConfig,
)
from attractor.types import AttractorError, did_you_mean

SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "probe": ProbeConfig,
    "monitor": MonitorConfig,
}


def run_settings(base: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """The settings of one run, with some of them changed; errors as `sweep_settings`."""
    return described(RunConfig, _changed(to_dict(base), given))


def sweep_settings(base: SweepConfig, given: Mapping[str, Any]) -> SweepConfig:
    """The settings of a sweep, with some of them changed.

    Args:
        base: those to start from.
        given: settings of the sweep itself by name; those of a section as a dictionary under its
            name, such as `train={"steps": 500}`; and those whose name only one section has also by
            this name alone, such as `seq_len=64`.

    Raises:
        AttractorError: for a setting that there is not, that several sections have, or whose value
            is not allowed.
    """
    values = _changed(to_dict(base), given)
    # A whole number 1 would be one row, and a sweep's sizes say that 1 is all of them.
    values["sizes"] = [1.0 if size == 1 else size for size in values["sizes"]]
    return described(SweepConfig, values)


def probe_settings(base: ProbeConfig, given: Mapping[str, Any]) -> ProbeConfig:
    """The settings of measurements, with some of them changed; errors as `sweep_settings`."""
    values = to_dict(base)
    _fill(values, "", given)
    return described(ProbeConfig, values)


def _changed(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name in SECTIONS:
            _fill(values[name], name, value)
        elif name in values:
            values[name] = _plain(value, values[name])
        else:
            section = values[_section_of(name, values)]
            section[name] = _plain(value, section[name])
    return values


def _fill(values: dict[str, Any], section: str, given: Any) -> None:
    if dataclasses.is_dataclass(given):
        values |= to_dict(given)
        return
    if not isinstance(given, Mapping):
        raise AttractorError(
            f"{section} = {given!r:.80}: the settings of this section are wanted, such as "
            f"{section}={{'{next(iter(values))}': ...}}"
        )
    for name, value in given.items():
        if name not in values:
            place = f"{section}." if section else ""
            raise AttractorError(f"there is no setting {place}{name}{did_you_mean(name, values)}")
        values[name] = _plain(value, values[name])


def _section_of(name: str, whole: Mapping[str, Any]) -> str:
    fields = {section: _names(kind) for section, kind in SECTIONS.items()}
    found = [section for section, names in fields.items() if name in names]
    # What is watched in training has several names of the measurements, which are meant more often.
    found = [section for section in found if section != "monitor"] or found
    if len(found) == 1:
        return found[0]
    if found:
        said = " or ".join(f"{section}={{'{name}': ...}}" for section in found)
        raise AttractorError(f"{name} is a setting of {', '.join(found)}: say {said}")
    every = {*whole, *itertools.chain.from_iterable(fields.values())}
    raise AttractorError(f"there is no setting {name}{did_you_mean(name, every)}")


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _plain(value: Any, before: Any) -> Any:
    """A value as JSON has it; a single one where several may stand."""
    if isinstance(value, Path):
        return str(value.expanduser())
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, range | tuple | list):
        return [_plain(each, None) for each in value]
    return [value] if isinstance(before, list) else value

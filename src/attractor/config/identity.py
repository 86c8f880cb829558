"""A config as JSON, and what names it: the hash of the settings on which numbers depend."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, TypeVar

from attractor.config.described import described
from attractor.config.settings import (
    FREE,
    LATER,
    DataConfig,
    MonitorConfig,
    ProbeConfig,
    RunConfig,
    SweepConfig,
    TrainConfig,
)
from attractor.types import AttractorError, OtherSchema

SCHEMA = 1
"""Version of the JSON of a config."""


def to_dict(config: object) -> dict[str, Any]:
    """A config, or a dictionary, as plain JSON types."""
    plain = config if isinstance(config, dict) else dataclasses.asdict(config)  # type: ignore[call-overload]
    # Through JSON and back, so that tuples are lists here as they are in what was read from a file:
    # both must have the same hash.
    return json.loads(json.dumps(plain))


def to_json(config: object) -> str:
    """A config as the text of its file, which tells its schema."""
    return json.dumps({"schema": SCHEMA, **to_dict(config)}, indent=1)


def identity(config: object) -> dict[str, Any]:
    """The settings, of a config or of its JSON, on which measured numbers depend."""
    return _without_free(to_dict(config))


def training_identity(config: object) -> dict[str, Any]:
    """The settings on which the trained weights depend: all of `identity` but what is measured."""
    return {key: value for key, value in identity(config).items() if key != "probe"}


def run_id(config: RunConfig) -> str:
    """Twelve hexadecimal digits that name a trained model, however it is measured."""
    return _digest(training_identity(config))


def config_hash(config: object) -> str:
    """Twelve hexadecimal digits that name a resolved config."""
    return _digest(identity(config))


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def require_known_schema(values: dict[str, Any], where: object) -> None:
    """Raise AttractorError if the JSON of a config is of another version than this one reads."""
    if values.get("schema", SCHEMA) != SCHEMA or values.get("schema") is True:
        raise OtherSchema(where, values["schema"], SCHEMA)


def run_config_from_dict(values: dict[str, Any], where: object = "config.json") -> RunConfig:
    """Rebuild a RunConfig from its JSON; `where` is its file, for messages.

    Raises:
        AttractorError: for an unknown or missing key, or a value that is not allowed.
    """
    return _from_dict(RunConfig, values, where, "a run")


def sweep_config_from_dict(values: dict[str, Any], where: object = "sweep.json") -> SweepConfig:
    """Rebuild a SweepConfig from its JSON; `where` is its file, for messages.

    Raises:
        AttractorError: for an unknown or missing key, or a value that is not allowed.
    """
    return _from_dict(SweepConfig, values, where, "a sweep")


def probe_config_from_dict(values: Any, where: object) -> ProbeConfig:
    """Rebuild a ProbeConfig from its JSON.

    Raises:
        AttractorError: naming the file, for what is no such config.
    """
    try:
        if values is None:
            raise AttractorError("probe is missing")
        return described(ProbeConfig, values)
    except AttractorError as error:
        raise AttractorError(f"'{where}' does not describe measurements: {error}") from None


Whole = TypeVar("Whole", RunConfig, SweepConfig)
PARTS = ("data", "model", "train", "probe")
"""Sections that every file has; those from before there was a monitor do not have its own."""


def _from_dict(kind: type[Whole], values: dict[str, Any], where: object, what: str) -> Whole:
    require_known_schema(values, where)
    try:
        for name in PARTS:
            if name not in values:
                raise AttractorError(f"{name} is missing")
        return described(kind, {key: value for key, value in values.items() if key != "schema"})
    except AttractorError as error:
        raise AttractorError(f"'{where}' does not describe {what}: {error}") from None


def _without_free(values: dict[str, Any]) -> dict[str, Any]:
    """What is left when settings are taken out that change no number, and those that are younger
    than the first runs and at their default: the hash of an old run must not change because there
    is a new setting."""
    kept = {key: value for key, value in values.items() if key not in _FREE_NAMES}
    # Who only watches changes nothing; who may end the training does.
    monitor = kept.get("monitor")
    if not (isinstance(monitor, dict) and monitor.get("stop_after")):
        kept.pop("monitor", None)
    kept = {key: value for key, value in kept.items() if key not in _LATER or value != _LATER[key]}
    return {
        key: _without_free(value) if isinstance(value, dict) else value
        for key, value in kept.items()
    }


_FREE_NAMES = {"schema"} | {
    setting.name
    for cls in (TrainConfig, MonitorConfig)
    for setting in dataclasses.fields(cls)
    if setting.metadata == FREE
}

_LATER = {
    # Defaults as JSON has them, where tuples are lists.
    setting.name: to_dict({"is": setting.default})["is"]
    for cls in (DataConfig, ProbeConfig, MonitorConfig, SweepConfig)
    for setting in dataclasses.fields(cls)
    if setting.metadata == LATER
}

"""Every path of a command, made ready in one place before the command begins: `~` is expanded, runs
of sweeps are found, and where something will be written it is known that this can be done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import tyro

from attractor.machine.paths import expanded, require_writable
from attractor.types import AttractorError

Folder = tyro.conf.Positional[Path]
"""The folder that a command names first."""
PATHS = ("source", "tokenizer", "judge", "model", "base")
"""Settings that are text and may be a path: what else they may be does not begin with `~`."""

Command = TypeVar("Command", bound=Callable[[], int | None])


def ready(command: Command) -> Command:
    """The command with every path as it is meant.

    Raises:
        AttractorError: for a run that is not there, or a place where nothing can be written.
    """
    if not dataclasses.is_dataclass(command):
        return command
    made = cast(Command, _expanded(command))
    if isinstance(run := getattr(made, "run", None), Path):
        from attractor.adapters.sweep_folder import find_run

        made = dataclasses.replace(cast(Any, made), run=find_run(run))
    if isinstance(sweep := getattr(made, "sweep", None), Path):
        from attractor.adapters.sweep_folder import resolved

        made = dataclasses.replace(cast(Any, made), sweep=resolved(sweep))
    for other in getattr(made, "beside", ()):
        from attractor.adapters.sweep_folder import is_run, no_sweep, resolved

        if not resolved(other).is_dir() or is_run(resolved(other)):
            raise no_sweep(resolved(other))
    for path in getattr(made, "written", ()):
        from attractor.adapters.sweep_folder import require_no_run_named

        require_no_run_named(path)
        require_writable(path)
    return made


def _expanded(settings: Any) -> Any:
    """A command or a config, with `~` in its paths as what it stands for, and no whole number that
    no computation could take."""
    changed = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        new = _meant(field.name, value)
        if new != value:
            changed[field.name] = new
    return dataclasses.replace(settings, **changed) if changed else settings


def _meant(name: str, value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= 2**63 and name != "seed":  # it has its own words
        raise AttractorError(f"{name} = {value} must be below 2^63")
    if isinstance(value, Path):
        return expanded(value)
    if isinstance(value, tuple):
        return tuple(_meant(name, each) for each in value)
    if isinstance(value, str) and name in PATHS and value.startswith("~"):
        return str(expanded(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _expanded(value)
    return value

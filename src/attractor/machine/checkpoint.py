"""Weights on disk: safetensors and JSON in a directory that appears only when it is complete.

    checkpoint/step-00000100/
      model.safetensors ...   a file for each group of tensors
      state.json              everything else, with the SHA-256 of each of those files and of itself

A crash while it is written leaves a hidden directory and no checkpoint (see `machine.files`); a
disk that loses or changes something later is found out by the checksums.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from attractor.machine.files import atomic_directory, require_space, sha256, why_no_json
from attractor.types import AttractorError, OtherSchema

STATE = "state.json"
SCHEMA = 2
"""Version of the layout; 1 had no checksum of state.json itself."""
SLACK = 2**20
"""Bytes of headers, names and JSON beside the tensors of a checkpoint, generously."""


class DamagedCheckpoint(AttractorError):
    """A checkpoint that is incomplete or was changed after it was written; an earlier one may be
    good."""


class Checkpoint(NamedTuple):
    """Tensors by file and name, and everything else as JSON."""

    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


def save_checkpoint(
    path: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> None:
    """Write `<path>/<name>.safetensors` for each group of tensors and `<path>/state.json` with
    their checksums.

    Checksums are of what was in memory, so that they tell of a disk that did not keep it.

    Args:
        path: where the directory is to be.
        tensors: by group and name.
        state: everything else, as JSON.

    Raises:
        AttractorError: if the disk has too little room; how much is needed is said.
    """
    needed = sum(x.numel() * x.element_size() for group in tensors.values() for x in group.values())
    with atomic_directory(path) as partial:
        require_space(partial, needed + SLACK, "a checkpoint")
        checksums = {}
        for name, group in tensors.items():
            content = safetensors.torch.save(
                {key: x.detach().cpu().contiguous() for key, x in group.items()}
            )
            checksums[f"{name}.safetensors"] = hashlib.sha256(content).hexdigest()
            (partial / f"{name}.safetensors").write_bytes(content)
        # Written last, since it holds the checksums of the others.
        full = {"schema": SCHEMA, **state, "checksums": checksums}
        (partial / STATE).write_text(json.dumps({**full, "checksum": _digest(full)}, indent=1))


def read_state(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint.

    Raises:
        DamagedCheckpoint: if it is missing or does not match its checksum.
        AttractorError: if it is of another schema.
    """
    try:
        state = json.loads((path / STATE).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(
            f"'{path}' is not a checkpoint: {STATE}: {why_no_json(error)}"
        ) from None
    if not isinstance(state, dict) or "checksums" not in state:
        raise DamagedCheckpoint(f"'{path / STATE}' is not the state of a checkpoint")
    # Asked before the checksum, which states of this schema do not have.
    if state.get("schema") == 1:
        raise OtherSchema(path / STATE, 1, SCHEMA)
    if state.pop("checksum", None) != _digest(state):
        raise DamagedCheckpoint(
            f"'{path / STATE}' does not match its checksum: the checkpoint is damaged"
        )
    if state.get("schema") != SCHEMA:
        raise OtherSchema(path / STATE, state.get("schema"), SCHEMA)
    return state


def load_checkpoint(path: Path, *names: str) -> Checkpoint:
    """Read the state and the named groups of tensors.

    Raises:
        DamagedCheckpoint: if a file is missing or does not match its checksum.
        AttractorError: if it is of another schema.
    """
    state = read_state(path)
    return Checkpoint(
        state, {name: _read_group(path / f"{name}.safetensors", state) for name in names}
    )


def is_sound(path: Path) -> bool:
    """Whether every file of a checkpoint is there and matches its checksum."""
    try:
        checksums = read_state(path)["checksums"]
        return all(sha256(path / name) == checksum for name, checksum in checksums.items())
    except (DamagedCheckpoint, OSError):
        return False


def _read_group(file: Path, state: dict[str, Any]) -> dict[str, Tensor]:
    try:
        if sha256(file) != state["checksums"][file.name]:
            raise DamagedCheckpoint(
                f"'{file}' does not match its checksum: the checkpoint is damaged"
            )
        return safetensors.torch.load_file(file)
    except (OSError, KeyError, SafetensorError) as error:
        raise DamagedCheckpoint(f"'{file}' cannot be read: {error!r}") from None


def _digest(state: dict[str, Any]) -> str:
    # Of the content and not of the bytes of the file, in which the digest itself stands.
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()

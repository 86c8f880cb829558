"""Weights on disk: safetensors and JSON in a directory that appears only when it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from attractor.types import AttractorError

STATE = "state.json"
SCHEMA = 1


class Checkpoint(NamedTuple):
    """Tensors by file and name, and everything else as JSON."""

    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


def save_checkpoint(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write `<path>/<name>.safetensors` for each group of tensors and `<path>/state.json` with their checksums."""
    with atomic_directory(path) as partial:
        checksums = {}
        for name, group in tensors.items():
            file = partial / f"{name}.safetensors"
            save_file({key: value.detach().cpu().contiguous() for key, value in group.items()}, file)
            checksums[file.name] = _sha256(file)
        (partial / STATE).write_text(json.dumps({"schema": SCHEMA, **state, "checksums": checksums}, indent=1))


def load_checkpoint(path: Path, *names: str) -> Checkpoint:
    """Read the state and the named groups of tensors.

    Raises:
        AttractorError: if a file is missing, of a newer schema, or does not match its checksum.
    """
    try:
        state = json.loads((path / STATE).read_text())
    except (OSError, ValueError) as error:
        raise AttractorError(f"'{path}' is not a checkpoint: {error}") from None
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise AttractorError(f"'{path / STATE}' is not of schema {SCHEMA}; a newer attractor may have written it")
    return Checkpoint(state, {name: _read_group(path / f"{name}.safetensors", state) for name in names})


def _read_group(file: Path, state: dict[str, Any]) -> dict[str, Tensor]:
    try:
        if _sha256(file) != state["checksums"][file.name]:
            raise AttractorError(f"'{file}' does not match its checksum: the checkpoint is damaged")
        return load_file(file)
    except (OSError, KeyError, SafetensorError) as error:
        raise AttractorError(f"'{file}' cannot be read: {error!r}") from None


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which takes its place at `path` when the block ends well and vanishes otherwise."""
    path = path.resolve()
    if path.exists() and not path.is_dir():
        raise AttractorError(f"'{path}' is a file where a directory is to be written")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in [*(f for f in partial.rglob("*") if f.is_file())]:
            _sync(file)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that is either the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        _sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

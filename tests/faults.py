"""A machine that stops at the k-th call of the file system: killed, or without power and what was
not synced."""

from __future__ import annotations

import builtins
import io
import os
from pathlib import Path
from typing import Any

import pytest

CALLS = ("open", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "remove")


class Stopped(BaseException):
    """Nothing works any more."""


class Machine:
    """Counts calls of the file system below a folder and stops at number `at`; from then on every
    call fails."""

    def __init__(self, folder: Path, at: int | None = None) -> None:
        self.folder, self.at, self.calls = folder, at, 0
        self.synced: dict[int, int] = {}
        """bytes on the disk of each file, by inode"""
        self.renames: list[tuple[Path, Path]] = []
        """that no sync of their directory has made last"""
        self.handles: list[Any] = []

    def start(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))
        opened = io.open

        def open_file(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if mode[0] == "r" and "+" not in mode:
                return opened(file, mode, *args, **kwargs)
            self._tick()
            handle = opened(file, mode, *args, **kwargs)
            self.handles.append(handle)
            self.synced.setdefault(
                os.fstat(handle.fileno()).st_ino, os.fstat(handle.fileno()).st_size
            )
            return handle

        patch.setattr(io, "open", open_file)
        patch.setattr(builtins, "open", open_file)

    def end(self) -> None:
        """What the system does for a process that has died."""
        for handle in self.handles:
            handle.close()

    def _tick(self) -> None:
        self.calls += 1
        if self.at is not None and self.calls >= self.at:
            raise Stopped

    def _watched(self, name: str, call: Any) -> Any:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._tick()
            found = (
                None if name == "fsync" else call(*args, **kwargs)
            )  # whoever looks next needs no disk
            if name in ("rename", "replace"):
                self.renames.append((Path(args[0]), Path(args[1])))
            if name == "fsync":
                place = os.fstat(args[0])
                self.synced[place.st_ino] = place.st_size
                self.renames = [
                    r for r in self.renames if r[1].parent.stat().st_ino != place.st_ino
                ]
            return found

        return watched

    def lose_power(self) -> None:
        """Undo what a disk need not have kept: half of the bytes after the last sync, and
        renames."""
        for before, after in reversed(self.renames):
            if after.exists() and not before.exists():
                after.rename(before)
        for file in self.folder.rglob("*"):
            if file.is_file() and (kept := self.synced.get(file.stat().st_ino)) is not None:
                size = file.stat().st_size
                os.truncate(file, min(size, kept + (size - kept) // 2))

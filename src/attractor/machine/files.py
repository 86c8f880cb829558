"""Files that survive a crash: written beside their place, synced to disk, then renamed; and a lock
for a directory.

A rename within a file system is one step: whoever opens the name finds the old content or the new.
But it only orders names. Without the sync before it, a power failure may leave the new name with
half of its content; without the sync of the folder after it, the rename itself may be lost.

Names of what is unfinished start with a dot: `.NAME.PID.partial` is being written, `.NAME.replaced`
was set aside by a writer that is about to put the new one in its place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from attractor.machine.units import size
from attractor.types import AttractorError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, and of a quota that is used up."""
LOCK = ".lock"
"""File of the lock in a folder; what it says is for people, the lock is one of the kernel."""


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which takes its place at `path` when the block ends well and vanishes
    otherwise.

    What a killed writer left of the same directory is removed. What was at `path` is set aside
    until then; if the machine stops between the two renames, `restore` brings it back.

    Raises:
        AttractorError: if `path` is a file, or the disk is full.
    """
    path = path.resolve()
    if path.exists() and not path.is_dir():
        raise AttractorError(f"'{path}' is a file where a directory is to be written")
    restore(path)
    _clear_partial(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    make_directory(partial)
    try:
        with naming_full_disk(path), locked(partial):
            yield partial
            (partial / LOCK).unlink()
            for place in [*partial.rglob("*"), partial]:
                sync(place)
            # A directory that is not empty cannot be replaced in one step: between these two
            # renames there is none, and `restore` knows what to do about that.
            if path.exists():
                path.rename(_aside(path))
            partial.rename(path)
            sync(path.parent)
            shutil.rmtree(_aside(path), ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear_partial(path: Path) -> None:
    """Remove what killed writers of a directory had begun; whoever still writes holds a lock."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if left.is_dir() and not is_locked(left):
            shutil.rmtree(left, ignore_errors=True)


def restore(path: Path) -> None:
    """Bring back what `atomic_directory` had set aside when it was stopped between its two
    renames."""
    aside = _aside(path)
    if aside.exists():
        # If the new one is there, the writer had come past its second rename, and only had not yet
        # removed the old one.
        if path.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(path)
            sync(path.parent)


def write_atomically(path: Path, content: str | bytes | Callable[[Path], None]) -> None:
    """Write a file that is at every moment either the old one or the whole new one.

    Args:
        path: the file.
        content: what to write, or a function that writes it to the path that it is given.

    Raises:
        AttractorError: if the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with naming_full_disk(path):
            if callable(content):
                content(partial)
            else:
                partial.write_bytes(content.encode() if isinstance(content, str) else content)
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def clear_up(folder: Path) -> None:
    """Undo what writers that were killed left half-done in a folder that nobody else is writing
    to."""
    # First bring back what was set aside, then throw away what was not finished.
    for aside in folder.glob(".*.replaced"):
        restore(folder / aside.name[1:].removesuffix(".replaced"))
    for left in folder.glob(".*.partial"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def make_directory(path: Path) -> None:
    """Make a directory and its parents, each of which survives a power failure."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a directory, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that this package wrote.

    Raises:
        AttractorError: if the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AttractorError(f"'{path}' is damaged: {why_no_json(error)}") from None
    if not isinstance(content, dict):
        raise AttractorError(f"'{path}' is damaged: it holds no JSON object")
    return content


def why_no_json(error: Exception) -> str:
    """What the error of a file or of a JSON parser says, in words for whoever has the file."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, character {error.colno}, is no JSON"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # The parser raises no other error of a value than that of Python's limit.
    too_long = type(error) is ValueError and "digits" in str(error)
    return "it holds a number of too many digits" if too_long else str(error)


def sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def require_regular(file: Path) -> None:
    """Raise AttractorError for a pipe, a device or a folder, which would be waited for, or read for
    ever, or not at all; what does not exist is left to whoever opens it."""
    if file.exists() and not file.is_file():
        raise AttractorError(
            f"'{file}' is no regular file (a pipe, a device or a folder): save what it gives first"
        )


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise AttractorError, which names both numbers, unless `needed` bytes are free on the disk of
    `folder`; `what` is what needs them."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise AttractorError(
            f"{what} needs {size(needed)} in '{folder}', but only {size(free)} are free there; "
            "make room and start again: nothing is lost"
        )


@contextlib.contextmanager
def naming_full_disk(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn the error of a full disk, or of a used-up quota, into one clear AttractorError, which
    says how many bytes are `needed` if that is known."""
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        free = shutil.disk_usage(path.parent).free
        wants = f"needs up to {size(needed)} to go on" if needed else "could not be written"
        raise AttractorError(
            f"the disk is full: '{path}' {wants}, {size(free)} are free; make room and start again"
        ) from None


def is_full(error: BaseException) -> bool:
    """Whether an error is that of a full disk, or of a quota that is used up."""
    if isinstance(error, OSError):
        return error.errno in FULL
    # Libraries in Rust raise errors of their own, which hold the system's as text.
    return any(f"(os error {number})" in str(error) for number in FULL)


class InUseError(AttractorError):
    """Raised where another process works in a folder that is wanted."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of an existing folder; the lock dies with the process that holds it.

    Raises:
        InUseError: if another process, which is named, has it.
    """
    # Whoever works has the lock alone (EX); whoever asks, `is_locked`, shares it for a moment (SH).
    # So where EX cannot be had but SH can, nobody works here and somebody is only asking: try
    # again.
    with (folder / LOCK).open("a+") as lock:
        while not _flock(lock, fcntl.LOCK_EX):
            if not _flock(lock, fcntl.LOCK_SH):
                lock.seek(0)
                holder = lock.read() or "another process"
                raise InUseError(f"'{folder}' is in use by {holder}; wait for it or stop it")
            # Two who wait here must not keep each other out with the shares they now have.
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.01)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process works in a folder now."""
    # The share is given up at once, when the file is closed; see `locked` for who may notice it.
    try:
        with (folder / LOCK).open() as lock:
            return not _flock(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def is_unused(path: Path) -> bool:
    """Whether a path is a folder that holds nothing, but for a lock and what a killed writer left
    half-done."""
    return path.is_dir() and all(
        entry.name == LOCK or entry.match(".*.partial") for entry in path.iterdir()
    )


def _flock(lock: TextIO, kind: int) -> bool:
    """Whether a lock of a kind, LOCK_EX or LOCK_SH, was to be had at once; one of the other kind
    that this handle has is given up for it."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")

"""What a text was when rows were made of it: names, sizes, times and digests of its files.

A path names a place and not a text. So rows remember the text they were made of, and whoever goes
on with them looks whether it still lies there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from attractor.data.corpora import CORPORA
from attractor.data.corpus import BUILTIN
from attractor.data.tokenizer import FILE_NAMES, MARKERS
from attractor.machine.files import LOCK, sha256
from attractor.types import AttractorError

SOURCE = "source.json"
"""File of a fingerprint, beside the rows."""
SCHEMA = 1
ENDS = 2**20
"""Bytes at the head and at the tail of a file by which it is known at a glance."""
FORMATS = {".txt", ".jsonl", ".parquet"}

Fingerprint = dict[str, Any]


def fingerprint(source: str, tokenizer: str, commit: str = "") -> Fingerprint:
    """The content of `source.json`; files are read whole.

    Args:
        source: see `DataConfig.source`; what is built in, or on the Hub, has no files.
        tokenizer: see `DataConfig.tokenizer`.
        commit: of a data set of the Hub.
    """
    return {
        "schema": SCHEMA,
        "commit": commit,
        "text": {name: _whole(file) for name, file in _text(source)},
        "tokenizer": {name: _whole(file) for name, file in _tokenizer(tokenizer)},
    }


def same(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two fingerprints are of the same content, whenever it was written."""
    return _timeless(one) == _timeless(other)


def changed(made_of: Fingerprint, source: str, tokenizer: str) -> str:
    """The first file that is not what it was; empty where none is, or where nothing is left to
    compare with.

    A file of the same size, time, head and tail is taken for the same; where only its time is
    another, it is read whole.
    """
    for kind, files in (("text", _text(source)), ("tokenizer", _tokenizer(tokenizer))):
        then, now = made_of.get(kind, {}), dict(files)
        if not then or not now:
            continue
        for name in sorted(then.keys() ^ now.keys()):
            return str(now[name]) if name in now else f"{_place(source)}/{name}"
        for name, file in now.items():
            glance = _glance(file)
            if any(glance[key] != then[name].get(key) for key in ("size", "ends")):
                return str(file)
            if glance["time"] != then[name].get("time") and sha256(file) != then[name]["sha256"]:
                return str(file)
    return ""


def read_fingerprint(folder: Path) -> Fingerprint | None:
    """The fingerprint in a folder; None where there is none that can be read."""
    try:
        found = json.loads((folder / SOURCE).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else None


def folder_digest(folder: Path) -> str:
    """Twelve hexadecimal digits of the names and contents of all files in a folder, hidden ones
    left out, such as those of a judge."""
    digest = hashlib.sha256()
    for name, file in sorted(_walk(folder)):
        digest.update(json.dumps([name, sha256(file)]).encode())
    return digest.hexdigest()[:12]


def _timeless(mark: Fingerprint) -> Fingerprint:
    def content(files: dict[str, Any]) -> dict[str, Any]:
        return {name: (file["size"], file["sha256"]) for name, file in files.items()}

    return {
        key: content(value) if isinstance(value, dict) else value for key, value in mark.items()
    }


def _place(source: str) -> Path:
    """Where the files of a source lie, if it has any; see `find_source`."""
    name, colon, path = source.partition(":")
    named = name in CORPORA and colon and not Path(source).exists()
    return Path(path if named else source).expanduser()


def _text(source: str) -> Iterator[tuple[str, Path]]:
    place = _place(source)
    if source == BUILTIN:
        return
    if place.is_file():
        yield "", place
    elif place.is_dir():
        # Of a named corpus these; another source is the place itself.
        named = place != Path(source).expanduser()
        files = CORPORA[source.partition(":")[0]].files if named else ()
        for name, file in _walk(place):
            if named:
                patterns = [*" ".join(files).split(), "*.parquet", "text8"]
                counts = any(fnmatch(f"/{name}", f"*/{pattern}") for pattern in patterns)
            else:  # compressed files have two endings
                counts = bool({suffix.lower() for suffix in file.suffixes} & FORMATS)
            if counts:
                yield name, file


def _tokenizer(kind: str) -> Iterator[tuple[str, Path]]:
    path = Path(kind).expanduser()
    if kind in ("bpe", "char"):
        return
    for file in [path / name for name in (*FILE_NAMES, MARKERS)] if path.is_dir() else [path]:
        if file.is_file():
            yield file.name, file


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """The regular files of a folder and of those in it, by their names in it, but for hidden ones,
    and for folders in which runs and sweeps lie: they write files of their own."""
    for here, folders, names in os.walk(folder):
        if LOCK in names and Path(here) != folder:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            if not name.startswith(".") and file.is_file():
                yield file.relative_to(folder).as_posix(), file


def _glance(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    with file.open("rb") as handle:
        ends = hashlib.sha256(handle.read(ENDS))
        handle.seek(max(ENDS, size - ENDS))
        ends.update(handle.read(ENDS))
    return {"size": size, "time": file.stat().st_mtime_ns, "ends": ends.hexdigest()}


def _whole(file: Path) -> dict[str, Any]:
    try:
        return {**_glance(file), "sha256": sha256(file)}
    except OSError as error:
        raise AttractorError(f"cannot read '{file}': {error.strerror or error}") from None

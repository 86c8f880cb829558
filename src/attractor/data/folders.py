"""The files of text at a path: which are read, which of these are unseen text, what is skipped."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attractor.data.readers import COMPRESSIONS, READERS, format_of, is_compressed
from attractor.machine.files import require_regular
from attractor.machine.units import counted
from attractor.types import AttractorError

ACCEPTED = (
    "'bible', a .txt, .jsonl or .parquet file, also with .gz or .zst behind, or a folder of those"
)
EXPANSION = 4
"""Bytes of text in a byte of a compressed file, roughly."""
_ROLE = re.compile(
    r"(?:^|[-._ \d])(?:(?P<train>train|training)|(?P<test>test|testing|eval|evaluation)"
    r"|(?P<validation>validation|valid|val|dev))(?=[-._ \d]|$)",
    re.IGNORECASE,
)
"""Names of splits, as the Hub knows them in names of files and folders."""


class TextFiles(NamedTuple):
    """Files of known formats, in the order of their names."""

    train: list[Path]
    """all of them, unless names say that some are unseen text"""
    unseen: list[Path]
    """those of a split of unseen text, where names tell it from training text; else none"""
    notice: str
    """what was skipped or told apart, in one line; empty if nothing"""

    def size(self) -> int:
        """Bytes of text, estimated where files are compressed."""
        return sum(
            file.stat().st_size * (EXPANSION if is_compressed(file) else 1)
            for file in [*self.train, *self.unseen]
        )

    def say(self) -> None:
        """Warn of what was skipped or told apart, if anything was."""
        if self.notice:
            warnings.warn(self.notice, stacklevel=3)


def text_files(path: Path) -> TextFiles:
    """A file, or the files of known formats in a folder and its folders.

    Hidden files and folders, other endings, what is no regular file, and compressed copies of files
    that lie beside them are skipped; so are links to folders. If names tell training text from test
    (or else validation) text, as in data sets of the Hub, these are kept apart, and what is neither
    is skipped.

    Raises:
        AttractorError: if there is nothing of a known format, or a file is a pipe or a device.
    """
    path = path.expanduser()
    if not path.is_dir():
        return TextFiles([_only(path)], [], "")
    skipped: defaultdict[str, list[str]] = defaultdict(list)
    found = _without_copies(sorted(_walk(path, skipped)), skipped)
    if not found:
        raise AttractorError(
            f"the folder '{path}' holds no file ending in {', '.join(READERS)}, with or without "
            f"{' or '.join(COMPRESSIONS)}{_listed(path, '; skipped: ', skipped)}"
        )
    roles: defaultdict[str, list[Path]] = defaultdict(list)
    for file in found:
        roles[_role(file.relative_to(path))].append(file)
    unseen = roles["test"] or roles["validation"]
    if not roles["train"] or not unseen:
        return TextFiles(found, [], _listed(path, f"'{path}' skipped: ", skipped))
    others = {*found} - {*roles["train"], *unseen}
    skipped["neither training nor unseen text by name"] += map(str, sorted(others))
    apart = (
        f"'{path}' holds {counted(len(roles['train']), 'file')} of training text by name and "
        f"{len(unseen):,} of unseen text ({unseen[0].relative_to(path)})"
    )
    return TextFiles(roles["train"], unseen, apart + _listed(path, "; skipped: ", skipped))


def _only(path: Path) -> Path:
    if not path.exists():
        raise AttractorError(f"the corpus '{path}' does not exist; accepted: {ACCEPTED}")
    if not format_of(path):
        endings = path.suffixes[-2:] if is_compressed(path) else path.suffixes[-1:]
        raise AttractorError(
            f"cannot read '{path}' (suffix '{''.join(endings)}'); accepted: {ACCEPTED}"
        )
    require_regular(path)
    return path


def _walk(folder: Path, skipped: defaultdict[str, list[str]]) -> Iterator[Path]:
    """Files of known formats; all others are written down by the reason why they are skipped."""
    for here, folders, names in os.walk(folder, onerror=_refuse):
        for name in sorted(folders):
            # A link may lead back to where it lies, or to anywhere.
            reason = "hidden" if name.startswith(".") else "a link to a folder"
            if name.startswith(".") or os.path.islink(os.path.join(here, name)):
                skipped[reason].append(os.path.join(here, name))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in (Path(here, name) for name in sorted(names)):
            if file.name.startswith("."):
                skipped["hidden"].append(str(file))
            elif not format_of(file):
                skipped["of another kind"].append(str(file))
            elif not file.is_file():
                skipped["no regular file"].append(str(file))
            else:
                yield file


def _refuse(error: OSError) -> None:
    raise AttractorError(f"cannot read '{error.filename}': {error.strerror}") from None


def _without_copies(files: list[Path], skipped: defaultdict[str, list[str]]) -> list[Path]:
    """The files without those that, but for their compression, have the name of an earlier one:
    `a.jsonl.gz` comes after `a.jsonl`, and `a.jsonl.zst` after both."""
    taken: dict[Path, Path] = {}
    for file in files:
        plain = file.with_suffix("") if is_compressed(file) else file
        if taken.setdefault(plain, file) is not file:
            skipped["a compressed copy"].append(str(file))
    return list(taken.values())


def _role(name: Path) -> str:
    """ "train", "test" or "validation" by a path inside a folder, its last part first; empty where
    none of them is named."""
    for part in reversed(name.parts):
        if found := _ROLE.search(part):
            return found.lastgroup or ""
    return ""


def _listed(folder: Path, before: str, skipped: dict[str, list[str]]) -> str:
    """The first that was skipped for each reason, and how many more; empty if none was."""
    told = [
        f"{reason} ({os.path.relpath(files[0], folder)}"
        + (f" and {len(files) - 1:,} more)" if len(files) > 1 else ")")
        for reason, files in skipped.items()
        if files
    ]
    return before + ", ".join(told) if told else ""

"""Paths that people give: what `~` stands for, what they may have meant, and whether something can
be written there, known before any work is done."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path

from attractor.types import AttractorError

LONGEST_NAME = 255
"""Bytes of a name, where the file system does not say."""
LONGEST_PATH = 4096
"""Bytes of a path, where the system does not say."""
BESIDE = 24
"""Bytes by which the names of what is unfinished are longer than those of what it will be; see
`machine.files`."""
INSIDE = 128
"""Bytes of the longest path inside the folder of a sweep."""
SHOWN = 80
"""Characters of a path that is too long to be shown."""


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~name` as the folders they stand for.

    Raises:
        AttractorError: if nobody here has that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise AttractorError(f"'{path}' is no path: there is no such user here") from None


def nearest_name(path: Path) -> str:
    """What may have been meant by a path that does not exist, as the end of a sentence; empty if
    nothing beside it has a similar name."""
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return ""
    if path.name in names:
        return ""  # it is there, and wrong for another reason
    found = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean '{path.with_name(found[0])}'?" if found else ""


def require_not_meant_here(name: str) -> None:
    """Raise AttractorError if what looks like owner/name of the Hub begins with a folder that is
    here: then a path was meant, and mistyped, and is not to be asked for on the Hub."""
    first, slash, _ = name.partition("/")
    if slash and Path(first).is_dir():
        raise AttractorError(
            f"'{name}' does not exist in the folder '{first}' here, and so was not asked for on "
            f"the Hub{nearest_name(Path(name))}"
        )


def require_writable(path: Path) -> None:
    """Raise AttractorError, which says why, unless a file or folder can be made at a path, or
    written to where it is there."""
    path = path.absolute()
    _require_short(path)
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not there.exists():
        raise AttractorError(f"'{there}' is a link that leads nowhere")
    if there != path and not there.is_dir():
        raise AttractorError(f"'{there}' is a file, so '{path}' cannot be made inside it")
    folder = there if there.is_dir() else there.parent
    try:
        # Permissions alone do not tell: the disk may be read-only, or full of files.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise AttractorError(
            f"'{folder}' cannot be written to ({error.strerror}); choose another place than "
            f"'{path}'"
        ) from None


def _require_short(path: Path) -> None:
    for part in path.parts[1:]:
        room = LONGEST_NAME - (BESIDE if part == path.name else 0)
        if len(os.fsencode(part)) > room:
            raise AttractorError(
                f"the name '{part[:SHOWN]}...' has {len(os.fsencode(part))} bytes; at most {room} "
                "can be written here"
            )
    if len(os.fsencode(path)) > LONGEST_PATH - INSIDE:
        raise AttractorError(
            f"the path '{str(path)[:SHOWN]}...' has {len(os.fsencode(path))} bytes; at most "
            f"{LONGEST_PATH - INSIDE} can be written here"
        )

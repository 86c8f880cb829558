"""Spans that are wanted back: text that must not get out, such as e-mail addresses and canaries,
named in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.data.tokenizer import Tokenizer
from attractor.types import AttractorError

PLACES = (".json", ".jsonl")
"""Endings of files that name tokens by their places; others hold text."""
KEYS = ("row", "start", "end")


class Span(NamedTuple):
    """Tokens of one training row."""

    name: str
    row: int
    wanted: NDArray[np.bool_]
    """(L,)"""


class Spans(NamedTuple):
    """What a file names, where it stands in the training text."""

    found: tuple[Span, ...]
    missing: tuple[str, ...] = ()
    """text that stands in no row as a whole"""


def read_spans(file: Path, rows: Int[np.ndarray, "N L"], tokenizer: Tokenizer | None) -> Spans:
    """The tokens that a file names.

    Args:
        file: lines of text, each of which is looked for in all rows; or JSON lines with `row`,
            `start` and `end`, of the tokens from `start` up to, but not with, `end`.
        rows: training text.
        tokenizer: of the model, for text.

    Raises:
        AttractorError: for a file that cannot be read or names nothing, places outside the text,
            text without a tokenizer, or if none of it stands in the training text.
    """
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AttractorError(f"the spans '{file}' cannot be read: {error}") from None
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        raise AttractorError(f"the spans '{file}' name nothing: one a line is wanted")
    if file.suffix in PLACES:
        return Spans(tuple(_placed(file, i, line, rows) for i, line in enumerate(lines, 1)))
    if tokenizer is None:
        raise AttractorError(
            f"the spans '{file}' are text, which needs the model's tokenizer; JSON lines with row, "
            "start and end of tokens do not"
        )
    return _sought(file, lines, rows, tokenizer)


def _placed(file: Path, number: int, line: str, rows: np.ndarray) -> Span:
    try:
        record = json.loads(line)
        row, start, end = (record[key] for key in KEYS)
        whole = all(type(x) is int for x in (row, start, end))
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise AttractorError(
            f"line {number} of the spans '{file}' is {line:.80}: "
            '{"row": 0, "start": 3, "end": 9} is wanted, whole numbers'
        )
    n, length = rows.shape
    if not (0 <= row < n and 0 <= start < end <= length):
        raise AttractorError(
            f"line {number} of the spans '{file}' is outside the text: tokens {start} to {end} of "
            f"row {row}, and there are {n:,} rows of {length:,} tokens"
        )
    place = np.arange(length)
    name = str(record.get("name", f"row {row}, tokens {start} to {end}"))
    return Span(name, row, (start <= place) & (place < end))


def _sought(file: Path, texts: list[str], rows: np.ndarray, tokenizer: Tokenizer) -> Spans:
    """Where text stands, compared as the tokenizer would say it again, without spaces: some
    tokenizers change case, and all have their own idea of spaces."""
    pieces: dict[int, str] = {}

    def said(ids: list[int]) -> list[str]:
        for i in {*ids} - {*pieces}:
            pieces[i] = "".join(tokenizer.pieces([i])[0].split())
        return [pieces[i] for i in ids]

    sought = [(text, "".join(said(tokenizer.encode([text])[0]))) for text in texts]
    found: list[Span] = []
    there = set()
    seen = set()
    for number, row in enumerate(rows.tolist()):
        tokens = said(row)
        whole = "".join(tokens)
        ends = np.cumsum([len(token) for token in tokens])
        for text, needle in sought:
            at = whole.find(needle) if needle else -1
            if at < 0:
                continue
            there.add(text)
            wanted = (ends > at) & (ends - [len(t) for t in tokens] < at + len(needle))
            key = (text, *row)
            if key not in seen:  # a row that is repeated is one passage
                seen.add(key)
                found.append(Span(text, number, wanted))
    if not found:
        raise AttractorError(
            f"none of the {len(texts):,} spans of '{file}' stands as a whole in a row of the "
            f"training text, not even {texts[0]!r:.60}"
        )
    return Spans(tuple(found), tuple(text for text in texts if text not in there))

"""Spans that are wanted back: text that must not get out, such as e-mail addresses and canaries,
named in a file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
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
    """text that stands neither in a row nor across two"""


def read_spans(file: Path, rows: Int[np.ndarray, "N L"], tokenizer: Tokenizer | None) -> Spans:
    """The tokens that a file names.

    Args:
        file: lines of text, each of which is looked for in all rows, and where it stands in none as
            a whole, across two of them, of which the longer part counts; or JSON lines with `row`,
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
    left = [(text, needle) for text, needle in sought if text not in there]
    if left:
        parts = _across(left, rows, said, (tokenizer.bos_id, tokenizer.eos_id))
        there |= {text for text, _ in parts}
        found += [span for _, span in parts]
    if not found:
        raise AttractorError(
            f"none of the {len(texts):,} spans of '{file}' stands in a row of the training text or "
            f"across two, not even {texts[0]!r:.60}"
        )
    return Spans(tuple(found), tuple(text for text in texts if text not in there))


Cut = tuple[str, int]
"""A text, and after how many of its characters it is cut."""


def _across(
    sought: Sequence[tuple[str, str]],
    rows: np.ndarray,
    said: Callable[[list[int]], list[str]],
    frame: tuple[int, int],
) -> list[tuple[str, Span]]:
    """The longer part of each text of which one row ends with the beginning and another begins with
    the rest.

    Rows are packed and then shuffled, so that which row came after which is not known: both parts
    must be there, since an end such as "@x.org" alone is that of many a text. The shorter part may
    fit many rows, and brought back it would say little.
    """
    ends, starts = _cut_in_two(sought, rows, said, frame)
    found = []
    for text, needle in sought:
        n = len(needle)
        cuts = [k for k in range(1, n) if starts[text, k] and ends[text, k]]
        if not cuts:
            continue
        k = max(cuts, key=lambda k: max(k, n - k))
        last = n - k > k  # the longer part is the last one, at the beginning of its row
        name = f"{text} (its {'last' if last else 'first'} {max(k, n - k)} characters)"
        numbers = starts[text, k] if last else ends[text, k]
        # A row that is repeated is one passage, at its first place.
        for number in {tuple(rows[i].tolist()): i for i in reversed(numbers)}.values():
            row = rows[number].tolist()
            place = _inner(row, frame)
            sizes = np.array([len(token) for token in said(row[place])])
            before = np.cumsum(sizes) - sizes
            wanted = np.zeros(len(row), dtype=bool)
            wanted[place] = before < n - k if last else before + sizes > sizes.sum() - k
            found.append((text, Span(name, number, wanted)))
    return found


def _cut_in_two(
    sought: Sequence[tuple[str, str]],
    rows: np.ndarray,
    said: Callable[[list[int]], list[str]],
    frame: tuple[int, int],
) -> tuple[defaultdict[Cut, list[int]], defaultdict[Cut, list[int]]]:
    """Of each text at each cut, the rows that end with what is before it, and those that begin with
    what is after it, in one pass over the rows."""
    heads: defaultdict[str, list[Cut]] = defaultdict(list)
    tails: defaultdict[str, list[Cut]] = defaultdict(list)
    for text, needle in sought:
        for k in range(1, len(needle)):
            heads[needle[:k]].append((text, k))
            tails[needle[k:]].append((text, k))
    ends: defaultdict[Cut, list[int]] = defaultdict(list)
    starts: defaultdict[Cut, list[int]] = defaultdict(list)
    longest = max(map(len, heads), default=0)
    for number, row in enumerate(rows.tolist()):
        whole = "".join(said(row[_inner(row, frame)]))
        for k in range(1, min(longest, len(whole)) + 1):
            for cut in heads.get(whole[-k:], ()):
                ends[cut].append(number)
            for cut in tails.get(whole[:k], ()):
                starts[cut].append(number)
    return ends, starts


def _inner(row: list[int], frame: tuple[int, int]) -> slice:
    """A row without the marker at its beginning and that at its end."""
    return slice(int(row[0] == frame[0]), len(row) - int(row[-1] == frame[1]))

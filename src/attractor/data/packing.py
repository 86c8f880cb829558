"""Tokenized documents as an (N, L) matrix of rows on disk, shuffled once so that training sets are
its prefixes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Int

from attractor.machine.files import require_regular, write_atomically
from attractor.machine.hub import first_line
from attractor.types import AttractorError

__all__ = ["document_rows", "open_rows", "pack", "prefix", "write_rows"]

TRAIN, TEST = "train.npy", "test.npy"
"""Files of the rows of a data folder."""
MIN_SEQ_LEN = 4


def pack(
    encoded: Iterable[Sequence[int]], seq_len: int, bos_id: int, eos_id: int
) -> Int[np.ndarray, "N L"]:
    """Pack documents into rows `[BOS] chunk [EOS]` of `seq_len` tokens, int32.

    The documents, each followed by EOS, are concatenated and cut into chunks of `seq_len - 2`; an
    incomplete last chunk is dropped. So a row may begin and end in the middle of a document, and
    all rows are of one length without padding.

    Args:
        encoded: token ids of each document, without markers.
        seq_len: L, at least 4.
        bos_id: id of the marker at the beginning.
        eos_id: id of the marker at the end.

    Raises:
        AttractorError: if `seq_len < 4` or if the documents do not fill one row.
    """
    check_length(seq_len)
    tokens = (token for document in encoded for token in (*document, eos_id))
    stream = np.fromiter(tokens, dtype=np.int32)
    chunk = seq_len - 2
    n_rows = len(stream) // chunk
    if n_rows == 0:
        raise AttractorError(
            f"{len(stream)} tokens do not fill one row: seq_len={seq_len} needs at least {chunk}"
        )
    rows = np.empty((n_rows, seq_len), dtype=np.int32)
    rows[:, 0] = bos_id
    rows[:, 1:-1] = stream[: n_rows * chunk].reshape(n_rows, chunk)
    rows[:, -1] = eos_id
    return rows


def document_rows(
    encoded: Iterable[Sequence[int]], seq_len: int, bos_id: int, eos_id: int, pad_id: int
) -> Int[np.ndarray, "N L"]:
    """A row `[BOS] document [EOS]` of each document, padded to `seq_len` tokens, int32.

    What is too long for a row is cut.

    Args:
        encoded: token ids of each document, without markers.
        seq_len: L, at least 4.
        bos_id: id of the marker at the beginning.
        eos_id: id of the marker at the end.
        pad_id: id of what stands behind it.

    Raises:
        AttractorError: if `seq_len < 4`.
    """
    check_length(seq_len)
    framed = [[bos_id, *ids[: seq_len - 2], eos_id] for ids in encoded]
    rows = np.full((len(framed), seq_len), pad_id, dtype=np.int32)
    for row, ids in zip(rows, framed, strict=True):
        row[: len(ids)] = ids
    return rows


def too_long(encoded: Iterable[Sequence[int]], seq_len: int) -> int:
    """How many documents `document_rows` cuts."""
    return sum(len(ids) > seq_len - 2 for ids in encoded)


def say_cut(cut: int, documents: int, seq_len: int, name: str) -> None:
    """Warn that documents were cut, where some were."""
    if cut:
        warnings.warn(
            f"{cut:,} of {documents:,} documents of {name} are longer than a row of {seq_len} "
            "tokens and are cut: a larger seq_len keeps more of them",
            stacklevel=3,
        )


def check_length(seq_len: int) -> None:
    """Raise AttractorError if rows would hold too little beside their markers."""
    if seq_len < MIN_SEQ_LEN:
        raise AttractorError(
            f"seq_len={seq_len} is too short: at least {MIN_SEQ_LEN} tokens are needed"
        )


def write_rows(path: str | Path, rows: Int[np.ndarray, "N L"], seed: int) -> None:
    """Shuffle the rows with the seed and save them as a `.npy` file, which appears only when it is
    complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    shuffled = np.random.default_rng(seed).permutation(rows)
    write_atomically(path, lambda partial: save_array(partial, shuffled))


def save_array(path: Path, array: np.ndarray) -> None:
    """Save an array under exactly this name, to which numpy itself would add its suffix."""
    with path.open("wb") as file:
        np.save(file, array)


def open_rows(path: str | Path, kinds: str = "iu") -> np.memmap:
    """Map a file of `write_rows` into memory, read-only, (N, L); `kinds` are numpy's letters of the
    types of numbers that it may hold.

    Raises:
        AttractorError: if the file is missing, a pipe, or does not hold a matrix of integers.
    """
    require_regular(Path(path))
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise AttractorError(f"the token rows '{path}' do not exist") from error
    # The header is Python, which numpy lets Python parse.
    except (ValueError, EOFError, SyntaxError, TokenError) as error:
        raise AttractorError(
            f"'{path}' is not a complete .npy file of token rows: {first_line(error)}"
        ) from error
    if not isinstance(rows, np.memmap) or rows.ndim != 2 or rows.dtype.kind not in kinds:
        raise AttractorError(
            f"'{path}' does not hold token rows: expected one (N, L) matrix of integers"
        )
    return rows


def prefix(rows: Int[np.ndarray, "N L"], n: int, name: str = "n_train") -> Int[np.ndarray, "n L"]:
    """Return the first `n` rows (a view), so that every smaller training set lies inside every
    larger one.

    Args:
        rows: shuffled rows.
        n: how many to take.
        name: what the setting of `n` is called, for messages.

    Raises:
        AttractorError: if `n` is below 1 or exceeds the number of rows.
    """
    if n < 1:
        raise AttractorError(f"{name}={n} must be at least 1 row")
    if n > len(rows):
        raise AttractorError(f"{name}={n} but there are only {len(rows)} rows")
    return rows[:n]

"""A prepared corpus on disk: shuffled train and test rows, the tokenizer, and what was dropped."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from attractor.data.corpus import read_documents
from attractor.data.packing import check_length, open_rows, pack, write_rows
from attractor.data.sources import TextSource, find_source
from attractor.data.stream import (
    BATCH,
    ROWS,
    Packed,
    Wrapping,
    pack_stream,
    shuffled,
    train_sample,
    unseen_documents,
)
from attractor.data.subsets import SplitCounts, check_share, split_documents
from attractor.data.tokenizer import FILE_NAMES, UNK, Tokenizer, make_tokenizer
from attractor.machine.files import locked, read_json
from attractor.types import AttractorError

HUB_SETTINGS = ("subset", "split", "test_split", "revision")
MOST_UNKNOWN = 0.1
"""Share of unknown tokens above which text is no text of a model."""
TRAIN, TEST, COUNTS = "train.npy", "test.npy", "counts.json"


class Dataset(NamedTuple):
    """Memory-mapped rows; every training set is a prefix of `train`."""

    train: np.memmap
    """shuffled training rows, (N, L)"""
    test: np.memmap
    """shuffled unseen rows, (M, L)"""
    tokenizer: Tokenizer
    counts: SplitCounts
    """documents read, dropped and kept"""


def prepare_dataset(
    folder: Path,
    *,
    source: str,
    column: str,
    tokenizer: str,
    vocab_size: int,
    seq_len: int,
    test_share: float,
    seed: int,
    wrap: str = "continuous",
    building: Path | None = None,
    on_progress: Callable[[Packed], None] = lambda packed: None,
    **hub: str,
) -> Dataset:
    """Read, split, tokenize, pack and shuffle a corpus into `folder`; the tokenizer sees the
    training split only.

    What is too much for memory is streamed.

    Args:
        folder: to write into.
        source: the text, see `DataConfig.source`.
        column: of the text in files and data sets that have columns.
        tokenizer: "bpe" or "char" to train one, else the path or Hub id of one.
        vocab_size: of a trained "bpe" tokenizer.
        seq_len: tokens in a row, markers included.
        test_share: share of documents held out, in (0, 1).
        seed: of the split and of the shuffle.
        wrap: "continuous", or "paper" for rows as the paper's code makes them.
        building: where a stream keeps what it has packed, so that it goes on from there; inside
            `folder` unless given.
        on_progress: is told how far the packing of a stream has come.
        hub: `subset`, `split`, `test_split` and `revision` of a data set of the Hub.

    Raises:
        AttractorError: for bad input, see `read_documents`, `find_source`, `split_documents`,
            `make_tokenizer`, `pack`.
    """
    check_length(seq_len)
    stream = find_source(source, column, **{name: hub.get(name, "") for name in HUB_SETTINGS})
    if stream is not None:
        target = building or folder / "packing"
        target.mkdir(parents=True, exist_ok=True)
        with locked(target):
            made = _tokenizer(target, tokenizer, stream, vocab_size, test_share, seed)
            paper = wrap == "paper"
            _prepare_stream(
                folder, target, stream, made, seq_len, test_share, seed, paper, on_progress
            )
        shutil.rmtree(target)
        return open_dataset(folder)
    if wrap == "paper":
        raise AttractorError(
            f"wrap = 'paper' is for text that is streamed, and '{source}' is read at once"
        )
    # The tokenizer is trained on the training split alone: merges learned from unseen text would be
    # knowledge of it.
    split = split_documents(read_documents(source, column), test_share, seed)
    made = make_tokenizer(tokenizer, split.train, vocab_size)
    for name, documents in ((TRAIN, split.train), (TEST, split.test)):
        write_rows(
            folder / name, pack(made.encode(documents), seq_len, made.bos_id, made.eos_id), seed
        )
    made.save(folder)
    (folder / COUNTS).write_text(json.dumps(split.counts._asdict()))
    return open_dataset(folder)


def _tokenizer(
    building: Path, kind: str, source: TextSource, vocab_size: int, test_share: float, seed: int
) -> Tokenizer:
    """The one of an earlier try, so that its rows are of one kind; else a new one."""
    if not any((building / name).is_file() for name in FILE_NAMES):
        check_share(test_share)
        make_tokenizer(kind, train_sample(source, test_share, seed), vocab_size).save(building)
    return Tokenizer.load(building)


def _prepare_stream(
    folder: Path,
    building: Path,
    source: TextSource,
    tokenizer: Tokenizer,
    seq_len: int,
    test_share: float,
    seed: int,
    as_in_paper: bool,
    on_progress: Callable[[Packed], None],
) -> None:
    # The paper's code takes the first id of an encoded marker as its id. BERT's tokenizer begins
    # all that it encodes with [CLS], so that both markers become [CLS].
    eos_id = tokenizer.bos_id if as_in_paper and tokenizer.is_bert else tokenizer.eos_id
    wrapping = Wrapping(seq_len, tokenizer.bos_id, eos_id, as_in_paper)
    unseen = unseen_documents(source, test_share, seed)
    counts = pack_stream(
        building, source, tokenizer, wrapping, unseen, test_share, seed, on_progress
    )
    batches = (tokenizer.encode(unseen[i : i + BATCH]) for i in range(0, len(unseen), BATCH))
    test, _ = wrapping.rows([], itertools.chain.from_iterable(batches))
    if not len(test):
        raise AttractorError(
            f"the unseen text of '{source.name}' does not fill one row of {seq_len} tokens"
        )
    shuffled(building / ROWS, seq_len, folder / TRAIN, seed)
    write_rows(folder / TEST, test, seed)
    tokenizer.save(folder)
    (folder / COUNTS).write_text(json.dumps(counts._asdict()))


def read_rows(
    path: Path, column: str, tokenizer: Tokenizer | None, seq_len: int
) -> Int[np.ndarray, "N L"]:
    """Somebody's text as rows, in an order in which neighbours are not of one document; or an .npy
    matrix of rows.

    Raises:
        AttractorError: for a file that cannot be read, text without a tokenizer or of characters
            that it does not know, no row, or rows of another length.
    """
    if path.suffix == ".npy":
        rows = np.asarray(open_rows(path))
        if not len(rows):
            raise AttractorError(f"'{path}' holds no row")
        if rows.shape[1] != seq_len:
            raise AttractorError(
                f"'{path}' has rows of {rows.shape[1]} tokens, the model wants {seq_len}"
            )
        return rows
    documents = read_documents(str(path), column)
    if tokenizer is None:
        raise AttractorError(
            f"the text '{path}' needs the model's tokenizer, and none lies beside the model"
        )
    rows = pack(tokenizer.encode(documents), seq_len, tokenizer.bos_id, tokenizer.eos_id)
    # A tokenizer without an unknown token has unk_id = -1, which no row holds.
    unknown = float((rows == tokenizer.unk_id).mean())
    if unknown > MOST_UNKNOWN:
        raise AttractorError(
            f"{unknown:.0%} of the tokens of '{path}' are {UNK}: the tokenizer does not know such "
            "text"
        )
    return np.random.default_rng(0).permutation(rows)


def open_dataset(folder: Path) -> Dataset:
    """Open what `prepare_dataset` wrote.

    Raises:
        AttractorError: if a file is missing or damaged.
    """
    tokenizer = Tokenizer.load(folder)
    train, test = open_rows(folder / TRAIN), open_rows(folder / TEST)
    return Dataset(train, test, tokenizer, _counts(folder / COUNTS))


def _counts(file: Path) -> SplitCounts:
    found, known = read_json(file), SplitCounts._fields
    required = set(known) - SplitCounts._field_defaults.keys()
    numbers = all(type(value) in (int, float) for value in found.values())
    if not (required <= found.keys() <= set(known) and numbers):
        raise AttractorError(f"'{file}' is damaged: its numbers are not {', '.join(known)}")
    return SplitCounts(**found)

"""A prepared corpus on disk: shuffled train and test rows, the tokenizer, and what was dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attractor.data.corpus import read_documents
from attractor.data.packing import open_rows, pack, write_rows
from attractor.data.subsets import SplitCounts, split_documents
from attractor.data.tokenizer import Tokenizer, make_tokenizer
from attractor.types import AttractorError, Int

TRAIN, TEST, COUNTS = "train.npy", "test.npy", "counts.json"


class Dataset(NamedTuple):
    """Memory-mapped rows; every training set is a prefix of `train`."""

    train: np.memmap
    test: np.memmap
    tokenizer: Tokenizer
    counts: SplitCounts


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
) -> Dataset:
    """Read, split, tokenize, pack and shuffle a corpus into `folder`; the tokenizer sees the training split only.

    Raises:
        AttractorError: for bad input, see `read_documents`, `split_documents`, `make_tokenizer` and `pack`.
    """
    split = split_documents(read_documents(source, column), test_share, seed)
    made = make_tokenizer(tokenizer, split.train, vocab_size)
    for name, documents in ((TRAIN, split.train), (TEST, split.test)):
        write_rows(folder / name, pack(made.encode(documents), seq_len, made.bos_id, made.eos_id), seed)
    made.save(folder)
    (folder / COUNTS).write_text(json.dumps(split.counts._asdict()))
    return open_dataset(folder)


def read_rows(path: Path, column: str, tokenizer: Tokenizer | None, seq_len: int) -> Int[np.ndarray, "N L"]:
    """Somebody's text as rows, in an order in which neighbours are not of one document; or an .npy matrix of rows.

    Raises:
        AttractorError: for a file that cannot be read, text without a tokenizer, or rows of another length.
    """
    if path.suffix == ".npy":
        rows = np.asarray(open_rows(path))
        if rows.shape[1] != seq_len:
            raise AttractorError(f"'{path}' has rows of {rows.shape[1]} tokens, the model wants {seq_len}")
        return rows
    documents = read_documents(str(path), column)
    if tokenizer is None:
        raise AttractorError(f"the text '{path}' needs the model's tokenizer, and none lies beside the model")
    rows = pack(tokenizer.encode(documents), seq_len, tokenizer.bos_id, tokenizer.eos_id)
    return np.random.default_rng(0).permutation(rows)


def open_dataset(folder: Path) -> Dataset:
    """Open what `prepare_dataset` wrote.

    Raises:
        AttractorError: if a file is missing.
    """
    tokenizer = Tokenizer.load(folder)
    train, test = open_rows(folder / TRAIN), open_rows(folder / TEST)
    return Dataset(train, test, tokenizer, SplitCounts(**json.loads((folder / COUNTS).read_text())))

"""A prepared corpus on disk: shuffled train and test rows, the tokenizer, and what was dropped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from attractor.config.settings import DataConfig
from attractor.data.corpus import read_documents
from attractor.data.fingerprint import (
    SOURCE,
    Fingerprint,
    changed,
    fingerprint,
    read_fingerprint,
)
from attractor.data.grouping import read_grouping
from attractor.data.ids import read_ids
from attractor.data.loss import encode_known
from attractor.data.origins import (
    TEST_DOCUMENTS,
    TRAIN_DOCUMENTS,
    Grouping,
    Origins,
    owners,
    read_origins,
    require_useful,
    write_documents,
    write_grouping,
)
from attractor.data.packing import (
    TEST,
    TRAIN,
    check_length,
    document_rows,
    open_rows,
    pack,
    say_cut,
    too_long,
    write_rows,
)
from attractor.data.sources import TextSource, find_source
from attractor.data.stream import Packed
from attractor.data.streamed import prepare_streamed
from attractor.data.subsets import COUNTS, Split, SplitCounts, check_share, split_documents
from attractor.data.tokenizer import Tokenizer, make_tokenizer
from attractor.machine.files import read_json, sha256
from attractor.types import AttractorError


class Dataset(NamedTuple):
    """Memory-mapped rows; every training set is a prefix of `train`."""

    train: np.memmap
    """shuffled training rows, (N, L)"""
    test: np.memmap
    """shuffled unseen rows, (M, L)"""
    tokenizer: Tokenizer
    counts: SplitCounts
    """documents read, dropped and kept"""
    digest: str = ""
    """of all rows; empty for a folder of an earlier version"""
    origins: Origins | None = None
    """where the rows come from; None for the folder of an earlier version"""


def prepare_dataset(
    folder: Path,
    config: DataConfig,
    *,
    building: Path | None = None,
    anew: bool = False,
    on_progress: Callable[[Packed], None] = lambda packed: None,
) -> Dataset:
    """Read, split, tokenize, pack and shuffle a corpus into `folder`; the tokenizer sees the
    training split only.

    What is too much for memory is streamed.

    Args:
        folder: to write into.
        config: the text, and how it is cut; `order`, `repeat` and `repeat_rows` are not looked at,
            since the rows are the same whatever they are.
        building: where a stream keeps what it has packed, so that it goes on from there; inside
            `folder` unless given. What was packed of another text is thrown away.
        anew: throw it away whatever it was packed of.
        on_progress: is told how far the packing of a stream has come.

    Raises:
        AttractorError: for bad input, see `read_documents`, `find_source`, `split_documents`,
            `make_tokenizer`, `pack`, `prepare_streamed`.
    """
    stream = _stream(config)
    mark = fingerprint(config.source, config.tokenizer, "" if stream is None else stream.commit)
    if stream is None:
        _prepare_at_once(folder, config)
    else:
        target = building or folder / "packing"
        prepare_streamed(folder, config, stream, mark, target, anew, on_progress)
    return _told(folder, config, mark)


def _prepare_at_once(folder: Path, config: DataConfig) -> None:
    source, seq_len, seed = config.source, config.seq_len, config.seed
    documents = read_documents(source, config.column)
    grouping = read_grouping(source, config.column, config.group)
    split = _split(config, documents, grouping)
    # The tokenizer is trained on the training split alone: merges learned from unseen text would be
    # knowledge of it.
    made = make_tokenizer(config.tokenizer, split.train, config.vocab_size, config.markers)
    made = made.padded() if config.rows == "document" else made
    pad_id = made.pad_id if config.rows == "document" else None
    lost, cut = {}, {}
    sides = ((TRAIN, TRAIN_DOCUMENTS, split.train), (TEST, TEST_DOCUMENTS, split.test))
    for name, beside, texts in sides:
        kind = "training" if name == TRAIN else "unseen"
        encoded, lost[name] = encode_known(made, texts, f"the {kind} text of '{source}'")
        table, of, cut[name] = _rows(made, encoded, seq_len, pad_id)
        say_cut(cut[name], len(texts), seq_len, f"the {kind} text of '{source}'")
        write_rows(folder / name, table, seed)
        write_documents(folder / beside, of, grouping.numbers(texts), seed)
    write_grouping(folder, grouping.kind, grouping.names)
    made.save(folder)
    counts = split.counts._replace(
        lost=lost[TRAIN], test_lost=lost[TEST], cut=cut[TRAIN], test_cut=cut[TEST]
    )
    (folder / COUNTS).write_text(json.dumps(counts._asdict()))


def _split(config: DataConfig, documents: list[str], grouping: Grouping) -> Split:
    if config.group:
        require_useful(grouping, f"group = {config.group!r}", list(dict.fromkeys(documents)))
    by_group = config.split_by == "group"
    if by_group and not grouping.of:
        raise AttractorError(
            f"split_by = 'group': '{config.source}' has no groups; name a column of it"
        )
    groups = grouping.of if by_group else None
    return split_documents(documents, config.test_share, config.seed, groups)


def _rows(
    tokenizer: Tokenizer, encoded: list[list[int]], seq_len: int, pad_id: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows, the document of each, and how many documents were cut, which packing never does."""
    ends = tokenizer.bos_id, tokenizer.eos_id
    if pad_id is None:
        of = owners([len(ids) + 1 for ids in encoded], seq_len - 2)
        return pack(encoded, seq_len, *ends), of, 0
    made = document_rows(encoded, seq_len, *ends, pad_id)
    return made, np.arange(len(made)), too_long(encoded, seq_len)


def _told(folder: Path, config: DataConfig, mark: Fingerprint) -> Dataset:
    """The finished dataset, which tells what it was made of.

    Raises:
        AttractorError: if that has changed meanwhile.
    """
    if file := changed(mark, config.source, config.tokenizer):
        raise AttractorError(f"'{file}' has changed while it was read: start again when it is done")
    rows = [sha256(folder / name) for name in (TRAIN, TEST)]
    digest = hashlib.sha256("".join(rows).encode()).hexdigest()[:12]
    (folder / SOURCE).write_text(json.dumps({**mark, "rows": digest}))
    return open_dataset(folder)


def require_same_text(folder: Path, source: str, tokenizer: str) -> None:
    """Refuse to go on with a dataset whose text, or tokenizer, has changed since it was made.

    What has gone away is not missed, and folders of earlier versions do not tell.

    Raises:
        AttractorError: naming the file.
    """
    made_of = read_fingerprint(folder)
    if made_of is not None and (file := changed(made_of, source, tokenizer)):
        raise AttractorError(
            f"'{file}' has changed since '{folder}' was made of it: choose another folder, --force "
            "to begin anew, or put back what it was to go on"
        )


def is_streamed(config: DataConfig) -> bool:
    """Whether a text is streamed, which is then opened and not read; what can be refused before
    anything is packed is refused.

    Errors are those of `prepare_dataset`.
    """
    return _stream(config) is not None


def _stream(config: DataConfig) -> TextSource | None:
    """The text, where it is streamed; None where it is read at once."""
    check_length(config.seq_len)
    check_share(config.test_share)
    stream = find_source(
        config.source,
        config.column,
        config.subset,
        config.split,
        config.test_split,
        config.revision,
    )
    if stream is None and config.wrap == "paper":
        raise AttractorError(
            f"wrap = 'paper' is for text that is streamed, and '{config.source}' is read at once"
        )
    return stream


def read_rows(
    path: Path,
    column: str,
    tokenizer: Tokenizer | None,
    seq_len: int,
    apart_from: Path | None = None,
    pad_id: int | None = None,
) -> Int[np.ndarray, "N L"]:
    """Somebody's text as rows, in an order in which neighbours are not of one document; or rows of
    token ids, see `read_ids`. What the tokenizer lost is said in a warning.

    Args:
        path: the file.
        column: of the text in files that have columns.
        tokenizer: turns text into tokens.
        seq_len: L.
        apart_from: text whose documents are left out, since rows of the same documents may be cut
            at other places.
        pad_id: makes a row of each document, with this id behind it; packed unless given.

    Raises:
        AttractorError: for a file that cannot be read, text without a tokenizer or that it does not
            know, no row, or rows of another length.
    """
    rows = read_ids(path, column)
    if rows is not None:
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
    if apart_from is not None and read_ids(apart_from, column) is None:
        known = set(read_documents(str(apart_from), column))
        documents = [document for document in documents if document not in known]
        if not documents:
            raise AttractorError(f"'{path}' holds no document that is not in '{apart_from}' too")
    encoded, _ = encode_known(tokenizer, documents, f"'{path}'")
    rows, _, cut = _rows(tokenizer, encoded, seq_len, pad_id)
    say_cut(cut, len(documents), seq_len, f"'{path}'")
    return np.random.default_rng(0).permutation(rows)


def open_dataset(folder: Path) -> Dataset:
    """Open what `prepare_dataset` wrote.

    Raises:
        AttractorError: if a file is missing or damaged.
    """
    tokenizer = Tokenizer.load(folder)
    train, test = open_rows(folder / TRAIN), open_rows(folder / TEST)
    digest = (read_fingerprint(folder) or {}).get("rows", "")
    origins = read_origins(folder / TRAIN_DOCUMENTS, folder / TEST_DOCUMENTS)
    return Dataset(train, test, tokenizer, _counts(folder / COUNTS), digest, origins)


def _counts(file: Path) -> SplitCounts:
    found, known = read_json(file), SplitCounts._fields
    required = set(known) - SplitCounts._field_defaults.keys()
    numbers = all(type(value) in (int, float) for value in found.values())
    if not (required <= found.keys() <= set(known) and numbers):
        raise AttractorError(f"'{file}' is damaged: its numbers are not {', '.join(known)}")
    return SplitCounts(**found)

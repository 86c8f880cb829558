"""A prepared corpus on disk: shuffled train and test rows, the tokenizer, and what was dropped."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from attractor.data.corpus import read_documents
from attractor.data.fingerprint import (
    SOURCE,
    Fingerprint,
    changed,
    fingerprint,
    read_fingerprint,
    same,
)
from attractor.data.grouping import read_grouping
from attractor.data.ids import read_ids
from attractor.data.loss import UnknownTextError, encode_known, loss_of
from attractor.data.origins import (
    DOCUMENTS,
    Origins,
    owners,
    read_origins,
    require_useful,
    write_documents,
    write_grouping,
)
from attractor.data.packing import (
    check_length,
    document_rows,
    open_rows,
    pack,
    say_cut,
    too_long,
    write_rows,
)
from attractor.data.sources import TextSource, find_source
from attractor.data.stream import (
    BATCH,
    OWNERS,
    ROWS,
    Packed,
    Wrapping,
    pack_stream,
    shuffled,
    train_sample,
    unseen_documents,
)
from attractor.data.subsets import SplitCounts, check_share, split_documents
from attractor.data.tokenizer import FILE_NAMES, Tokenizer, make_tokenizer
from attractor.machine.files import LOCK, locked, read_json, sha256, write_atomically
from attractor.types import AttractorError

HUB_SETTINGS = ("subset", "split", "test_split", "revision")
TRAIN, TEST, COUNTS = "train.npy", "test.npy", "counts.json"
TRAIN_DOCUMENTS, TEST_DOCUMENTS = f"train-{DOCUMENTS}", f"test-{DOCUMENTS}"


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
    *,
    source: str,
    column: str,
    tokenizer: str,
    vocab_size: int,
    seq_len: int,
    test_share: float,
    seed: int,
    wrap: str = "continuous",
    markers: Sequence[str] | None = None,
    rows: str = "packed",
    wrap_processes: int = 1,
    group: str = "",
    split_by: str = "document",
    building: Path | None = None,
    anew: bool = False,
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
        markers: names of BOS and EOS in a ready tokenizer, where it has no known ones.
        rows: "packed", or "document" for a row of each document, which its tokenizer then has
            padding for.
        wrap_processes: processes of the paper's code that share the documents.
        group: column that tells which documents belong together.
        split_by: "document", or "group" to hold out whole groups.
        building: where a stream keeps what it has packed, so that it goes on from there; inside
            `folder` unless given. What was packed of another text is thrown away.
        anew: throw it away whatever it was packed of.
        on_progress: is told how far the packing of a stream has come.
        hub: `subset`, `split`, `test_split` and `revision` of a data set of the Hub.

    Raises:
        AttractorError: for bad input, see `read_documents`, `find_source`, `split_documents`,
            `make_tokenizer`, `pack`.
    """
    stream = _stream(source, column, seq_len, test_share, wrap, hub)
    mark = fingerprint(source, tokenizer, "" if stream is None else stream.commit)
    if stream is not None:
        if group or split_by != "document":
            said = f"group = {group!r}" if group else f"split_by = {split_by!r}"
            raise AttractorError(
                f"{said} is for text that is read at once, and '{source}' is streamed"
            )
        target = building or folder / "packing"
        target.mkdir(parents=True, exist_ok=True)
        with locked(target):
            _begin(target, mark, anew)
            made = _tokenizer(target, tokenizer, stream, vocab_size, test_share, seed, markers)
            made = made.padded() if rows == "document" else made
            # The paper's code takes the first id of an encoded marker as its id. BERT's tokenizer
            # begins all that it encodes with [CLS], so that both markers become [CLS].
            paper = wrap == "paper"
            eos_id = made.bos_id if paper and made.is_bert else made.eos_id
            pad_id = made.pad_id if rows == "document" else None
            wrapping = Wrapping(seq_len, made.bos_id, eos_id, paper, wrap_processes, pad_id)
            try:
                _prepare_stream(
                    folder, target, stream, made, wrapping, test_share, seed, on_progress
                )
            except UnknownTextError:  # nothing goes on from rows that no model is to see
                shutil.rmtree(target)
                raise
        shutil.rmtree(target)
        return _told(folder, mark, source, tokenizer)
    # The tokenizer is trained on the training split alone: merges learned from unseen text would be
    # knowledge of it.
    documents, grouping = read_documents(source, column), read_grouping(source, column, group)
    if group:
        require_useful(grouping, f"group = {group!r}", list(dict.fromkeys(documents)))
    by_group = split_by == "group"
    if by_group and not grouping.of:
        raise AttractorError(f"split_by = 'group': '{source}' has no groups; name a column of it")
    split = split_documents(documents, test_share, seed, grouping.of if by_group else None)
    made = make_tokenizer(tokenizer, split.train, vocab_size, markers)
    made = made.padded() if rows == "document" else made
    pad_id = made.pad_id if rows == "document" else None
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
    return _told(folder, mark, source, tokenizer)


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


def _begin(building: Path, mark: Fingerprint, anew: bool) -> None:
    """Throw away what was packed of another text, of which rows must not stay among those of this
    one."""
    there = read_fingerprint(building)
    if there is not None and same(there, mark) and not anew:
        return
    # Its name first: what a crash leaves without a name is thrown away next time.
    (building / SOURCE).unlink(missing_ok=True)
    for left in building.iterdir():
        if left.name != LOCK:
            left.unlink()
    write_atomically(building / SOURCE, json.dumps(mark))


def _told(folder: Path, mark: Fingerprint, source: str, tokenizer: str) -> Dataset:
    """The finished dataset, which tells what it was made of.

    Raises:
        AttractorError: if that has changed meanwhile.
    """
    if file := changed(mark, source, tokenizer):
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


def is_streamed(
    *,
    source: str,
    column: str,
    seq_len: int,
    test_share: float,
    wrap: str = "continuous",
    **others: Any,
) -> bool:
    """Whether a text is streamed, which is then opened and not read; what can be refused before
    anything is packed is refused.

    Arguments and errors are those of `prepare_dataset`.
    """
    return _stream(source, column, seq_len, test_share, wrap, others) is not None


def _stream(
    source: str, column: str, seq_len: int, test_share: float, wrap: str, hub: dict[str, Any]
) -> TextSource | None:
    """The text, where it is streamed; None where it is read at once."""
    check_length(seq_len)
    check_share(test_share)
    stream = find_source(source, column, **{name: hub.get(name, "") for name in HUB_SETTINGS})
    if stream is None and wrap == "paper":
        raise AttractorError(
            f"wrap = 'paper' is for text that is streamed, and '{source}' is read at once"
        )
    return stream


def _tokenizer(
    building: Path,
    kind: str,
    source: TextSource,
    vocab_size: int,
    test_share: float,
    seed: int,
    markers: Sequence[str] | None,
) -> Tokenizer:
    """The one of an earlier try, so that its rows are of one kind; else a new one."""
    if not any((building / name).is_file() for name in FILE_NAMES):
        check_share(test_share)
        sample = train_sample(source, test_share, seed)
        make_tokenizer(kind, sample, vocab_size, markers).save(building)
    return Tokenizer.load(building)


def _prepare_stream(
    folder: Path,
    building: Path,
    source: TextSource,
    tokenizer: Tokenizer,
    wrapping: Wrapping,
    test_share: float,
    seed: int,
    on_progress: Callable[[Packed], None],
) -> None:
    unseen = unseen_documents(source, test_share, seed)
    # Looked at first: hours of packing would come before what a tokenizer does not know is refused.
    some, said_of = unseen[:: 1 + len(unseen) // BATCH], f"the unseen text of '{source.name}'"
    loss = loss_of(tokenizer, some, tokenizer.encode(some))
    if loss.tokens > BATCH:
        loss.require_known(said_of)
    counts = pack_stream(
        building, source, tokenizer, wrapping, unseen, test_share, seed, on_progress
    )
    batches = (tokenizer.encode(unseen[i : i + BATCH]) for i in range(0, len(unseen), BATCH))
    sizes: list[int] = []

    def counted(ids: list[int]) -> list[int]:
        sizes.append(len(ids) + 1)
        return ids

    alone = wrapping.pad_id is not None

    lost = loss.said(said_of)
    test, _ = wrapping.rows([], map(counted, itertools.chain.from_iterable(batches)))
    if not len(test):
        raise AttractorError(
            f"the unseen text of '{source.name}' does not fill one row of {wrapping.seq_len} tokens"
        )
    cut = sum(size > wrapping.seq_len - 1 for size in sizes) if alone else 0
    say_cut(cut, len(sizes), wrapping.seq_len, said_of)
    said_of = f"the training text of '{source.name}'"
    say_cut(counts.cut, counts.train_documents, wrapping.seq_len, said_of)
    counts = counts._replace(test_lost=lost, test_cut=cut)
    shuffled(building / ROWS, wrapping.seq_len, folder / TRAIN, seed)
    write_rows(folder / TEST, test, seed)
    train_owners = np.fromfile(building / OWNERS, np.int64)
    write_documents(folder / TRAIN_DOCUMENTS, train_owners, None, seed)
    of = np.arange(len(test)) if alone else owners(sizes, wrapping.seq_len - 2)
    write_documents(folder / TEST_DOCUMENTS, of, None, seed)
    write_grouping(folder)
    tokenizer.save(folder)
    (folder / COUNTS).write_text(json.dumps(counts._asdict()))


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

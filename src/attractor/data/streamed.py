"""The rows of a text that is too much for memory, from its documents to the files of a folder."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from attractor.config.settings import DataConfig
from attractor.data.fingerprint import SOURCE, Fingerprint, read_fingerprint, same
from attractor.data.loss import Loss, UnknownTextError, loss_of
from attractor.data.origins import (
    TEST_DOCUMENTS,
    TRAIN_DOCUMENTS,
    owners,
    write_documents,
    write_grouping,
)
from attractor.data.packing import TEST, TRAIN, say_cut, write_rows
from attractor.data.sources import TextSource
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
from attractor.data.subsets import COUNTS
from attractor.data.tokenizer import FILE_NAMES, Tokenizer, make_tokenizer
from attractor.machine.files import LOCK, locked, write_atomically
from attractor.types import AttractorError


def prepare_streamed(
    folder: Path,
    config: DataConfig,
    source: TextSource,
    mark: Fingerprint,
    building: Path,
    anew: bool,
    on_progress: Callable[[Packed], None],
) -> None:
    """Pack the documents of a stream in `building`, or go on there, then write all files of the
    data folder but `source.json`; `building` goes away.

    Args:
        folder: to write into.
        config: how the text is cut.
        source: its documents.
        mark: what the text and the tokenizer are now: what was packed of others is thrown away.
        building: of what is packed; another process is kept out of it.
        anew: throw it away whatever it was packed of.
        on_progress: is told after every batch of documents.

    Raises:
        AttractorError: for groups, which a stream has none of, and as `make_tokenizer`,
            `unseen_documents` and `pack_stream`.
    """
    if config.group or config.split_by != "document":
        said = f"group = {config.group!r}" if config.group else f"split_by = {config.split_by!r}"
        raise AttractorError(
            f"{said} is for text that is read at once, and '{config.source}' is streamed"
        )
    building.mkdir(parents=True, exist_ok=True)
    with locked(building):
        _begin(building, mark, anew)
        tokenizer = _tokenizer(building, config, source)
        try:
            _write(folder, building, config, source, tokenizer, on_progress)
        except UnknownTextError:  # nothing goes on from rows that no model is to see
            shutil.rmtree(building)
            raise
    shutil.rmtree(building)


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


def _tokenizer(building: Path, config: DataConfig, source: TextSource) -> Tokenizer:
    """The one of an earlier try, so that its rows are of one kind; else a new one."""
    if not any((building / name).is_file() for name in FILE_NAMES):
        sample = train_sample(source, config.test_share, config.seed)
        made = make_tokenizer(config.tokenizer, sample, config.vocab_size, config.markers)
        made.save(building)
    found = Tokenizer.load(building)
    return found.padded() if config.rows == "document" else found


def _write(
    folder: Path,
    building: Path,
    config: DataConfig,
    source: TextSource,
    tokenizer: Tokenizer,
    on_progress: Callable[[Packed], None],
) -> None:
    test_share, seed, seq_len = config.test_share, config.seed, config.seq_len
    wrapping = _wrapping(config, tokenizer)
    unseen = unseen_documents(source, test_share, seed)
    name = f"the unseen text of '{source.name}'"
    loss = _loss(tokenizer, unseen, name)
    counts = pack_stream(
        building, source, tokenizer, wrapping, unseen, test_share, seed, on_progress
    )
    lost = loss.said(name)
    test, test_owners, cut = _unseen_rows(tokenizer, wrapping, unseen, name)
    say_cut(cut, len(unseen), seq_len, name)
    say_cut(counts.cut, counts.train_documents, seq_len, f"the training text of '{source.name}'")
    counts = counts._replace(test_lost=lost, test_cut=cut)
    shuffled(building / ROWS, seq_len, folder / TRAIN, seed)
    write_rows(folder / TEST, test, seed)
    train_owners = np.fromfile(building / OWNERS, np.int64)
    write_documents(folder / TRAIN_DOCUMENTS, train_owners, None, seed)
    write_documents(folder / TEST_DOCUMENTS, test_owners, None, seed)
    write_grouping(folder)
    tokenizer.save(folder)
    (folder / COUNTS).write_text(json.dumps(counts._asdict()))


def _wrapping(config: DataConfig, tokenizer: Tokenizer) -> Wrapping:
    # The paper's code takes the first id of an encoded marker as its id. BERT's tokenizer begins
    # all that it encodes with [CLS], so that both markers become [CLS].
    paper = config.wrap == "paper"
    eos_id = tokenizer.bos_id if paper and tokenizer.is_bert else tokenizer.eos_id
    pad_id = tokenizer.pad_id if config.rows == "document" else None
    return Wrapping(config.seq_len, tokenizer.bos_id, eos_id, paper, config.wrap_processes, pad_id)


def _loss(tokenizer: Tokenizer, unseen: Sequence[str], name: str) -> Loss:
    """What the tokenizer loses of the unseen text, by some of its documents.

    Looked at before anything is packed: hours of packing would come before what a tokenizer does
    not know is refused.
    """
    some = unseen[:: 1 + len(unseen) // BATCH]
    loss = loss_of(tokenizer, some, tokenizer.encode(some))
    if loss.tokens > BATCH:
        loss.require_known(name)
    return loss


def _unseen_rows(
    tokenizer: Tokenizer, wrapping: Wrapping, unseen: Sequence[str], name: str
) -> tuple[Int[np.ndarray, "M L"], Int[np.ndarray, "M"], int]:
    """Rows, the document of each, and how many documents were cut, which packing never does."""
    batches = (tokenizer.encode(unseen[i : i + BATCH]) for i in range(0, len(unseen), BATCH))
    sizes: list[int] = []

    def counted(ids: list[int]) -> list[int]:
        sizes.append(len(ids) + 1)
        return ids

    rows, _ = wrapping.rows([], map(counted, itertools.chain.from_iterable(batches)))
    if not len(rows):
        raise AttractorError(f"{name} does not fill one row of {wrapping.seq_len} tokens")
    if wrapping.pad_id is None:
        return rows, owners(sizes, wrapping.seq_len - 2), 0
    return rows, np.arange(len(rows)), sum(size > wrapping.seq_len - 1 for size in sizes)

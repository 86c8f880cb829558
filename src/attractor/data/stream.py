"""Packing of text that is too much for memory: in one pass, in bounded memory, and taken up again
where it stopped.

In a folder of their own lie

    rows.bin      rows of int32, one after the other, only ever appended to
    owners.bin    the document of each row, its number among those that are packed, int64, likewise
    seen-N.npy    sorted digests of the first N documents, for duplicates
    state.json    how many documents and rows count, and the tokens that do not fill a row yet

written in this order. state.json names the others, by N and by its number of rows, so it is what
makes a save valid: after a crash before it is replaced, the old one still fits to its own
seen-N.npy (the newer is ignored), and rows beyond its number are cut off.
"""

from __future__ import annotations

import itertools
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Int

from attractor.data.duplicates import NearDuplicates, Seen, digest
from attractor.data.loss import Loss, loss_of
from attractor.data.origins import owners
from attractor.data.packing import check_length, document_rows, save_array, too_long
from attractor.data.sources import TextSource
from attractor.data.subsets import SEPARATION, SplitCounts
from attractor.data.tokenizer import Tokenizer
from attractor.machine.files import write_atomically
from attractor.types import AttractorError

BATCH = 1_000
"""Documents that are tokenized together; also those that the paper's code wraps together."""
SAMPLE = 2**26
"""Characters of training text from which a tokenizer is trained."""
UNSEEN = 2**24
"""Characters of unseen text that are kept: far more rows than are ever probed."""
AGAIN = 2**14
"""Characters of a batch, at most about, that are decoded again to see what the tokenizer lost."""
SAVE = 2**26
"""Characters between two states from which packing goes on."""
BLOCK = 2**22
"""Tokens that are shuffled at a time."""
STATE, ROWS, OWNERS = "state.json", "rows.bin", "owners.bin"


class Packed(NamedTuple):
    """What packing says of its progress: how much it has taken and made so far."""

    documents: int
    """documents taken from the source"""
    characters: int
    """characters of those"""
    rows: int
    """rows written"""


@dataclass(kw_only=True)
class State:
    """How far packing has come; everything in the files beyond it is thrown away when it goes
    on."""

    documents: int = 0
    """documents taken from the source, whatever became of them"""
    characters: int = 0
    """characters of those"""
    rows: int = 0
    """rows in the file"""
    left: list[int]
    """tokens that do not fill a row yet"""
    left_of: list[list[int]] = field(default_factory=list)
    """documents of those tokens: the number of each, and how many are of it"""
    held_out: int = 0
    """documents left out because they are among the unseen"""
    duplicates: int = 0
    """documents left out as copies of earlier ones"""
    near_duplicates: int = 0
    """documents left out because they nearly are unseen ones"""
    train_documents: int = 0
    """documents that were packed"""
    cut: int = 0
    """of them, those that are longer than a row of their own"""
    loss: dict[str, int] = field(default_factory=dict)
    """what the tokenizer lost of those, see `Loss`"""


class Wrapping(NamedTuple):
    """How documents become rows `[BOS] chunk [EOS]`."""

    seq_len: int
    """tokens in a row, the markers included"""
    bos_id: int
    eos_id: int
    as_in_paper: bool = False
    """drop the tokens that are left over after each 1,000 documents, and no duplicate document"""
    processes: int = 1
    """of the paper's code: each takes an equal share of the documents, one after the other, and
    begins to count its thousands anew"""
    pad_id: int | None = None
    """where each document is a row of its own: what fills it up"""

    def rows(
        self, left: list[int], encoded: Iterable[list[int]]
    ) -> tuple[Int[np.ndarray, "N L"], list[int]]:
        """Full rows of what was left before and of more documents, and what is left now."""
        if self.pad_id is not None:
            found = document_rows(encoded, self.seq_len, self.bos_id, self.eos_id, self.pad_id)
            return found, []
        whole = array("i", left)  # four bytes a token, where a list has forty
        for document in encoded:
            whole.fromlist(document)
            whole.append(self.eos_id)
        stream = np.frombuffer(whole, np.intc)
        chunk = self.seq_len - 2
        n = len(stream) // chunk
        rows = np.empty((n, self.seq_len), np.int32)
        rows[:, 0], rows[:, -1] = self.bos_id, self.eos_id
        rows[:, 1:-1] = stream[: n * chunk].reshape(n, chunk)
        return rows, [] if self.as_in_paper else stream[n * chunk :].tolist()


def train_sample(source: TextSource, test_share: float, seed: int) -> Iterator[str]:
    """Training documents from which a tokenizer is trained: the first 64 million characters."""
    taken = 0
    for document in _stripped(source.train()):
        if source.test is None and _is_held_out(document, test_share, seed):
            continue
        yield document
        taken += len(document)
        if taken > SAMPLE:
            return


def unseen_documents(source: TextSource, test_share: float, seed: int) -> list[str]:
    """Different unseen documents: of the source's own test split, or held out by their digest; the
    first 16 million characters.

    Raises:
        AttractorError: if there is none.
    """
    if source.test is not None:
        candidates = _stripped(source.test())
    else:
        candidates = (
            text for text in _stripped(source.train()) if _is_held_out(text, test_share, seed)
        )
    kept: dict[str, None] = {}  # a set that keeps its order
    taken = 0
    for document in candidates:
        taken += 0 if document in kept else len(document)
        kept[document] = None
        if taken > UNSEEN:
            break
    if not kept:
        raise AttractorError(
            f"'{source.name}' has no unseen document: the test split is empty, or test_share too "
            f"small for so few documents; {SEPARATION}"
        )
    return list(kept)


def pack_stream(
    folder: Path,
    source: TextSource,
    tokenizer: Tokenizer,
    wrapping: Wrapping,
    unseen: list[str],
    test_share: float,
    seed: int,
    on_progress: Callable[[Packed], None] = lambda packed: None,
) -> SplitCounts:
    """Write the rows of all training documents into `folder/rows.bin`, or go on where that stopped.

    Exact duplicates and near-duplicates of unseen documents are dropped, unless the rows are to be
    as in the paper.

    Args:
        folder: of the rows and of the state, which nobody else writes to.
        source: the documents.
        tokenizer: turns them into tokens.
        wrapping: turns tokens into rows.
        unseen: documents that must not be trained on.
        test_share: share of documents held out by their digest, where the source has no unseen
            split of its own.
        seed: of that choice.
        on_progress: is told after every batch of documents.

    Raises:
        AttractorError: if the documents do not fill one row; errors of the source.
    """
    check_length(wrapping.seq_len)
    state, seen = _read_state(folder)
    known, near = set(unseen), NearDuplicates([] if wrapping.as_in_paper else unseen)
    # Documents that count already are read again and passed over, which costs no tokenizing;
    # batches begin at the same documents as without a stop, which the paper's wrapping depends on.
    take = iter if wrapping.as_in_paper else _stripped
    documents = itertools.islice(take(source.train()), state.documents, None)
    ends = _shard_ends(source, wrapping.processes)
    saved, said_of = state.characters, f"the training text of '{source.name}'"
    with (folder / ROWS).open("ab") as file, (folder / OWNERS).open("ab") as beside:
        file.truncate(state.rows * wrapping.seq_len * 4)  # drops rows of after the last save
        beside.truncate(state.rows * 8)
        while batch := list(itertools.islice(documents, _batch(state.documents, ends))):
            kept = batch
            if not wrapping.as_in_paper:
                kept = _chosen(batch, state, seen, known, near, source, test_share, seed)
            encoded = tokenizer.encode(kept)
            loss = Loss(**state.loss) + loss_of(tokenizer, kept, encoded, AGAIN)
            state.loss = asdict(loss)
            rows, state.left = wrapping.rows(state.left, encoded)
            state.cut += 0 if wrapping.pad_id is None else too_long(encoded, wrapping.seq_len)
            file.write(rows.tobytes())
            beside.write(_owners(state, [len(ids) + 1 for ids in encoded], wrapping).tobytes())
            state.documents += len(batch)
            state.characters += sum(map(len, batch))
            state.rows += len(rows)
            state.train_documents += len(kept)
            if state.characters - saved > SAVE:
                loss.require_known(said_of)  # after a minute, and not after a day
                saved = state.characters
                _write_state(folder, state, seen, file, beside)
            on_progress(Packed(state.documents, state.characters, state.rows))
    if not state.rows:
        raise AttractorError(
            f"'{source.name}' does not fill one row: seq_len={wrapping.seq_len} needs more text"
        )
    return SplitCounts(
        documents=state.documents,
        duplicates=state.duplicates,
        near_duplicates=state.near_duplicates,
        train_documents=state.train_documents,
        test_documents=len(unseen),
        lost=Loss(**state.loss).said(said_of),
        cut=state.cut,
    )


def _shard_ends(source: TextSource, processes: int) -> list[int]:
    """Numbers of documents up to which each of several processes of `datasets.map` takes its
    contiguous share: the first shares have one document more where they cannot be equal.

    The text is read once more to count its documents; of one process nothing has to be known.
    """
    if processes == 1:
        return []
    total = sum(1 for _ in source.train())
    shards = max(1, min(processes, total))
    share, more = divmod(total, shards)
    return list(itertools.accumulate(share + (i < more) for i in range(shards)))


def _batch(at: int, ends: list[int]) -> int:
    """Documents of the next batch, which begins behind `at` documents and crosses no end."""
    return min(BATCH, next((end - at for end in ends if end > at), BATCH))


def _owners(state: State, tokens: list[int], wrapping: Wrapping) -> Int[np.ndarray, "N"]:
    """The document of each row that further documents of so many tokens fill; `state` then knows
    those of the tokens that are left."""
    first = state.train_documents
    if wrapping.pad_id is not None:
        return np.arange(first, first + len(tokens))
    pieces = [*state.left_of, *([first + i, size] for i, size in enumerate(tokens))]
    names = np.array([name for name, _ in pieces], np.int64)
    sizes = np.array([size for _, size in pieces], np.int64)
    found = names[owners(sizes, wrapping.seq_len - 2)]
    # What is left are the last tokens: of each document those that lie behind the last full row.
    beyond = np.cumsum(sizes) - len(found) * (wrapping.seq_len - 2)
    rest = np.minimum(sizes, np.maximum(beyond, 0))
    here = (rest > 0) & (not wrapping.as_in_paper)
    state.left_of = np.stack([names[here], rest[here]], 1).tolist()
    return found


def shuffled(rows: Path, seq_len: int, out: Path, seed: int) -> None:
    """Write the rows of a raw file in shuffled order as an .npy matrix; a few at a time are in
    memory.

    They are read one by one: a memory map would bring their neighbours along, and so the whole
    file.
    """
    n = rows.stat().st_size // (4 * seq_len)
    order = np.random.default_rng(seed).permutation(n)
    block = np.empty((max(1, BLOCK // seq_len), seq_len), np.int32)
    header = {
        "descr": np.lib.format.dtype_to_descr(block.dtype),
        "fortran_order": False,
        "shape": (n, seq_len),
    }
    with rows.open("rb", buffering=0) as ordered, out.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, len(block)):
            part = order[start : start + len(block)]
            # Within a block the file is read from its beginning to its end, whatever the order in
            # memory: disks like it better.
            for i in part.argsort().tolist():
                ordered.seek(int(part[i]) * 4 * seq_len)
                ordered.readinto(block[i])
            file.write(block[: len(part)].data)


def _chosen(
    batch: list[str],
    state: State,
    seen: Seen,
    known: set[str],
    near: NearDuplicates,
    source: TextSource,
    test_share: float,
    seed: int,
) -> list[str]:
    """The documents of a batch that are to be trained on; what becomes of the others is counted."""
    kept = []
    for document, is_fresh, is_near in zip(batch, seen.add(batch), near.among(batch), strict=True):
        if document in known or (source.test is None and _is_held_out(document, test_share, seed)):
            state.held_out += 1
        elif not is_fresh:
            state.duplicates += 1
        elif is_near:
            state.near_duplicates += 1
        else:
            kept.append(document)
    return kept


def _is_held_out(document: str, test_share: float, seed: int) -> bool:
    """Whether a document is to be unseen: by its digest, so that it is known without the others,
    and copies of a document stay together."""
    return digest(document, f"held out {seed}") < test_share * 2**64


def _stripped(documents: Iterable[str]) -> Iterator[str]:
    return (text for document in documents if (text := document.strip()))


def _read_state(folder: Path) -> tuple[State, Seen]:
    """How far an earlier try came; the beginning, if there was none or its files do not fit."""
    try:
        state = State(**json.loads((folder / STATE).read_text()))
        if (folder / OWNERS).stat().st_size < state.rows * 8:
            return State(left=[]), Seen()  # of an earlier version, which did not keep them
        return state, Seen(np.load(_seen(folder, state)))
    except (OSError, ValueError, TypeError, EOFError, RecursionError):
        return State(left=[]), Seen()


def _write_state(folder: Path, state: State, seen: Seen, *files: BinaryIO) -> None:
    """First the rows, then the digests, last what tells how many of them count: a crash leaves the
    state before."""
    for file in files:
        file.flush()
        os.fsync(file.fileno())
    write_atomically(_seen(folder, state), lambda path: save_array(path, seen.all()))
    write_atomically(folder / STATE, json.dumps(asdict(state)))
    for other in folder.glob("seen-*.npy"):
        if other != _seen(folder, state):
            other.unlink()


def _seen(folder: Path, state: State) -> Path:
    return folder / f"seen-{state.documents}.npy"

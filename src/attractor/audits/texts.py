"""The text of an audit, from files or from a run: training rows, unseen rows, fresh ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attractor.config.identity import run_config_from_dict
from attractor.data.dataset import read_rows
from attractor.data.ids import among
from attractor.data.replicas import ordered, training_set
from attractor.data.tokenizer import FILE_NAMES, Tokenizer
from attractor.machine.units import counted
from attractor.measurements.texts import Texts
from attractor.runs.folder import CONFIG, data_of, read_json
from attractor.types import AttractorError

LEAST_TOKENS = 0.9
"""Share of the model's vocabulary that its tokenizer fills at least. A vocabulary may also hold a
mask and be rounded up, but a tokenizer that leaves more of it empty is another model's."""


def tokenizer_beside(
    model: str, named: Path | None, markers: tuple[str, str] | None = None
) -> Tokenizer | None:
    """The tokenizer that was named, or that lies in the folder of a model; None where there is
    none. `markers` are its tokens for BOS and EOS, where it has no known ones."""
    if named is not None:
        return Tokenizer.load(named, markers)
    folder = Path(model).expanduser()
    there = any((folder / name).is_file() for name in FILE_NAMES)
    return Tokenizer.load(folder, markers) if there else None


def texts_from_files(
    train: Path,
    test: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    rows: int,
    pad_id: int | None = None,
) -> Texts:
    """Training and unseen text of an audit; unseen rows and documents that are also training rows
    and documents are left out.

    Args:
        train: a file of training text.
        test: a file of text that the model has not seen.
        column: which column of the files holds the text.
        tokenizer: the model's; without one the files must hold rows of token ids.
        length: tokens of a row.
        vocab_size: of the model.
        rows: how many of each kind are probed at most.
        pad_id: makes a row of each document, with this id behind it; packed unless given.

    Raises:
        AttractorError: for files that cannot be read or do not fit the model, a tokenizer of
            another size, and if too few rows are left.
    """
    _require_tokenizer_of(tokenizer, vocab_size)
    known = _rows(train, column, tokenizer, length, vocab_size, pad_id=pad_id)
    others = _rows(test, column, tokenizer, length, vocab_size, train, pad_id)
    unseen = others[~among(others, known)]
    # Where rows of both files are dropped on one side only, what is left there is the rarer text,
    # and returns less often for that reason: so they are the last to be probed as training rows.
    shared = among(known, others)
    known = np.concatenate([known[~shared], known[shared]])
    for name, left, which in ((train, known, ""), (test, unseen, " that are no training rows")):
        if len(left) < 2:
            raise AttractorError(
                f"'{name}' gives {counted(len(left), 'row')} of {length} tokens{which}: at least 2 "
                "are needed"
            )
    return _texts(known, unseen, tokenizer, rows)


def training_from_file(
    train: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    pad_id: int | None = None,
) -> Texts:
    """Training text with nothing beside it; arguments and errors are those of
    `texts_from_files`."""
    ((_, rows),) = fresh_from_files([train], column, tokenizer, length, vocab_size, pad_id).items()
    return _texts(rows, rows[:0], tokenizer, len(rows))


def fresh_from_files(
    paths: Sequence[Path],
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    pad_id: int | None = None,
) -> dict[str, np.ndarray]:
    """Fresh texts by their names: rows of each file; arguments and errors are those of
    `texts_from_files`."""
    _require_tokenizer_of(tokenizer, vocab_size)
    found: dict[str, np.ndarray] = {}
    for path in paths:
        name = path.name if path.name not in found else str(path)
        found[name] = _rows(path, column, tokenizer, length, vocab_size, pad_id=pad_id)
        if len(found[name]) < 2:
            raise AttractorError(
                f"'{path}' gives {counted(len(found[name]), 'row')} of {length} tokens: at least 2 "
                "are needed"
            )
    return found


def texts_of_run(run: Path, rows: int) -> Texts:
    """The rows a run was trained on, and unseen ones.

    Raises:
        AttractorError: if its data are not beside it.
    """
    data = data_of(run)
    config = run_config_from_dict(read_json(run / CONFIG), run / CONFIG)
    text = config.data
    rows_in_order = ordered(data, text.order).train
    known = np.asarray(training_set(rows_in_order, config.n_train, text.repeat, text.repeat_rows))
    return _texts(known, np.asarray(data.test), data.tokenizer, rows)


def _texts(known: np.ndarray, unseen: np.ndarray, tokenizer: Tokenizer | None, rows: int) -> Texts:
    """The first rows of each kind are probed; a bag of words learns from the others."""
    decode = tokenizer.decode if tokenizer else lambda ids: " ".join(map(str, ids))
    return Texts(known[:rows], unseen[:rows], known, known[rows:], unseen[rows:], decode)


def _require_tokenizer_of(tokenizer: Tokenizer | None, vocab_size: int) -> None:
    size = vocab_size if tokenizer is None else tokenizer.vocab_size
    if not LEAST_TOKENS * vocab_size <= size <= vocab_size:
        raise AttractorError(
            f"the tokenizer has {size:,} tokens, and the model knows {vocab_size:,}: it is not the "
            "model's"
        )


def _rows(
    path: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    apart_from: Path | None = None,
    pad_id: int | None = None,
) -> np.ndarray:
    rows = read_rows(path, column, tokenizer, length, apart_from, pad_id)
    least, most = rows.min(), rows.max()
    if least < 0 or most >= vocab_size:
        raise AttractorError(
            f"'{path}' has token {least if least < 0 else most}, but the model knows "
            f"{vocab_size:,}: the tokenizer is not the model's"
        )
    return rows

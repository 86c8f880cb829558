"""The tokenizer of a model: the one that is named, or that lies beside it."""

from __future__ import annotations

from pathlib import Path

from attractor.data.tokenizer import FILE_NAMES, Tokenizer
from attractor.machine.paths import expanded
from attractor.types import AttractorError


def tokenizer_of(model: Path, vocab_size: int, named: str | Path | None = None) -> Tokenizer | None:
    """The tokenizer of a model, None where none is known.

    One that lies beside the model and cannot be its own, or has no markers that are known, counts
    as none: whoever needs it names it.

    Args:
        model: a file or folder; a run, or one of its `checkpoint/step-*`.
        vocab_size: of the model.
        named: by the caller.

    Raises:
        AttractorError: for one that was named and cannot be read, or has tokens that the model does
            not know.
    """
    if named is not None:
        found = Tokenizer.load(expanded(named))
        if found.vocab_size > vocab_size:
            raise AttractorError(
                f"the tokenizer '{named}' has {found.vocab_size:,} tokens, and the model knows "
                f"{vocab_size:,}: it is not the model's"
            )
        return found
    # A step of a run lies two folders below the tokenizer.
    for folder in (model, model.parent.parent) if model.is_dir() else (model.parent,):
        if any((folder / name).is_file() for name in FILE_NAMES):
            try:
                found = Tokenizer.load(folder)
            except AttractorError:
                return None
            return found if found.vocab_size <= vocab_size else None
    return None

"""Text that is given to a call: a file or folder, a list of texts, or rows of token ids."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from attractor.api.documents import write_documents
from attractor.machine.paths import expanded
from attractor.types import AttractorError

Given = str | Path | Sequence[str] | np.ndarray
"""A file or folder, texts, or rows of token ids, (N, L)."""


@contextlib.contextmanager
def as_files(given: Mapping[str, Given]) -> Iterator[dict[str, Path]]:
    """A file of each text by its name, for as long as this lasts: what is given in memory becomes
    one, so that all are read by one code. Errors speak of it by the name."""
    with tempfile.TemporaryDirectory() as place:
        files = {name: _as_file(text, Path(place) / name) for name, text in given.items()}
        try:
            yield files
        except AttractorError as error:
            message = str(error)
            for name, file in files.items():
                if file.parent == Path(place):
                    message = message.replace(f"'{file}'", name)
            raise AttractorError(message) from None


def _as_file(given: Given, target: Path) -> Path:
    """A file of text that is given in memory, or the file itself."""
    if isinstance(given, str | Path):
        return expanded(given)
    if isinstance(given, Tensor | np.ndarray):
        file = target.with_suffix(".npy")
        np.save(file, np.asarray(given))
        return file
    return write_documents(given, target.with_suffix(".jsonl"))

"""Models that ship with the package: those of the reference sweep, in half precision, by the number
of rows each was trained on.

`attractor.load("reference:n=2048")` loads one. index.json beside this file tells how they were made
and the SHA-256 of each of their files.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from attractor.machine.files import read_json, sha256
from attractor.types import AttractorError

PREFIX = "reference:"
HERE = Path(__file__).parent
INDEX, WEIGHTS = "index.json", "model.safetensors"
NAME = re.compile(r"reference:n=([1-9][0-9]{0,11})")


def sizes() -> list[int]:
    """Training rows of each model there is, rising."""
    return sorted(map(int, _models()))


def folder(name: str) -> Path:
    """The folder of a model, in the layout of a published one.

    Args:
        name: such as "reference:n=2048".

    Raises:
        AttractorError: if there is no such model, which names the nearest, or its files are not
            those that were shipped.
    """
    there = sizes()
    found = NAME.fullmatch(name)
    if found is None:
        raise AttractorError(f"'{name}' names no reference model: one is {PREFIX}n={there[0]}")
    n = int(found[1])
    if n not in there:
        nearest = min(there, key=lambda size: abs(math.log(size / n)))
        raise AttractorError(
            f"there is no reference model of n = {n:,}; the nearest is {PREFIX}n={nearest}, and "
            f"there are n = {', '.join(f'{size:,}' for size in there)}"
        )
    place = HERE / f"n{n}"
    for file, digest in _models()[str(n)].items():
        try:
            same = sha256(place / file) == digest
        except OSError as error:
            raise AttractorError(f"'{place / file}' cannot be read: {error}") from None
        if not same:
            raise AttractorError(
                f"'{place / file}' was altered: its SHA-256 is not that in {INDEX}; install "
                "attractor again"
            )
    return place


def _models() -> dict[str, dict[str, str]]:
    """SHA-256 of each file of each model."""
    index = HERE / INDEX
    found = read_json(index).get("models") if index.is_file() else None
    if not found:
        raise AttractorError(f"'{index}' names no models: install attractor again")
    return dict(found)

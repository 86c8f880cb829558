"""Models that ship with the package: those of the reference sweep, in half precision, by the number
of rows each was trained on.

`attractor.load("reference:n=2048")` loads one. index.json beside this file tells how they were made
and the SHA-256 of each weight file.
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
NAME = re.compile(r"reference:n=(\d{1,12})")


def sizes() -> list[int]:
    """Training rows of each model there is, rising."""
    return sorted(map(int, _digests()))


def folder(name: str) -> Path:
    """The folder of a model, in the layout of a published one.

    Args:
        name: such as "reference:n=2048".

    Raises:
        AttractorError: if there is no such model, which names the nearest, or its weights are not
            those that were shipped.
    """
    there = sizes()
    found = NAME.fullmatch(name)
    if found is None or int(found[1]) < 1:
        raise AttractorError(f"'{name}' names no reference model: one is {PREFIX}n={there[0]}")
    n = int(found[1])
    if n not in there:
        nearest = min(there, key=lambda size: abs(math.log(size / n)))
        raise AttractorError(
            f"there is no reference model of n = {n:,}; the nearest is {PREFIX}n={nearest}, and "
            f"there are n = {', '.join(f'{size:,}' for size in there)}"
        )
    place = HERE / f"n{n}"
    try:
        found_digest = sha256(place / WEIGHTS)
    except OSError as error:
        raise AttractorError(f"'{place / WEIGHTS}' cannot be read: {error}") from None
    if found_digest != _digests()[str(n)]:
        raise AttractorError(
            f"'{place / WEIGHTS}' was altered: its SHA-256 is not that in {INDEX}; install "
            "attractor again"
        )
    return place


def _digests() -> dict[str, str]:
    models = read_json(HERE / INDEX)["models"]
    return {n: model["sha256"] for n, model in models.items()}

"""Where the audit of a model goes, and the names of its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from attractor.runs.folder import read_json
from attractor.types import AttractorError

PAGE, NUMBERS, CARD = "audit.html", "audit.json", "card.md"
HOME = Path("audits")
"""Folder of audits that were not told where to go."""


def place_of(model: str, weights: str, revision: str | None) -> str:
    """Twelve hexadecimal digits that tell models of the same name apart: of where a model lies, and
    which of its weights are meant."""
    here = Path(model).expanduser()
    told = [str(here.resolve()) if here.exists() else model, weights, revision]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def default_folder(name: str, place: str, home: Path = HOME, numbers: str = NUMBERS) -> Path:
    """Where the audit of a model goes: a folder of its name, or, where that holds the audit of
    another model of this name, one that its place is added to."""
    folder = home / name.replace("/", "--")
    if not (folder / numbers).is_file():
        return folder
    try:
        whose = read_json(folder / numbers).get("place")
    except AttractorError:
        whose = None
    return folder if whose == place else folder.with_name(f"{folder.name}-{place[:6]}")

"""The runs of a sweep by what they are: `runs/demo:n=32,seed=1` is a folder inside `runs/demo`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from attractor import reference
from attractor.config.settings import MODELS
from attractor.machine.paths import expanded, nearest_name
from attractor.types import AttractorError

SWEEP, CONFIG, DATA = "sweep.json", "config.json", "data"
NAMED = re.compile(r"(?P<sweep>.+):(?P<wish>[a-z_]+=.*)")
KEYS = ("model", "n", "seed", "data_seed")
"""What tells the runs of a sweep apart: the name of a shape, training rows, the seed, and the order
of the training rows."""
SHOWN = 24
"""Runs that a message lists at most."""


class Member(NamedTuple):
    """A run of a sweep."""

    folder: Path
    values: dict[str, str]
    """of `KEYS`"""


def resolved(where: str | Path) -> Path:
    """The path of a run, which may be named as one of a sweep, or of a model that ships with the
    package; another path as it is, whether it exists or not.

    Raises:
        AttractorError: if a sweep is meant that has no such run, or several; as
            `reference.folder`.
    """
    if str(where).startswith(reference.PREFIX):
        return reference.folder(str(where))
    path = expanded(where)
    named = NAMED.fullmatch(str(where).rstrip("/"))
    if _exists(path) or named is None:
        return path
    sweep = expanded(named["sweep"])
    if not (sweep / SWEEP).is_file():
        return path
    wish = _wish(named["wish"], str(where))
    members = members_of(sweep)
    found = [run for run in members if all(run.values[key] == wish[key] for key in wish)]
    if len(found) == 1:
        return found[0].folder
    if found:
        raise AttractorError(f"'{where}' are {len(found)} runs: {_listed(sweep, found)}")
    raise AttractorError(
        f"'{where}' is no run of that sweep; there is {_listed(sweep, members)}{_unread(sweep)}"
    )


def require_no_run_named(path: Path) -> None:
    """Raise AttractorError if a path, at which something new is to be written, is how a run of a
    sweep is named: it would hide that run."""
    named = NAMED.fullmatch(str(path))
    if named and not _exists(path) and (Path(named["sweep"]) / SWEEP).is_file():
        raise AttractorError(
            f"'{path}' is how a run of the sweep '{named['sweep']}' is named; choose another name "
            "for what is to be written"
        )


def find_run(where: str | Path) -> Path:
    """The folder of one model, which is here.

    Raises:
        AttractorError: if there is none, or it is that of a sweep, whose runs are then listed.
    """
    path = resolved(where)
    if not _exists(path):
        raise AttractorError(f"'{where}' does not exist{nearest_name(path)}")
    require_no_sweep(path)
    return path


def require_no_sweep(path: Path) -> None:
    """Raise AttractorError, which lists the runs, if a folder is that of a sweep."""
    if (path / SWEEP).is_file():
        raise AttractorError(
            f"'{path}' is a sweep, and one of its runs is wanted: {_listed(path, members_of(path))}"
        )


def no_sweep(path: Path) -> AttractorError:
    """The error for a folder that is not that of a sweep, where one is wanted."""
    what = "is a run, and a whole sweep is wanted" if is_run(path) else "holds no sweep"
    meant = "" if path.exists() else nearest_name(path)
    return AttractorError(f"'{path}' {what}: there is no {SWEEP}{meant}")


def is_run(path: Path) -> bool:
    """Whether a folder holds the config of a run, trained or not."""
    return _config_of(path) is not None


def members_of(sweep: Path) -> list[Member]:
    """The runs of a sweep that have begun, by model, size and seed."""
    found = []
    for file in sweep.glob(f"*/{CONFIG}"):
        config = _config_of(file.parent)
        if config is not None:
            shapes = [name for name, shape in MODELS.items() if vars(shape) == config.get("model")]
            values = {
                "model": shapes[0] if shapes else "",
                "n": str(config["n_train"]),
                "seed": str(config.get("seed", 0)),
                "data_seed": str(_order_of(config)),
            }
            found.append(Member(file.parent, values))
    return sorted(found, key=_order)


def _order(run: Member) -> tuple[str, int, int, int]:
    model, n, seed, data_seed = (run.values[key] for key in KEYS)
    return model, int(n), int(seed), int(data_seed)


def _order_of(config: dict[str, Any]) -> int:
    """The order of the training rows; runs of earlier versions had one only."""
    data = config.get("data")
    order = data.get("order", 0) if isinstance(data, dict) else 0
    return order if type(order) is int else 0


def _config_of(folder: Path) -> dict[str, Any] | None:
    """The config of a run; None where there is none that can be read, which whoever opens the run
    will say."""
    if not (folder / CONFIG).is_file():  # a pipe would be waited for
        return None
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_config = isinstance(content, dict) and all(
        type(content.get(key, 0)) is int for key in ("n_train", "seed")
    )
    return content if is_config and {"n_train", "train"} <= content.keys() else None


def _wish(text: str, where: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    keys = [key for key, _, _ in pairs]
    if not all(key in KEYS and value for key, _, value in pairs) or len(set(keys)) < len(keys):
        raise AttractorError(
            f"'{where}' is no run of a sweep: one is named as SWEEP:n=32 or SWEEP:n=32,seed=1, and "
            "where there are several models as SWEEP:model=tiny,n=32"
        )
    # As `members_of` writes them: 032 is 32.
    return {key: str(int(value)) if value.isdecimal() else value for key, _, value in pairs}


def _listed(sweep: Path, runs: list[Member]) -> str:
    """The names of runs, each as short as it can be among them."""
    if not runs:
        return "none, since no run has begun"
    telling = [key for key in KEYS if key == "n" or len({run.values[key] for run in runs}) > 1]
    names = [",".join(f"{key}={run.values[key]}" for key in telling) for run in runs]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"'{sweep}:{names[0]}'" + "".join(f", :{name}" for name in names[1:SHOWN]) + more


def _unread(sweep: Path) -> str:
    """What cannot be listed, since its config tells nothing, as the end of a sentence."""
    damaged = [
        file
        for file in sorted(sweep.glob(f"*/{CONFIG}"))
        if file.parent.name != DATA and _config_of(file.parent) is None
    ]
    return f"; what '{damaged[0]}' is of cannot be told, since it is damaged" if damaged else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AttractorError(f"'{path!s:.100}' is no path: {reason}") from None

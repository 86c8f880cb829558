"""Metrics streamed to a tracker: trackio, which keeps them on this machine, or wandb."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from attractor.config.identity import run_id, to_dict
from attractor.config.settings import RunConfig
from attractor.train.state import Progress
from attractor.types import AttractorError

Tracker = Literal["none", "trackio", "wandb"]
PROJECT = "attractor"


def require_tracker(name: Tracker) -> Any:
    """The tracker's module, or None if there is to be none.

    Raises:
        AttractorError: if it is not installed.
    """
    if name == "none":
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        raise AttractorError(
            f"track = {name!r} needs the extra `track`: pip install 'attractor[track]'"
        ) from None


@contextmanager
def tracked(name: Tracker, config: RunConfig) -> Iterator[Callable[[Progress], None]]:
    """What hands lines of metrics to a tracker, as the run of that config; a resumed run goes on in
    the same one."""
    tracker = require_tracker(name)
    if tracker is None:
        yield lambda line: None
        return
    run = run_id(config)
    # What takes a run up again: wandb finds it by its id, trackio by its name.
    identity = {"id": run} if name == "wandb" else {}
    tracker.init(project=PROJECT, name=run, config=to_dict(config), resume="allow", **identity)
    try:
        yield lambda line: tracker.log(flat(line), step=line.step)
    finally:
        tracker.finish()


def flat(line: Progress) -> dict[str, float]:
    """Every number of a line by its name; of an interval its value, low and high."""
    values = line._asdict()
    check = values.pop("check")
    numbers = {key: value for key, value in values.items() if value is not None}
    for key, value in (check._asdict() if check else {}).items():
        if isinstance(value, tuple):
            numbers |= {
                f"{key}{end}": x for end, x in zip(("", "_low", "_high"), value, strict=True)
            }
        elif isinstance(value, float):  # what stands for each row is for the file alone
            numbers[key] = value
    return numbers

"""The folder of a run: whose it is, who works in it, and whether it is finished."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attractor.config.identity import config_hash, require_known_schema, to_json, training_identity
from attractor.config.settings import DataConfig, RunConfig
from attractor.data.dataset import Dataset, open_dataset, prepare_dataset, require_same_text
from attractor.data.replicas import list_planted, write_order
from attractor.data.stream import Packed
from attractor.data.subsets import COUNTS
from attractor.machine.files import (
    InUseError,
    atomic_directory,
    clear_up,
    is_locked,
    is_unused,
    locked,
    make_directory,
    naming_full_disk,
    write_atomically,
)
from attractor.machine.files import (
    read_json as read_json,
)
from attractor.results.tables import RESULTS, torn_results
from attractor.types import AttractorError

CONFIG, DATA = "config.json", "data"
KILLED = ".set-aside.partial"
"""Of a folder that is being thrown away, inside the one that stays, which `clear_up` frees of
it."""


def prepare(
    config: DataConfig,
    folder: Path,
    on_packing: Callable[[Packed], None] = lambda packed: None,
    anew: bool = False,
    orders: Sequence[int] = (),
) -> Dataset:
    """The dataset of a config: prepared once in `folder`, then opened.

    Other orders of its rows, that of the config and those of `orders`, are written beside them; so
    is the list of the rows that are repeated.

    What a stream has packed is kept beside the parent of `folder` until it is done, so that it goes
    on from there, unless the text is another one then, or all is to be done `anew`.

    Raises:
        AttractorError: if `folder` holds data of another config, or of text that has changed since,
            or for bad input.
    """
    data = _packed(_packing(config), folder, on_packing, anew)
    every = sorted({config.order, *orders})
    for order in every:
        write_order(data, order)
    if config.repeat:
        list_planted(data, every, config.repeat, config.repeat_rows)
    return data


def _packing(config: DataConfig) -> DataConfig:
    """What the packed rows depend on: they are the same in whatever order, and whichever of them
    are repeated."""
    plain = DataConfig()
    return dataclasses.replace(
        config, order=plain.order, repeat=plain.repeat, repeat_rows=plain.repeat_rows
    )


def _packed(
    config: DataConfig, folder: Path, on_packing: Callable[[Packed], None], anew: bool
) -> Dataset:
    marker = folder / CONFIG
    if (folder / COUNTS).is_file() and marker.is_file():
        require_same_config(marker, config)
        require_same_text(folder, config.source, config.tokenizer)
        return open_dataset(folder)
    home = folder.resolve().parent
    building = home.with_name(f".{home.name}.packing-{config_hash(config)}")
    with atomic_directory(folder) as partial:
        prepare_dataset(partial, config, building=building, anew=anew, on_progress=on_packing)
        (partial / CONFIG).write_text(to_json(config))
    if anew:  # whatever else was begun for this place will not be gone on with
        for left in home.parent.glob(f".{glob.escape(home.name)}.packing-*"):
            if not is_locked(left):
                shutil.rmtree(left)
    return open_dataset(folder)


def require_same_config(path: Path, config: object) -> None:
    """Raise AttractorError, naming the differing keys, unless what the JSON at `path` trains is
    what `config` trains; measurements may differ, and go beside each other."""
    written = read_json(path)
    require_known_schema(written, path)
    found, wanted = _flat(training_identity(written)), _flat(training_identity(config))
    differing = sorted(
        key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)
    )
    if differing:
        shown = ", ".join(
            f"{key} ({found.get(key)} there, {wanted.get(key)} asked for)" for key in differing[:4]
        )
        raise AttractorError(
            f"'{path.parent}' was made with another config: {shown}; choose another folder, or "
            "--force to replace it"
        )


@contextlib.contextmanager
def claimed(
    folder: Path, marker: str, config: object, force: bool
) -> Iterator[contextlib.ExitStack]:
    """Make `folder` that of `config`, new or taken up again, while a block checks the rest of the
    input.

    The file `marker` says whose it is. If the block fails, a new folder vanishes, and what `force`
    was to replace comes back; if it was killed, and is again made with `force`, likewise. Nobody
    else is let in during the block, nor after it if the lock, which it is given, is kept with
    `pop_all`.

    Raises:
        AttractorError: if `folder` holds something else, is of another config or of a newer schema,
            or is in use.
    """
    folder = folder.resolve()  # a link stays one, and leads to what comes and goes
    held = folder / marker
    # What `force` replaces lies here until the block has found the rest of the input good: bad
    # input must not cost what has been computed. A claim that was killed before that left
    #   no marker in `folder`: nothing new has begun, so what was set aside is brought back now;
    #   the marker of its own config: a claim of that config goes on in `folder` and then throws
    #   away what was set aside; one with `force` replaces `folder` too, and see below.
    aside = folder.with_name(f".{folder.name}.set-aside")
    if aside.exists() and not held.is_file() and not is_locked(folder):
        if is_unused(folder):
            shutil.rmtree(folder)
        if not folder.exists():
            aside.rename(folder)
    was_there = held.is_file()
    is_new = force or not was_there
    if not was_there and folder.exists() and not is_unused(folder):
        raise AttractorError(
            f"'{folder}' is not empty and holds no {held.name}; choose another folder"
        )
    if is_new and Path.cwd().is_relative_to(folder):
        raise AttractorError(
            f"'{folder}' is where this was started: it cannot be made anew from inside"
        )
    with contextlib.ExitStack() as lock:
        if was_there:
            lock.enter_context(locked(folder))
        if was_there and force:
            # The lock is on a file inside, and goes with it: nobody can begin to work there.
            if aside.exists():
                # `folder` is of a claim that was killed in its block. What is to come back is what
                # that one had set aside, so the half-made folder goes into it, to be cleared away.
                clear_up(aside)
                folder.rename(aside / KILLED)
            else:
                folder.rename(aside)
        if is_new:
            make_directory(folder)
            lock.enter_context(locked(folder))
            if held.is_file():  # made after we looked: what is in it is not ours to replace
                raise InUseError(f"'{folder}' has just been made by another process; start again")
        else:
            require_same_config(held, config)
        try:
            if is_new:
                write_atomically(held, to_json(config))
            yield lock
        except BaseException:
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
                if aside.exists():
                    aside.rename(folder)
                    clear_up(folder)
            raise
        if aside.exists():
            aside.rename(folder / KILLED)  # in one step, so that no half of it ever comes back
        clear_up(folder)


@contextlib.contextmanager
def held(folder: Path, config: RunConfig) -> Iterator[None]:
    """The folder of a run with its config, cleared of what a killed process left, and nobody else
    writing to it.

    Results that cannot be read count as none, with a warning that names the file.
    """
    make_directory(folder)
    with locked(folder), naming_full_disk(folder):
        if (folder / CONFIG).is_file():
            require_same_config(folder / CONFIG, config)
        # Of a finished run the file tells what has been measured, and not what is asked for now:
        # measuring itself writes it, when that is done.
        if not is_finished(folder):
            write_atomically(folder / CONFIG, to_json(config))
        clear_up(folder)
        if torn := torn_results(folder):
            warnings.warn(f"'{torn}' is damaged; the run is measured again", stacklevel=4)
        yield


def data_of(folder: Path) -> Dataset:
    """The dataset of a finished run: beside it in a sweep, or inside it.

    Raises:
        AttractorError: if neither is there, or it holds other rows than the run was trained on.
    """
    for candidate in (folder / DATA, folder.parent / DATA):
        if (candidate / COUNTS).is_file():
            data = open_dataset(candidate)
            require_same_rows(folder, data)
            return data
    raise AttractorError(
        f"the data of '{folder}' are neither in '{folder / DATA}' nor in '{folder.parent / DATA}'"
    )


def require_same_rows(folder: Path, data: Dataset) -> None:
    """Refuse to train, or to measure, a run with other data than it was trained on so far; runs and
    data of earlier versions do not tell.

    Raises:
        AttractorError: naming the run.
    """
    from attractor.machine.checkpoint import DamagedCheckpoint, read_state
    from attractor.train.checkpoints import checkpoint_paths

    for path in checkpoint_paths(folder):
        try:
            rows = read_state(path).get("rows")
        except DamagedCheckpoint:  # told by whoever needs it
            continue
        if rows and data.digest and rows != data.digest:
            raise AttractorError(
                f"'{folder}' was trained on other rows than its data folder holds now: put those "
                "back, or --force trains it again"
            )


def is_finished(folder: Path) -> bool:
    """Whether a run has been trained and measured, and its results can be read."""
    return (folder / RESULTS).is_file() and torn_results(folder) is None


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
    return flat

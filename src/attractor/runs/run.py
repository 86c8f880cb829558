"""One run: data -> train -> probe -> rows on disk."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attractor import adapters
from attractor.config.identity import config_hash, identity, require_known_schema, to_json
from attractor.config.settings import DataConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.data.dataset import COUNTS, Dataset, open_dataset, prepare_dataset
from attractor.data.packing import prefix
from attractor.data.stream import Packed
from attractor.data.tokenizer import Tokenizer
from attractor.machine.files import (
    atomic_directory,
    clear_up,
    is_locked,
    is_unused,
    locked,
    make_directory,
    naming_full_disk,
    write_atomically,
)
from attractor.machine.processes import processes
from attractor.measurements.measuring import Texts, measure, require_measurable
from attractor.measurements.rows import rows_of
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.process.registry import make_process
from attractor.results.tables import (
    RESULTS,
    Provenance,
    read_arrays,
    torn_results,
    write_rows,
    write_tokens,
)
from attractor.runs.tracking import require_tracker
from attractor.runs.train import train_run
from attractor.train.state import Progress
from attractor.types import AttractorError

CONFIG, DATA = "config.json", "data"
KILLED = ".set-aside.partial"
"""Of a folder that is being thrown away, inside the one that stays, which `clear_up` frees of
it."""


def prepare(
    config: DataConfig, folder: Path, on_packing: Callable[[Packed], None] = lambda packed: None
) -> Dataset:
    """The dataset of a config: prepared once in `folder`, then opened.

    What a stream has packed is kept beside the parent of `folder` until it is done, so that it goes
    on from there.

    Raises:
        AttractorError: if `folder` holds data of another config, or for bad input.
    """
    marker = folder / CONFIG
    if (folder / COUNTS).is_file() and marker.is_file():
        require_same_config(marker, config)
        return open_dataset(folder)
    home = folder.resolve().parent
    building = home.with_name(f".{home.name}.packing-{config_hash(config)}")
    with atomic_directory(folder) as partial:
        prepare_dataset(
            partial, building=building, on_progress=on_packing, **dataclasses.asdict(config)
        )
        (partial / CONFIG).write_text(to_json(config))
    return open_dataset(folder)


def require_same_config(path: Path, config: object) -> None:
    """Raise AttractorError, naming the differing keys, unless the JSON at `path` is that of
    `config`."""
    written = read_json(path)
    require_known_schema(written, path)
    found, wanted = _flat(identity(written)), _flat(identity(config))
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
    aside, held = folder.with_name(f".{folder.name}.set-aside"), folder / marker
    # stopped half-way last time
    if aside.exists() and not held.is_file() and not is_locked(folder):
        if is_unused(folder):
            shutil.rmtree(folder)
        if not folder.exists():
            aside.rename(folder)
    was_there, is_new = held.is_file(), force or not held.is_file()
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
            # `folder` is of a claim that was killed in its block: what that set aside stays there
            if aside.exists():
                clear_up(aside)
                folder.rename(aside / KILLED)
            else:
                folder.rename(aside)
        if is_new:
            make_directory(folder)
            lock.enter_context(locked(folder))
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


def run(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train one model on the first `n_train` rows and measure it, or go on where that was
    interrupted.

    The results are written last: a run that has them is finished, and is left alone.

    Raises:
        AttractorError: if the training set has fewer rows, `folder` is of another config or in use,
            training diverges or the disk is full; what has been saved stays.
    """
    require_tracker(config.monitor.track)
    rows = prefix(data.train, config.n_train)
    texts = texts_of(data, config.n_train, config.probe)  # fails before training
    is_main = processes().is_main
    with held(folder, config) if is_main else contextlib.nullcontext():
        processes().wait()
        if is_finished(folder):
            return
        if is_main:
            data.tokenizer.save(folder)
        train_run(config, rows, data, folder, on_progress)
        stamp = provenance(config, data.tokenizer)
        write_measurements(folder, adapters.load(folder), texts, config.probe, stamp)


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
        else:
            write_atomically(folder / CONFIG, to_json(config))
        clear_up(folder)
        if torn := torn_results(folder):
            warnings.warn(f"'{torn}' is damaged; the run is measured again", stacklevel=4)
        yield


def run_alone(
    config: RunConfig, folder: Path, on_progress: Callable[[Progress], None], force: bool = False,
    on_packing: Callable[[Packed], None] = lambda packed: None,
) -> None:  # fmt: skip
    """A run that brings its own data, in `folder/data`; otherwise as `run`. With `force` an earlier
    run is replaced."""
    require_tracker(config.monitor.track)
    if processes().is_main:
        with claimed(folder, CONFIG, config, force):
            if is_finished(folder):
                raise AttractorError(
                    f"'{folder}' holds this run already, finished; --force trains it again"
                )
            data = prepare(config.data, folder / DATA, on_packing)
            texts_of(data, config.n_train, config.probe)
    processes().wait()
    run(config, open_dataset(folder / DATA), folder, on_progress)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that this package wrote.

    Raises:
        AttractorError: if the file is damaged.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise AttractorError(f"'{path}' is damaged: {error}") from None
    if not isinstance(content, dict):
        raise AttractorError(f"'{path}' is damaged: it holds no JSON object")
    return content


def texts_of(
    data: Dataset, n_train: int, config: ProbeConfig, unseen: np.ndarray | None = None
) -> Texts:
    """What a model trained on the first `n_train` rows is measured on; `unseen` takes the place of
    the test rows.

    Raises:
        AttractorError: if there are too few; see also `measuring.require_measurable`.
    """
    corpus, others = prefix(data.train, n_train), data.test if unseen is None else unseen
    train, test = prefix(corpus, config.rows, "rows"), prefix(others, config.test_rows, "test_rows")
    texts = Texts(
        train, test, corpus, data.train[len(train) :], others[len(test) :], data.tokenizer.decode
    )
    require_measurable(texts, config)
    return texts


def write_measurements(
    folder: Path, denoiser: Denoiser, texts: Texts, config: ProbeConfig, stamp: Provenance
) -> None:
    """Measure into an existing folder: arrays as they come, then the numbers; of several processes
    the first writes."""
    blocks = measure(denoiser, texts, config)
    if processes().is_main:
        write_tokens(folder, blocks)
        write_rows(folder, rows_of(read_arrays(folder), config.seed), stamp)
    else:
        collections.deque(blocks, maxlen=0)


def provenance(config: RunConfig, tokenizer: Tokenizer) -> Provenance:
    """The stamp on every row of a run."""
    return Provenance(
        config_hash=config_hash(config), n_train=config.n_train, seed=config.seed,
        tokenizer=tokenizer.fingerprint,
        noise_seed=config.probe.seed,
    )  # fmt: skip


def parameter_count(config: RunConfig | SweepConfig, text_size: int) -> int:
    """Weights of each network of a config, for `text_size` tokens of text."""
    vocab_size = make_process(config.process, text_size, config.uniform_share).vocab_size
    with torch.device("meta"):
        return sum(
            p.numel() for p in DDiT(vocab_size, **dataclasses.asdict(config.model)).parameters()
        )


def data_of(folder: Path) -> Dataset:
    """The dataset of a finished run: beside it in a sweep, or inside it.

    Raises:
        AttractorError: if neither is there.
    """
    for candidate in (folder / DATA, folder.parent / DATA):
        if (candidate / COUNTS).is_file():
            return open_dataset(candidate)
    raise AttractorError(
        f"the data of '{folder}' are neither in '{folder / DATA}' nor in '{folder.parent / DATA}'"
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

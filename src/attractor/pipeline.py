"""One run: data -> train -> probe -> rows on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from attractor import adapters
from attractor.analysis.statistics import Estimate, difference_interval, mean_interval, ratio_interval
from attractor.config import (
    DataConfig,
    ProbeConfig,
    RunConfig,
    SweepConfig,
    config_hash,
    identity,
    require_known_schema,
    to_json,
)
from attractor.data.dataset import COUNTS, Dataset, open_dataset, prepare_dataset
from attractor.data.packing import prefix
from attractor.files import atomic_directory, clear_up, locked, make_directory, naming_full_disk, write_atomically
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.probes import conditional_entropy, fixed_points, likelihood, random_tokens, recovery, sample
from attractor.process.named import make_process
from attractor.results import RESULTS, Provenance, Row, TokenRow, write_results
from attractor.runtime import processes
from attractor.tracking import require_tracker
from attractor.train.state import Progress
from attractor.training import train_run
from attractor.types import AttractorError, Tensor

CONFIG, DATA = "config.json", "data"


class Measured(NamedTuple):
    """Numbers with intervals, and the per-token arrays behind them."""

    rows: list[Row]
    tokens: list[TokenRow]


def prepare(config: DataConfig, folder: Path) -> Dataset:
    """The dataset of a config: prepared once in `folder`, then opened.

    Raises:
        AttractorError: if `folder` holds data of another config, or for bad input.
    """
    marker = folder / CONFIG
    if (folder / COUNTS).is_file() and marker.is_file():
        require_same_config(marker, config)
        return open_dataset(folder)
    with atomic_directory(folder) as partial:
        fields = dataclasses.asdict(config)
        prepare_dataset(partial, **fields)
        (partial / CONFIG).write_text(to_json(config))
    return open_dataset(folder)


def require_same_config(path: Path, config: object) -> None:
    """Raise AttractorError, naming the differing keys, unless the JSON at `path` is that of `config`."""
    written = read_json(path)
    require_known_schema(written, path)
    found, wanted = _flat(identity(written)), _flat(identity(config))
    differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    if differing:
        shown = ", ".join(f"{key} ({found.get(key)} there, {wanted.get(key)} asked for)" for key in differing[:4])
        raise AttractorError(
            f"'{path.parent}' was made with another config: {shown}; choose another folder, or --force to replace it"
        )


@contextlib.contextmanager
def claimed(folder: Path, marker: str, config: object, force: bool) -> Iterator[None]:
    """Make `folder` that of `config`, new or taken up again, while a block checks the rest of the input.

    The file `marker` says whose it is. If the block fails, a new folder vanishes, and what `force` was to replace
    comes back.

    Raises:
        AttractorError: if `folder` holds something else, is of another config or of a newer schema, or is in use.
    """
    aside = folder.with_name(f".{folder.name}.set-aside")
    if aside.exists() and not folder.exists():  # stopped half-way last time
        aside.rename(folder)
    held = folder / marker
    if not held.is_file() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AttractorError(f"'{folder}' is not empty and holds no {held.name}; choose another folder")
    if held.is_file() and not force:
        require_same_config(held, config)
    elif held.is_file():
        with locked(folder):
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
    is_new = not held.is_file()
    try:
        make_directory(folder)
        if is_new:
            write_atomically(held, to_json(config))
        yield
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
            if aside.exists():
                aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def run(
    config: RunConfig, data: Dataset, folder: Path, on_progress: Callable[[Progress], None] = lambda progress: None
) -> None:
    """Train one model on the first `n_train` rows and measure it, or go on where that was interrupted.

    The results are written last: a run that has them is finished, and is left alone.

    Raises:
        AttractorError: if the training set has fewer rows, `folder` is of another config or in use, training diverges
            or the disk is full; what has been saved stays.
    """
    require_tracker(config.monitor.track)
    rows = prefix(data.train, config.n_train)
    probed = probed_rows(rows, data.test, config.probe)  # fails before training
    is_main = processes().is_main
    with _held(folder, config) if is_main else contextlib.nullcontext():
        processes().wait()
        if is_finished(folder):
            return
        if is_main:
            data.tokenizer.save(folder)
        train_run(config, rows, data, folder, on_progress)
        measured = measure(adapters.load(folder), *probed, config.probe)
        if is_main:
            write_results(folder, measured.rows, measured.tokens, provenance(config))


@contextlib.contextmanager
def _held(folder: Path, config: RunConfig) -> Iterator[None]:
    """The folder of a run with its config, cleared of what a killed process left, and nobody else writing to it."""
    make_directory(folder)
    with locked(folder), naming_full_disk(folder):
        if (folder / CONFIG).is_file():
            require_same_config(folder / CONFIG, config)
        else:
            write_atomically(folder / CONFIG, to_json(config))
        clear_up(folder)
        yield


def run_alone(config: RunConfig, folder: Path, on_progress: Callable[[Progress], None], force: bool = False) -> None:
    """A run that brings its own data, in `folder/data`; otherwise as `run`. With `force` an earlier run is replaced."""
    require_tracker(config.monitor.track)
    if processes().is_main:
        with claimed(folder, CONFIG, config, force):
            if is_finished(folder):
                raise AttractorError(f"'{folder}' holds this run already, finished; --force trains it again")
            data = prepare(config.data, folder / DATA)
            probed_rows(prefix(data.train, config.n_train), data.test, config.probe)
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


def probed_rows(train: np.ndarray, test: np.ndarray, config: ProbeConfig) -> tuple[np.ndarray, np.ndarray]:
    """Training and unseen rows to measure on.

    Raises:
        AttractorError: if there are too few, or a corruption time is so small that there would be nothing to recover.
    """
    rows = prefix(train, config.rows, "rows"), prefix(test, config.test_rows, "test_rows")
    for t in config.t:
        expected = t * train.shape[1] * min(config.rows, config.test_rows)
        if expected < 10:
            raise AttractorError(
                f"t = {t} corrupts about {expected:.1g} tokens of all rows together: use a larger t or more rows"
            )
    return rows


def provenance(config: RunConfig) -> Provenance:
    """The stamp on every row of a run."""
    return Provenance(config_hash=config_hash(config), n_train=config.n_train, seed=config.seed)


def parameter_count(config: RunConfig | SweepConfig, text_size: int) -> int:
    """Weights of each network of a config, for `text_size` tokens of text."""
    vocab_size = make_process(config.process, text_size, config.uniform_share).vocab_size
    with torch.device("meta"):
        return sum(p.numel() for p in DDiT(vocab_size, **dataclasses.asdict(config.model)).parameters())


def data_of(folder: Path) -> Dataset:
    """The dataset of a finished run: beside it in a sweep, or inside it.

    Raises:
        AttractorError: if neither is there.
    """
    for candidate in (folder / DATA, folder.parent / DATA):
        if (candidate / COUNTS).is_file():
            return open_dataset(candidate)
    raise AttractorError(f"the data of '{folder}' are neither in '{folder / DATA}' nor in '{folder.parent / DATA}'")


def is_finished(folder: Path) -> bool:
    """Whether a run has been trained and measured."""
    return (folder / RESULTS).is_file()


def measure(denoiser: Denoiser, train_rows: np.ndarray, test_rows: np.ndarray, config: ProbeConfig) -> Measured:
    """The measurements of one model on training rows, unseen rows, random tokens and its own generations.

    Args:
        denoiser: the model.
        train_rows: training sequences to probe, (N, L).
        test_rows: unseen sequences to probe, (M, L).
        config: times, repeats, steps, seed.
    """
    length, process = train_rows.shape[1], denoiser.process
    splits = {
        "train": torch.from_numpy(np.array(train_rows)),
        "test": torch.from_numpy(np.array(test_rows)),
        "random": random_tokens(len(train_rows), length, process.vocab_size, config.seed, process.mask_id),
        "generated": sample(denoiser, config.generated, length, config.steps, seed=config.seed),
    }
    parts = [
        _measure_entropy(denoiser, splits, config),
        *(_measure_recovery(denoiser, splits, t, config) for t in config.t),
        _measure_fixed_points(denoiser, splits, config),
        _measure_likelihood(denoiser, splits, config),
    ]
    return Measured([row for part in parts for row in part.rows], [token for part in parts for token in part.tokens])


def _measure_recovery(denoiser: Denoiser, splits: dict[str, Tensor], t: float, config: ProbeConfig) -> Measured:
    rows, tokens = [], []
    for split in ("train", "test", "random"):
        repeats = 1 if split == "random" else config.repeats
        found = recovery(denoiser, splits[split], t, config.steps, config.seed, repeats)
        rate, unstable = found.rate_per_sequence().numpy(), found.unstable_per_sequence().numpy()
        rows.append(_row(split, t, "recovery_rate", mean_interval(rate, share=True, missing=True, seed=config.seed)))
        returned, perturbed = (found.restored & found.perturbed).sum((0, 2)), found.perturbed.sum((0, 2))
        pooled = ratio_interval(returned.numpy().astype(float), perturbed.numpy().astype(float), config.seed)
        rows.append(_row(split, t, "recovery_micro", pooled))
        if np.isfinite(unstable).sum() >= 2:  # near t = 1 hardly a token is left alone
            broken = mean_interval(unstable, share=True, missing=True, seed=config.seed)
            rows.append(_row(split, t, "unstable_rate", broken))
        for repeat, (before, after) in enumerate(zip(found.corrupted, found.recovered, strict=True)):
            for i, original in enumerate(found.original):
                tokens.append(
                    TokenRow(measurement="recovery", split=split, t=t, repeat=repeat, row=i, original=original.numpy(),
                             corrupted=before[i].numpy(), recovered=after[i].numpy())
                )  # fmt: skip
    return Measured(rows, tokens)


def _measure_entropy(denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig) -> Measured:
    found = {
        name: conditional_entropy(denoiser, splits[name], config.entropy_t, config.seed)
        for name in ("train", "test", "generated")
    }
    rows = []
    for split, entropy in found.items():
        per_sequence = entropy.per_sequence().numpy()
        rows.append(_row(split, None, "conditional_entropy", mean_interval(per_sequence, seed=config.seed)))
        vanishing = entropy.vanishing.float().mean(1).numpy()
        rows.append(_row(split, None, "vanishing_share", mean_interval(vanishing, share=True, seed=config.seed)))
    own = found["generated"].per_sequence().numpy()
    for split in ("train", "test"):
        gap = difference_interval(own, found[split].per_sequence().numpy(), config.seed)
        rows.append(_row("generated", None, f"entropy_gap_{split}", gap))
    return Measured(rows, _token_rows("entropy", {name: (splits[name], found[name].per_token) for name in found}))


def _measure_fixed_points(denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig) -> Measured:
    names = ("train", "test", "random")
    found = {name: fixed_points(denoiser, splits[name], steps=config.steps).stays for name in names}
    rows = []
    for split, stays in found.items():
        shares = {"fixed_tokens": stays.float().mean(1), "fixed_sequences": stays.all(1).float()}
        for name, share in shares.items():
            rows.append(_row(split, None, name, mean_interval(share.numpy(), share=True, seed=config.seed)))
    return Measured(rows, _token_rows("fixed_point", {name: (splits[name], found[name].float()) for name in names}))


def _measure_likelihood(denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig) -> Measured:
    names = ("train", "test")
    found = {name: likelihood(denoiser, splits[name], config.nelbo_draws, config.seed) for name in names}
    rows = [
        _row(name, None, "nelbo_per_token", mean_interval(found[name].per_sequence().numpy(), seed=config.seed))
        for name in names
    ]
    return Measured(rows, _token_rows("nelbo", {name: (splits[name], found[name].per_token) for name in names}))


def _row(split: str, t: float | None, measurement: str, estimate: Estimate) -> Row:
    return Row(
        split=split, t=t, measurement=measurement, value=estimate.value, low=estimate.low, high=estimate.high,
        sequences=estimate.n,
    )  # fmt: skip


def _token_rows(measurement: str, values: dict[str, tuple[Tensor, Tensor]]) -> list[TokenRow]:
    return [
        TokenRow(measurement=measurement, split=split, row=i, original=original.numpy(), value=value.numpy())
        for split, (tokens, numbers) in values.items()
        for i, (original, value) in enumerate(zip(tokens, numbers, strict=True))
    ]


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
    return flat

"""Measuring a trained model: what is missing is made, and what is there is kept.

The measurements of a run lie in sets (see `measurements.sets`): the first one in the folder of the
run itself, others in `probes/<hash>` inside it. A set is the arrays in `tokens.parquet`, which tell
how they were made, the numbers in `results.parquet`, and a `config.json` for people. They are
written in this order, each in one piece: a machine that stops in between leaves arrays that are
what they say, and numbers that are seen to be behind them and made again.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from attractor import adapters
from attractor.adapters.sweep_folder import find_run
from attractor.config.identity import (
    config_hash,
    probe_config_from_dict,
    run_config_from_dict,
    to_dict,
    to_json,
)
from attractor.config.settings import DataConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.data.dataset import Dataset, read_rows
from attractor.data.packing import prefix
from attractor.data.replicas import ordered, planted, training_set
from attractor.data.tokenizer import Tokenizer
from attractor.machine.device import flushed_denormals
from attractor.machine.files import clear_up, locked, make_directory, write_atomically
from attractor.machine.processes import processes
from attractor.measurements import (
    declares,
    measure,
    measure_these,
    require_possible,
    rows_of,
    wanted,
)
from attractor.measurements.measurement import Measurement
from attractor.measurements.repetition import PLANTED
from attractor.measurements.sets import (
    agree,
    for_process,
    joined,
    lacking,
    recognised,
    spelled_out,
    superseded,
)
from attractor.measurements.texts import Texts
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.process.registry import make_process
from attractor.results.tables import (
    RESULTS,
    TOKENS,
    Block,
    Provenance,
    Row,
    array_names,
    made_of,
    measured_names,
    read_arrays,
    read_results,
    write_rows,
    write_tokens,
)
from attractor.runs.folder import CONFIG, data_of, is_finished, read_json
from attractor.types import AttractorError

PROBES = "probes"
"""Folder, inside that of a run, of its further sets of measurements."""


class Text(NamedTuple):
    """Text that is measured in place of a run's own unseen rows, and where it comes from."""

    path: str
    column: str
    digest: str
    """of its rows: another text at the same place is another text"""


class Place(NamedTuple):
    """A set of measurements on disk."""

    folder: Path
    made: ProbeConfig | None
    """how it was made; None where nothing has been measured yet"""
    text: Text | None = None
    """None where the run's own unseen rows were measured"""


def places(run: Path) -> Iterator[Place]:
    """The sets of measurements of a run, that in its own folder first."""
    if is_finished(run):
        yield Place(run, _made(run, read_json(run / CONFIG)))
    for folder in sorted((run / PROBES).glob("*")):
        if is_finished(folder) and (folder / CONFIG).is_file():
            settings = read_json(folder / CONFIG)
            text = None
            if settings.get("text"):
                text = Text(
                    str(settings["text"]),
                    str(settings.get("column", "text")),
                    str(settings.get("digest", "")),
                )
            yield Place(folder, _made(folder, settings), text)


def _made(folder: Path, settings: dict[str, Any]) -> ProbeConfig:
    """How a set was made: the arrays tell themselves, and of those that do not the config beside
    them does."""
    told = made_of(folder / TOKENS)
    if told is not None:
        return probe_config_from_dict(told, folder / TOKENS)
    return probe_config_from_dict(settings.get("probe"), folder / CONFIG)


def place_for(run: Path, asked: ProbeConfig, text: Text | None = None) -> Place:
    """The set to which what is asked for belongs; a new one if it agrees with none that is
    there."""
    if text is None and not is_finished(run):
        return Place(run, None)
    for place in places(run):
        if place.text == text and place.made is not None and agree(place.made, asked):
            return place
    return Place(run / PROBES / config_hash(_settings(spelled_out(asked), text)), None, text)


def is_complete(run: Path, asked: ProbeConfig) -> bool:
    """Whether a run has everything that is asked for."""
    place = place_for(run, asked)
    return place.made is not None and not (
        _missing(place.folder, place.made, asked) or _is_behind(place.folder, asked)
    )


def _missing(
    folder: Path, made: ProbeConfig, asked: ProbeConfig
) -> list[tuple[Measurement, ProbeConfig]]:
    """What a set lacks, and what an earlier version's estimator measured in it."""
    lacks = lacking(made, asked)
    absent = {measurement.name for measurement, _ in lacks}
    old = superseded(made, array_names(folder), asked)
    return [*lacks, *(each for each in old if each[0].name not in absent)]


def results_of(run: Path, asked: ProbeConfig) -> Path | None:
    """The folder of the set in which a run has what is asked for, or a part of it; None if nothing
    of it has been measured."""
    place = place_for(run, asked)
    return None if place.made is None else place.folder


@flushed_denormals()
def measure_run(
    run: Path,
    config: RunConfig,
    texts: Texts,
    tokenizer: Tokenizer,
    text: Text | None = None,
    denoiser: Denoiser | None = None,
) -> Path:
    """Make the measurements that a trained run lacks of those that `config.probe` asks for.

    Args:
        run: its folder, which nobody else is writing to.
        config: of the run, with what is asked for.
        texts: what it is measured on.
        tokenizer: its own.
        text: where the unseen rows come from, if they are not the run's own.
        denoiser: the trained model; loaded, if something has to be measured, unless given.

    Returns:
        the folder of the set, in which its results are.
    """
    place = place_for(run, config.probe, text)
    folder, made = place.folder, place.made
    if made is None:
        missing = [(m, config.probe) for m in wanted(config.probe.measure)]
        after = spelled_out(config.probe)
    else:
        missing = _missing(folder, made, config.probe)
        after = joined(made, config.probe)
        if not missing and not _is_behind(folder, config.probe):
            return folder
    # Each process has looked into the same folder for what is missing. None may write before all
    # have looked: one that came late would find nothing missing and leave, and the others would
    # wait for its share of the work for ever.
    processes().wait()
    blocks: Iterator[Block] = iter(())
    if any(measurement.run is not None for measurement, _ in missing):
        model = denoiser or adapters.load(run)
        blocks = measure_these(model, texts, config.probe, missing)
    if not processes().is_main:
        collections.deque(blocks, maxlen=0)  # does the work, a share of each call, and keeps none
        return folder
    make_directory(folder)
    clear_up(folder)
    kept = [] if made is None else _of_other_versions(folder)
    # The arrays tell themselves how they were made, and the numbers repeat it: whoever finds
    # numbers that are behind their arrays makes them again. A first set counts as none before it
    # has numbers (a run is finished by them) and a config, which is for people and for sets of
    # earlier versions.
    told = to_dict(after)
    write_tokens(folder, blocks, keep=made is not None, made=told)
    stamp = provenance(dataclasses.replace(config, probe=after), tokenizer)
    write_rows(folder, [*rows_of(read_arrays(folder), after.seed), *kept], stamp, told)
    write_atomically(folder / CONFIG, _described(folder == run, config, after, text))
    return folder


def probe_run(
    run: Path, config: ProbeConfig, text: Path | None = None, column: str = "text"
) -> Path:
    """Make the measurements that a finished run lacks, on its own unseen rows or on other text.

    Args:
        run: its folder, or that of a sweep and its values, as `adapters.load` takes it.
        config: what to measure, and how.
        text: a file or folder of unseen text; the run's own test rows unless given.
        column: text column of .jsonl and .parquet files.

    Returns:
        the folder of the set of measurements.

    Raises:
        AttractorError: if the run is not finished, is in use, or has no data beside it; for text
            that does not fit.
    """
    run = find_run(run)
    denoiser = adapters.load(run)
    data = data_of(run)
    trained = run_config_from_dict(read_json(run / CONFIG), run / CONFIG)
    config = recognised(for_process(config, trained.process))
    if data.tokenizer.vocab_size != denoiser.process.text_size:
        raise AttractorError(
            f"the tokenizer has {data.tokenizer.vocab_size} tokens, the model "
            f"{denoiser.process.text_size}"
        )
    unseen = own = None
    if text is not None:
        pad_id = data.tokenizer.pad_id if trained.data.rows == "document" else None
        unseen = read_rows(text, column, data.tokenizer, data.test.shape[1], pad_id=pad_id)
        digest = hashlib.sha256(np.ascontiguousarray(unseen, dtype=np.int64).tobytes())
        own = Text(str(text.resolve()), column, digest.hexdigest()[:12])
    texts = texts_of(data, trained.n_train, config, unseen, trained.data)
    asked = dataclasses.replace(trained, probe=config)
    with locked(run):
        return measure_run(run, asked, texts, data.tokenizer, own, denoiser)


def write_measurements(
    folder: Path, denoiser: Denoiser, texts: Texts, config: ProbeConfig, stamp: Provenance
) -> None:
    """Measure a model that is no run into an existing folder."""
    write_tokens(folder, measure(denoiser, texts, config))
    write_rows(folder, rows_of(read_arrays(folder), config.seed), stamp)


def texts_of(
    data: Dataset,
    n_train: int,
    config: ProbeConfig,
    unseen: np.ndarray | None = None,
    text: DataConfig = DataConfig(),  # noqa: B008
) -> Texts:
    """What a model trained on the first `n_train` rows is measured on.

    Args:
        data: its data.
        n_train: rows of its training set, copies included.
        config: how many rows are measured.
        unseen: takes the place of the test rows.
        text: in which order the rows are, and which are repeated. Copies are never among the
            training rows that are measured.

    Raises:
        AttractorError: if there are too few; see also `measurements.require_possible`.
    """
    data = ordered(data, text.order)
    corpus = training_set(data.train, n_train, text.repeat, text.repeat_rows)
    others = data.test if unseen is None else unseen
    train = prefix(corpus[: n_train - text.copies], config.rows, "rows")
    test = prefix(others, config.test_rows, "test_rows")
    rest = data.train[len(train) :], others[len(test) :]
    origins = {}
    if data.origins is not None:
        origins = {"train": np.array(data.origins.train[: len(train)])}
        if text.repeat:
            held = text.repeat_rows * (len(text.repeat) + 1)
            origins[PLANTED] = np.array(data.origins.train[-held:])
        if unseen is None:
            origins["test"] = np.array(data.origins.test[: len(test)])
    texts = Texts(
        train,
        test,
        corpus,
        *rest,
        data.tokenizer.decode,
        planted(data.train, text.repeat, text.repeat_rows) if text.repeat else None,
        origins,
    )
    require_possible(texts, config)
    return texts


def provenance(config: RunConfig, tokenizer: Tokenizer) -> Provenance:
    """The stamp on every row of a run: the hash is that of what was measured, and of what."""
    return Provenance(
        config_hash=config_hash(config),
        n_train=config.n_train,
        seed=config.seed,
        data_seed=config.data.order,
        tokenizer=tokenizer.fingerprint,
        noise_seed=config.probe.seed,
        denormals="flushed",
    )


def parameter_count(config: RunConfig | SweepConfig, text_size: int) -> int:
    """Weights of each network of a config, for `text_size` tokens of text."""
    vocab_size = make_process(config.process, text_size, config.uniform_share).vocab_size
    with torch.device("meta"):  # shapes without memory
        network = DDiT(vocab_size, **dataclasses.asdict(config.model))
    return sum(p.numel() for p in network.parameters())


def _is_behind(folder: Path, asked: ProbeConfig) -> bool:
    """Whether the numbers of a set are not all that its arrays give: a process was stopped between
    the two, or a later version makes more of the arrays that an earlier one had kept."""
    made = made_of(folder / TOKENS)
    if made_of(folder / RESULTS) != made:
        return True
    if (made or {}).get("resample", ProbeConfig().resample) != asked.resample:
        return True  # the same arrays, and other intervals
    there = measured_names(folder)
    derived = (m for m in wanted(asked.measure) if m.run is None)
    return any(not there & {quantity.name for quantity in m.quantities} for m in derived)


def _of_other_versions(folder: Path) -> list[Row]:
    """Numbers that no measurement of this version gives; nothing that was measured is lost."""
    return [row for row in read_results(folder).rows if not declares(row.measurement)]


def _described(is_own: bool, config: RunConfig, after: ProbeConfig, text: Text | None) -> str:
    """The content of a set's config.json: for the set in the run's own folder the config of the
    run, for others the settings and the text they were made with."""
    if is_own:
        return to_json(dataclasses.replace(config, probe=after))
    return json.dumps(_settings(after, text), indent=1)


def _settings(probe: ProbeConfig, text: Text | None) -> dict[str, Any]:
    place = (
        {"text": None, "column": "text"}
        if text is None
        else {
            "text": text.path,
            "column": text.column,
            "digest": text.digest,
        }
    )
    return {"probe": to_dict(probe), **place}

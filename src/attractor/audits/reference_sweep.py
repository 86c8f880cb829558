"""Reference curves are made: every model of a finished sweep is audited with its data."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from attractor import adapters
from attractor.adapters.sweep_folder import is_run, no_sweep
from attractor.audits import evidence
from attractor.audits.against import measure_basins
from attractor.audits.measure import NOISE, Effort, measure_own
from attractor.audits.reference import Reference, ReferenceModel, check_spans
from attractor.audits.texts import texts_of_run
from attractor.config.identity import run_config_from_dict
from attractor.machine.files import make_directory, write_atomically
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.process.registry import process_name
from attractor.results.tables import read_arrays, write_tokens
from attractor.runs.folder import CONFIG, is_finished, read_json
from attractor.runs.measure import parameter_count
from attractor.types import AttractorError


def write_reference_of(
    sweep: Path, out: Path, name: str, effort: Effort, watch: Callable[[str], None]
) -> Reference:
    """Audit every finished run of a sweep with its data, and write the reference curves that this
    gives.

    Raises:
        AttractorError: if the sweep is not finished, is of several kinds of models, or does not go
            from memorizing to generalizing.
    """
    if is_run(sweep):
        raise no_sweep(sweep)
    runs = sorted(path for path in sweep.iterdir() if is_finished(path)) if sweep.is_dir() else []
    if not runs:
        raise AttractorError(
            f"'{sweep}' holds no finished run: references are made of a finished sweep"
        )
    configs = [run_config_from_dict(read_json(run / CONFIG), run / CONFIG) for run in runs]
    if len({(config.model, config.process) for config in configs}) > 1:
        raise AttractorError(
            f"'{sweep}' is of several models or kinds of noise: references are made of one"
        )
    points = []
    for run, config in zip(runs, configs, strict=True):
        denoiser, texts = adapters.load(run), texts_of_run(run, effort.rows)
        watch(f"n = {config.n_train:,}")
        points.append(_reference_model(config.n_train, denoiser, texts, effort))
    # They are of one kind, so that the last of them can speak for all.
    process, length = denoiser.process, texts.train.shape[1]
    made = Reference(
        name=name,
        process=process_name(process),
        vocab_size=process.vocab_size,
        seq_len=length,
        parameters=parameter_count(config, process.text_size),
        steps=effort.steps,
        t=NOISE,
        points=tuple(sorted(points, key=lambda point: point.n_train)),
    )
    check_spans(made, sweep)
    make_directory(out.absolute().parent)
    write_atomically(out, made.text())
    return made


def _reference_model(
    n_train: int, denoiser: Denoiser, texts: Texts, effort: Effort
) -> ReferenceModel:
    """Measure of one model its own text, as `audit` does, and its basins."""
    blocks = itertools.chain(
        measure_own(denoiser, texts.train.shape[1], effort, lambda doing: None),
        measure_basins(denoiser, texts, effort),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_tokens(Path(folder), blocks)
        arrays = read_arrays(Path(folder))
    return ReferenceModel(
        n_train=n_train,
        advantage=evidence.against_data(arrays, effort.seed)["advantage"],
        numbers=evidence.alone(arrays, effort.seed),
    )

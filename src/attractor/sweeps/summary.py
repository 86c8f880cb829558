"""What a sweep leaves beside its runs: transition.json, measurements.json, passages.json and
report.html."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attractor.analysis.summary import (
    Case,
    case_of,
    measurements_summary,
    model_detector,
    models_summary,
    transition_summary,
)
from attractor.config.identity import config_hash, run_config_from_dict
from attractor.config.settings import ProbeConfig, SweepConfig
from attractor.data.dataset import Dataset
from attractor.machine.files import write_atomically
from attractor.measurements import wanted
from attractor.measurements.measurement import OWN_SETTINGS, Measurement
from attractor.measurements.micro_attractors import load_tagger, micro_attractors
from attractor.measurements.texts import NGRAM, REFERENCE
from attractor.report.fields import read_fields
from attractor.report.page import write_report
from attractor.results.tables import RunResults, code_version, read_results, require_joinable
from attractor.runs.folder import CONFIG, is_finished, read_json
from attractor.runs.measure import Text, parameter_count, places, results_of
from attractor.sweeps.controls import controlled, measure_controls
from attractor.sweeps.onset import onset_summary
from attractor.sweeps.passages import passages
from attractor.sweeps.plan import PlannedRun
from attractor.types import AttractorError

TWIN = "twin"
"""Folder of a run's second model, on other rows."""
TRANSITION, MEASUREMENTS, PASSAGES = "transition.json", "measurements.json", "passages.json"


def summary_folders(config: SweepConfig, out: Path) -> dict[str, Path]:
    """Where the summary of each model is: a sweep of several has a folder for each, one of one
    model has no names."""
    return {name: out / name for name in config.each_model()}


def summarized(folder: Path, run: PlannedRun) -> bool:
    """Whether the summary in a folder holds a run; raises AttractorError, naming the place, if it
    is damaged."""
    if not (folder / TRANSITION).is_file():
        return False
    summary = read_fields(folder / TRANSITION)
    summary.require("rows")
    known = {
        (row.integer("n_train"), row.integer("seed"), int(row.optional("data_seed") or 0))
        for row in summary.objects("rows")
    }
    return (run.config.n_train, run.config.seed, run.config.data.order) in known


def write_summary(
    config: SweepConfig,
    runs: list[PlannedRun],
    data: Dataset,
    out: Path,
    elapsed: float | None,
    missing: Sequence[PlannedRun] = (),
    row: int | None = None,
) -> list[Path]:
    """Summarize the runs of each model; several models also share one transition.json, its rows
    named by model.

    Args:
        config: the sweep.
        runs: its finished runs.
        data: what they were trained on.
        out: the sweep's folder.
        elapsed: seconds it took; None where nothing was trained, and the time of the earlier sweep
            stands.
        missing: runs that are not finished; a model all of whose runs are missing has no summary.
        row: which row of each kind of text the passages show; by default a typical one.

    Returns:
        the path of each report.html.
    """
    if elapsed is None:
        earlier = out / TRANSITION
        elapsed = read_fields(earlier).number("elapsed_s") if earlier.is_file() else 0.0
    each, places = config.each_model(), summary_folders(config, out)
    by_model = {name: [run for run in runs if run.model == name] for name in places}
    folders = {name: folder for name, folder in places.items() if by_model[name]}
    models = {
        name: _summarized(each[name], by_model[name], data, out, folder, elapsed, row)
        for name, folder in folders.items()
    }
    if config.models:
        together = models_summary([(model.label, model.located) for model in models.values()])
        write_atomically(out / TRANSITION, json.dumps(together, indent=1))
    # After all models have been summarized, since each page also tells how the others compare.
    for name, folder in folders.items():
        unfinished = [run.title for run in missing if run.model == name]
        measured = models[name].measured | _between(models, name) | {"unfinished": unfinished}
        write_atomically(folder / MEASUREMENTS, json.dumps(measured, indent=1))
    return [write_report(folder) for folder in folders.values()]


class _Model(NamedTuple):
    """The summary of one model."""

    label: dict[str, Any]
    located: dict[str, Any]
    measured: dict[str, Any]
    cases: list[tuple[int, Case]]
    """of each run, with its training-set size"""


def _summarized(
    config: SweepConfig,
    runs: list[PlannedRun],
    data: Dataset,
    out: Path,
    folder: Path,
    elapsed: float,
    row: int | None,
) -> _Model:
    results = [_with_twin(out / run.run_id, run.config.probe) for run in runs]
    folder.mkdir(exist_ok=True)
    require_joinable(results)
    controls = measure_controls(controlled([run.config for run in runs]), data, folder / "controls")
    located = transition_summary(results, elapsed, config.margin)
    located |= {"onset": onset_summary(runs, out)}
    provenance = _provenance(config, results, data, _other_sets(runs, out))
    measured = {
        **measurements_summary(results, controls),
        "micro_attractors": named_micro_attractors(results, data),
        "provenance": provenance,
    }
    write_atomically(folder / TRANSITION, json.dumps(located, indent=1))
    shown = passages(results, data.tokenizer, row)
    write_atomically(folder / PASSAGES, json.dumps(shown, indent=1))
    label = {"model": runs[0].model, "parameters": provenance["parameters"]}
    cases = [(run.provenance.n_train, case_of(run)) for run in results]
    return _Model(label, located, measured, cases)


def _between(models: dict[str, _Model], name: str) -> dict[str, Any]:
    """What is measured on all models together: n* against their size, and the detector."""
    # The detector is tried on what it was not fitted to: on other sizes where there is one model,
    # and on other models where there are several.
    if len(models) == 1:
        sizes, cases = zip(*models[name].cases, strict=True)
        return {"detector": model_detector(cases, sizes, "training-set size")}
    every = [(label, found) for label, model in models.items() for _, found in model.cases]
    labels, cases = zip(*every, strict=True)
    return {
        "detector": model_detector(cases, labels, "model size"),
        "models": [
            {**model.label, "transition": model.located["transition"]} for model in models.values()
        ],
    }


def add_word_classes(folder: Path, tagger: str) -> None:
    """Name the word class of each micro-attractor in measurements.json.

    Raises:
        AttractorError: if there is no such file, or the tagger is unknown or not installed.
    """
    tag, path = load_tagger(tagger), folder / MEASUREMENTS
    if not path.is_file():
        raise AttractorError(f"'{path}' does not exist: a finished sweep writes it")
    content = read_json(path)
    for found in content["micro_attractors"]:
        found["word_class"] = tag(found["token"].strip())
    write_atomically(path, json.dumps(content, indent=1))


def _provenance(
    config: SweepConfig, results: list[RunResults], data: Dataset, other_sets: list[str]
) -> dict[str, Any]:
    shape, judge = config.model, config.probe.judge
    return {
        "version": code_version(),
        "config_hash": config_hash(config),
        "corpus": "World English Bible" if config.data.source == "bible" else config.data.source,
        "tokenizer": config.data.tokenizer,
        "vocab_size": data.tokenizer.vocab_size,
        "seq_len": int(data.train.shape[1]),
        "model": f"{shape.n_blocks} blocks of width {shape.hidden_size}, {shape.n_heads} heads",
        "process": config.process,
        "parameters": parameter_count(config, data.tokenizer.vocab_size),
        "train_steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "probe_rows": config.probe.rows,
        "test_rows": config.probe.test_rows,
        "repeats": config.probe.repeats,
        "grid_steps": config.probe.steps,
        "judge": "Kneser-Ney 5-gram" if judge == NGRAM else Path(judge).name,
        "seeds": sorted({run.provenance.seed for run in results}),
        "data_seeds": sorted({run.provenance.data_seed for run in results}),
        "denormals": ", ".join(sorted({run.provenance.denormals for run in results} - {""})),
        "grouped_by": "" if data.origins is None else data.origins.kind or "document",
        "measured": list(config.probe.measure),
        "measured_with": _measured_with(config.probe),
        "other_sets": other_sets,
        "superseded": _superseded(config.probe, results),
        **data.counts._asdict(),
    }


def _measured_with(probe: ProbeConfig) -> str:
    """The conditions of the set that is shown: what its measurements depend on."""
    names = dict.fromkeys(name for m in wanted(probe.measure) for name in m.conditions)
    return ", ".join(f"{name} = {getattr(probe, name)}" for name in names)


def _other_sets(runs: list[PlannedRun], out: Path) -> list[str]:
    """How measurements of these runs that are not shown were made, where it differs from those that
    are; each once."""
    found: dict[str, None] = {}
    for run in runs:
        folder, shown = out / run.run_id, run.config.probe
        for place in places(folder):
            if place.folder != results_of(folder, shown) and place.made is not None:
                found[_difference(place.made, shown, place.text)] = None
    return list(found)


def _superseded(probe: ProbeConfig, results: list[RunResults]) -> list[str]:
    """What is shown although an earlier version measured it, in another way than the page says."""
    marked = [m for m in wanted(probe.measure) if m.mark is not None]
    return [
        m.name
        for m in marked
        if m.mark and any(_names(run, m) and not run.has(*m.mark) for run in results)
    ]


def _names(run: RunResults, measurement: Measurement) -> bool:
    """Whether a run has any number of a measurement."""
    there = {row.measurement for row in run.rows}
    return any(quantity.name in there for quantity in measurement.quantities)


def _difference(made: ProbeConfig, shown: ProbeConfig, text: Text | None) -> str:
    names = [f.name for f in dataclasses.fields(ProbeConfig) if f.name != "measure"]
    different = [name for name in names if getattr(made, name) != getattr(shown, name)]
    said = [f"{name} = {getattr(made, name)}" for name in different]
    return ", ".join([*said, *([f"on {text.path}"] if text else [])])


def _with_twin(folder: Path, probe: ProbeConfig) -> RunResults:
    """The results of a run, and of the comparison with its twin where there is one."""
    run = read_results(results_of(folder, probe) or folder)
    if not is_finished(folder / TWIN):
        return run
    compared = run_config_from_dict(read_json(folder / TWIN / CONFIG), folder / TWIN / CONFIG).probe
    conditions = (*OWN_SETTINGS, "seed")
    if any(getattr(compared, name) != getattr(probe, name) for name in conditions):
        return run  # they were compared for another set of measurements
    twin = read_results(folder / TWIN)
    require_joinable([run, twin])
    return dataclasses.replace(run, rows=[*run.rows, *twin.rows])


def named_micro_attractors(results: list[RunResults], data: Dataset) -> list[dict[str, Any]]:
    """The micro-attractors of the largest training set, with the text of each token."""
    largest = max(results, key=lambda run: run.provenance.n_train)
    sample = np.array(data.train[:REFERENCE]).ravel()
    frequency = np.bincount(sample, minlength=data.tokenizer.vocab_size)
    return [
        found._asdict() | {"token": data.tokenizer.pieces([found.token])[0]}
        for found in micro_attractors(largest, frequency)
    ]

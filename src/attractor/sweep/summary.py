"""What a sweep leaves beside its runs: transition.json, measurements.json, passages.json and report.html."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from attractor import pipeline
from attractor.analysis.micro import micro_attractors
from attractor.analysis.summary import measurements_summary, models_summary, transition_summary
from attractor.config import SweepConfig, config_hash
from attractor.data.dataset import Dataset
from attractor.files import write_atomically
from attractor.measuring import REFERENCE
from attractor.report.html import write_report
from attractor.results import RunResults, code_version, read_results, require_joinable
from attractor.sweep.controls import measure_controls
from attractor.sweep.passages import passages
from attractor.sweep.plan import PlannedRun
from attractor.sweep.twins import TWIN

TRANSITION, MEASUREMENTS, PASSAGES = "transition.json", "measurements.json", "passages.json"


def summary_folders(config: SweepConfig, out: Path) -> dict[str, Path]:
    """Where the summary of each model is: a sweep of several has a folder for each, one of one model has no names."""
    return {name: out / name for name in config.each_model()}


def write_summary(
    config: SweepConfig, runs: list[PlannedRun], data: Dataset, out: Path, elapsed: float | None
) -> list[Path]:
    """Summarize the runs of each model; several models also share one transition.json, its rows named by model.

    Args:
        config: the sweep.
        runs: its finished runs.
        data: what they were trained on.
        out: the sweep's folder.
        elapsed: seconds it took; None where nothing was trained, and the time of the earlier sweep stands.

    Returns:
        the path of each report.html.
    """
    if elapsed is None:
        earlier = out / TRANSITION
        elapsed = pipeline.read_json(earlier)["elapsed_s"] if earlier.is_file() else 0.0
    reports, models = [], []
    for name, folder in summary_folders(config, out).items():
        results = [_with_twin(out / run.run_id) for run in runs if run.model == name]
        folder.mkdir(exist_ok=True)
        require_joinable(results)
        smallest = min((run.config for run in runs if run.model == name), key=lambda run: (run.n_train, run.seed))
        controls = measure_controls(smallest, data, folder / "controls")
        located, measured = transition_summary(results, elapsed), measurements_summary(results, controls)
        measured |= {"micro_attractors": named_micro_attractors(results, data)}
        provenance = _provenance(config.each_model()[name], results, data)
        for file, content in (
            (TRANSITION, located),
            (MEASUREMENTS, {**measured, "provenance": provenance}),
            (PASSAGES, passages(results, data.tokenizer)),
        ):
            write_atomically(folder / file, json.dumps(content, indent=1))
        models.append(({"model": name, "parameters": provenance["parameters"]}, located))
        reports.append(write_report(folder))
    if config.models:
        write_atomically(out / TRANSITION, json.dumps(models_summary(models), indent=1))
    return reports


def _provenance(config: SweepConfig, results: list[RunResults], data: Dataset) -> dict[str, Any]:
    shape = config.model
    return {
        "version": code_version(),
        "config_hash": config_hash(config),
        "corpus": "World English Bible" if config.data.source == "bible" else config.data.source,
        "tokenizer": config.data.tokenizer,
        "vocab_size": data.tokenizer.vocab_size,
        "seq_len": int(data.train.shape[1]),
        "model": f"{shape.n_blocks} blocks of width {shape.hidden_size}, {shape.n_heads} heads",
        "process": config.process,
        "parameters": pipeline.parameter_count(config, data.tokenizer.vocab_size),
        "train_steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "probe_rows": config.probe.rows,
        "test_rows": config.probe.test_rows,
        "repeats": config.probe.repeats,
        "grid_steps": config.probe.steps,
        "seeds": sorted({run.provenance.seed for run in results}),
        **data.counts._asdict(),
    }


def _with_twin(folder: Path) -> RunResults:
    """The results of a run, and of the comparison with its twin where there is one."""
    run = read_results(folder)
    if not pipeline.is_finished(folder / TWIN):
        return run
    twin = read_results(folder / TWIN)
    require_joinable([run, twin])
    return dataclasses.replace(run, rows=[*run.rows, *twin.rows])


def named_micro_attractors(results: list[RunResults], data: Dataset) -> list[dict[str, Any]]:
    """The micro-attractors of the largest training set, with the text of each token."""
    largest = max(results, key=lambda run: run.provenance.n_train)
    frequency = np.bincount(np.array(data.train[:REFERENCE]).ravel(), minlength=data.tokenizer.vocab_size)
    return [
        found._asdict() | {"token": data.tokenizer.pieces([found.token])[0]}
        for found in micro_attractors(largest, frequency)
    ]

"""What a sweep leaves beside its runs: transition.json, measurements.json, passages.json and report.html."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attractor import pipeline
from attractor.analysis.summary import measurements_summary, models_summary, transition_summary
from attractor.config import SweepConfig, config_hash
from attractor.data.dataset import Dataset
from attractor.files import write_atomically
from attractor.report.html import write_report
from attractor.results import RunResults, code_version, read_results
from attractor.sweep.passages import passages
from attractor.sweep.plan import PlannedRun

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
        results = [read_results(out / run.run_id) for run in runs if run.model == name]
        located, measured = transition_summary(results, elapsed), measurements_summary(results)
        provenance = _provenance(config.each_model()[name], results, data)
        folder.mkdir(exist_ok=True)
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

"""A sweep from its config to transition.json and report.html."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attractor import pipeline
from attractor.analysis.summary import measurements_summary, transition_summary
from attractor.config import ProbeConfig, SweepConfig, config_hash
from attractor.data.dataset import Dataset
from attractor.data.subsets import SplitCounts
from attractor.files import write_atomically
from attractor.report.html import write_report
from attractor.results import RunResults, code_version, read_results
from attractor.sweep.executor import Watcher, execute
from attractor.sweep.passages import passages
from attractor.sweep.plan import PlannedRun, plan
from attractor.types import AttractorError

SWEEP, TRANSITION, MEASUREMENTS, PASSAGES = "sweep.json", "transition.json", "measurements.json", "passages.json"


def resolve(config: SweepConfig, data: Dataset) -> SweepConfig:
    """Probe rows are at most the smallest training set, so that the same rows are probed at every size."""
    smallest = min(run.config.n_train for run in plan(config, len(data.train)))
    rows = min(config.probe.rows, smallest)
    if rows < 2:
        raise AttractorError(f"the smallest training set has {smallest} row: an interval needs at least 2")
    probe = dataclasses.replace(config.probe, rows=rows)
    pipeline.probed_rows(data.train, data.test, probe)  # fails before any training
    return dataclasses.replace(config, probe=probe)


def sweep(
    config: SweepConfig, out: Path, watch: Watcher, *, workers: int | None = None, force: bool = False,
    note: Callable[[SplitCounts, int, ProbeConfig], None] = lambda counts, rows, probe: None,
) -> Path:  # fmt: skip
    """Train and measure every model, locate the transition, write the report; finished runs are kept.

    Args:
        config: what to do; see `resolve`.
        out: the sweep's directory.
        watch: hears of progress.
        workers: processes side by side.
        force: throw away what another config, or an earlier sweep, left in `out`.
        note: hears what became of the corpus: its counts, rows to train on, what will be probed.

    Returns:
        the path of report.html.

    Raises:
        AttractorError: for bad input, and if `out` holds something else.
    """
    start = time.perf_counter()
    with pipeline.claimed(out, SWEEP, config, force):
        data = pipeline.prepare(config.data, out / pipeline.DATA)
        resolved = resolve(config, data)
        runs = plan(resolved, len(data.train))
    note(data.counts, len(data.train), resolved.probe)
    waiting = [run for run in runs if not pipeline.is_finished(out / run.run_id)]
    execute(waiting, out / pipeline.DATA, out, watch, workers)
    return summarize(resolved, runs, data, out, time.perf_counter() - start if waiting else None)


def summarize(config: SweepConfig, runs: list[PlannedRun], data: Dataset, out: Path, elapsed: float | None) -> Path:
    """Write transition.json, measurements.json, passages.json and report.html."""
    results = [read_results(out / run.run_id) for run in runs]
    if elapsed is None:  # nothing was trained: the time is that of the sweep that did
        elapsed = json.loads((out / TRANSITION).read_text())["elapsed_s"] if (out / TRANSITION).is_file() else 0.0
    measured = {**measurements_summary(results), "provenance": _provenance(config, results, data)}
    for name, content in (
        (TRANSITION, transition_summary(results, elapsed)),
        (MEASUREMENTS, measured),
        (PASSAGES, passages(results, data.tokenizer)),
    ):
        write_atomically(out / name, json.dumps(content, indent=1))
    return write_report(out)


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

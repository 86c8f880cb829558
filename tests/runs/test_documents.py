"""A run of short texts, each a row of its own, from its data to its numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import tiny
from attractor.config.settings import MonitorConfig, ProbeConfig, RunConfig
from attractor.results.tables import read_results
from attractor.runs.folder import data_of
from attractor.runs.measure import probe_run
from attractor.runs.run import run_alone


@pytest.mark.slow
def test_padding_is_no_part_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(tiny.short_texts(120)))
    base = tiny.config(file)
    config = RunConfig(
        n_train=40,
        process="hybrid",
        data=dataclasses.replace(base.data, rows="document"),
        model=base.model,
        train=base.train,
        probe=dataclasses.replace(base.probe, measure=("all",)),
        monitor=MonitorConfig(every=15, rows=8, steps=10),
    )
    run = tmp_path / "run"
    run_alone(config, run, lambda progress: None)
    data, results = data_of(run), read_results(run)
    pad = data.tokenizer.pad_id
    assert len(results.rows) > 100
    assert all(np.isfinite(row.value) for row in results.rows)
    for split in ("train", "test", "random"):
        rows = results.array("original", "recovery", split, 0.8)
        for column in ("corrupted", "recovered"):
            after = results.array(column, "recovery", split, 0.8)
            assert ((after == pad) == (rows[0] == pad)).all()
        assert (rows == pad).any()
        assert (results.frozen("recovery", split, 0.8) == (rows[0] == pad)).all()
    own = results.array("original", "entropy", "generated")[0]
    assert ((own == pad) == (np.array(data.train[:6]) == pad)).all()
    checks = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("check" in line for line in checks)
    # Other text is measured in the same way.
    other = tmp_path / "other.txt"
    other.write_text("\n".join(text[:5] for text in tiny.short_texts(100)))
    probe = ProbeConfig(t=(0.6,), rows=8, test_rows=8, steps=10, measure=("recovery",))
    measured = read_results(probe_run(run, probe, other, "text"))
    assert (measured.array("original", "recovery", "test", 0.6) == pad).any()

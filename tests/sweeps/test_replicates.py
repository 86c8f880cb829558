"""A sweep over orders of the data, with groups and repeated rows: what its files say of them."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from attractor.analysis.summary import common_groups, replicates
from attractor.config.settings import SweepConfig
from attractor.data.dataset import open_dataset
from attractor.data.replicas import ordered
from attractor.report.sweep_files import read_report
from attractor.report.words import runs_of
from attractor.results.tables import RunResults, read_results
from attractor.runs.folder import CONFIG
from attractor.sweeps.attempt import attempt
from attractor.sweeps.plan import plan
from attractor.sweeps.run import planned_runs, summarize, sweep
from attractor.types import AttractorError


def here(runs: list[Any], data: Path, out: Path, watch: object) -> None:
    """Instead of processes side by side."""
    for run in runs:
        attempt(run, data, out)


def corpus(folder: Path) -> Path:
    """Sentences of 20 authors."""
    rng, path = random.Random(0), folder / "a.jsonl"
    lines = [
        {"text": f"{' '.join(rng.choices(tiny.WORDS, k=7))} {i}.", "author": f"a{i % 20}"}
        for i in range(400)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def config(folder: Path) -> SweepConfig:
    small = tiny.config(corpus(folder), sizes=(128,), steps=4)
    data = dataclasses.replace(small.data, group="author", repeat=(1, 5), repeat_rows=4)
    probe = dataclasses.replace(
        small.probe, measure=("recovery", "entropy"), t=(0.5,), repeats=1, basin_rounds=1,
        rows=24, test_rows=24, steps=8,
    )  # fmt: skip
    return dataclasses.replace(small, seeds=(0, 1), data_seeds=(0, 3), data=data, probe=probe)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replicates")
    sweep(config(folder), folder / "s", lambda event: None, executor=here)
    return folder / "s"


@pytest.fixture(scope="module")
def runs(done: Path) -> list[RunResults]:
    return [read_results(done / run.run_id) for run in planned_runs(done)]


def test_there_is_a_model_of_every_size_data_seed_and_seed(
    done: Path, runs: list[RunResults]
) -> None:
    found = {(r.provenance.n_train, *r.replicate) for r in runs}
    assert found == {(n, d, s) for n in (128,) for d in (0, 3) for s in (0, 1)}
    assert replicates(runs) == [(0, 0), (0, 1), (3, 0), (3, 1)]
    rows = json.loads((done / "measurements.json").read_text())["rows"]
    assert {(r["n_train"], r["data_seed"], r["seed"]) for r in rows} == found
    located = json.loads((done / "transition.json").read_text())["rows"]
    assert {(r["n_train"], r["data_seed"], r["seed"]) for r in located} == found
    report = read_report(done)
    assert (report.seeds, report.data_seeds) == ((0, 1), (0, 3))
    assert all(len(point.seeds) == 4 for curve in report.recovery for point in curve.points)
    assert summarize(done)[0].is_file()


def test_runs_of_one_data_seed_have_the_same_training_rows_and_all_the_same_unseen_ones(
    done: Path, runs: list[RunResults]
) -> None:
    data = open_dataset(done / "data")
    for run in runs:
        rows = ordered(data, run.replicate.data_seed).train[:24]
        np.testing.assert_array_equal(run.array("original", "entropy", "train")[0], rows)
        np.testing.assert_array_equal(run.array("original", "entropy", "test")[0], data.test[:24])
    assert common_groups(runs, "entropy", "train") is None
    groups = common_groups(runs, "entropy", "test")
    assert groups is not None
    assert data.origins is not None
    _, expected = np.unique(data.origins.test[:24, 1], return_inverse=True)
    _, found = np.unique(groups.of, return_inverse=True)
    np.testing.assert_array_equal(found, expected)


def test_each_mean_of_real_text_tells_how_alike_the_rows_of_a_group_are(
    done: Path, runs: list[RunResults]
) -> None:
    for run in runs:
        for row in run.rows:
            if row.measurement in ("recovery_rate", "conditional_entropy"):
                assert (row.groups is not None) == (row.split in ("train", "test"))
    page = (done / "report.html").read_text()
    assert "How alike rows of one author are" in page
    assert "copies in the training set" in page


@pytest.mark.slow
def test_other_intervals_of_the_same_arrays_need_no_model(done: Path, tmp_path: Path) -> None:
    import shutil

    out = Path(shutil.copytree(done, tmp_path / "s"))
    before = config(done.parent)
    for file in out.glob("*/checkpoint"):
        shutil.rmtree(file)  # nothing can be loaded
    asked = dataclasses.replace(before, probe=dataclasses.replace(before.probe, resample="group"))
    sweep(asked, out, lambda event: None, executor=here)
    for run in planned_runs(out):
        rows = read_results(out / run.run_id).rows
        chosen = [r for r in rows if r.groups is not None and r.split in ("train", "test")]
        assert chosen
        assert all(r.by_group for r in chosen if r.measurement == "recovery_rate")
        assert json.loads((out / run.run_id / CONFIG).read_text())["probe"]["resample"] == "group"


def test_repeats_that_do_not_fit_the_smallest_size_are_refused(tmp_path: Path) -> None:
    small = config(tmp_path)
    data = dataclasses.replace(small.data, repeat=(1, 200))
    with pytest.raises(AttractorError, match="repeat = 200 is above the 128 rows"):
        dataclasses.replace(small, data=data)
    # Of a share of the corpus it is known only now.
    wrong = dataclasses.replace(small, data=data, sizes=(0.128,))
    with pytest.raises(AttractorError, match="repeat = 200 is above the 128 rows"):
        plan(wrong, 1000)


def test_groups_of_one_row_each_are_refused_before_training(tmp_path: Path) -> None:
    small = config(tmp_path)
    probe = dataclasses.replace(small.probe, resample="group", rows=2)
    with pytest.raises(AttractorError, match="resample = 'group': the 2 rows are of 2 groups"):
        sweep(
            dataclasses.replace(small, probe=probe), tmp_path / "s", lambda e: None, executor=here
        )


@pytest.mark.slow
def test_further_seeds_at_some_sizes_only(tmp_path: Path) -> None:
    alike = dataclasses.replace(
        config(tmp_path), sizes=(32, 64, 128), seeds_at=(64,), data_seeds=(),
        data=dataclasses.replace(config(tmp_path).data, repeat=(), group=""),
    )  # fmt: skip
    sweep(alike, tmp_path / "s", lambda event: None, executor=here)
    runs = [read_results(tmp_path / "s" / run.run_id) for run in planned_runs(tmp_path / "s")]
    found = {(r.provenance.n_train, r.provenance.seed) for r in runs}
    assert found == {(32, 0), (64, 0), (64, 1), (128, 0)}
    assert alike.runs == 4
    report = read_report(tmp_path / "s")
    assert {(p.n_train, len(p.seeds)) for curve in report.recovery for p in curve.points} == {
        (32, 1), (64, 2), (128, 1)
    }  # fmt: skip
    assert runs_of(report) == "2 training seeds at some sizes"
    with pytest.raises(AttractorError, match="seeds_at = 100 is none of the sizes"):
        dataclasses.replace(alike, seeds_at=(100,))

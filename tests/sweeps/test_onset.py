"""The transition over training time, from the checks of a sweep's runs to the page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
from trainings import STEPS, metrics, watched

from attractor import AttractorError
from attractor.analysis.advantage import basin_advantage
from attractor.analysis.training_runs import replicate_reach, seed_reach
from attractor.config.settings import DataConfig, MonitorConfig, RunConfig, TrainConfig
from attractor.report.onset import onset_figures, onset_tables
from attractor.report.page import write_report
from attractor.report.sweep_files import read_report
from attractor.sweeps.onset import onset_summary, read_checks
from attractor.sweeps.plan import PlannedRun

SIZES = (16, 64, 256, 1024)


def runs(
    out: Path, seeds: tuple[int, ...] = (0,), rows: int = 48, orders: tuple[int, ...] = (0,)
) -> list[PlannedRun]:
    """Onsets of recovery at 10 n^(1/2), of copies at twice that; the largest size has none."""
    made = []
    for order, seed in itertools.product(orders, seeds):
        for n in SIZES:
            middle = 10 * n**0.5 if n < 1024 else 1e9
            seen = watched(np.random.default_rng([n, seed, order]), rows, middle, 2 * middle)
            if n == 1024:
                seen = seen._replace(entropy=np.maximum(seen.entropy, 0.4))
            config = RunConfig(
                n_train=n,
                seed=seed,
                data=DataConfig(order=order),
                train=TrainConfig(steps=3000),
                monitor=MonitorConfig(at=tuple(round(s) for s in STEPS), t=0.3),
            )
            made.append(PlannedRun(f"run-{n}-{seed}-{order}", config))
            metrics(out / made[-1].run_id / "metrics.jsonl", seen)
    return made


def of(found: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (one,) = [x for x in found if all(x[key] == value for key, value in wanted.items())]
    return one


def test_onsets_growth_and_order_are_those_of_the_law(tmp_path: Path) -> None:
    found = onset_summary(runs(tmp_path), tmp_path)
    assert found is not None
    assert (found["t"], found["reference"], found["reason"]) == (0.3, 1024, None)
    assert len(found["checks"]) == len(SIZES) * len(STEPS)
    for line in found["checks"]:
        apart = basin_advantage(line["recovery_train"], line["recovery_test"])
        assert apart == pytest.approx(line["advantage"])
        assert line["recovery_test_ci"][0] <= line["recovery_test"] <= line["recovery_test_ci"][1]
    for n in SIZES[:-1]:
        place = of(found["onsets"], n_train=n, quantity="advantage")
        assert place["ci"][0] < 10 * n**0.5 < place["ci"][1]
        assert place["between"][0] < place["step"] < place["between"][1]
    assert of(found["onsets"], n_train=1024, quantity="copies")["step"] is None
    slope = of(found["growth"], quantity="advantage")
    assert slope["sizes"] == (16, 64, 256)
    assert slope["ci"][0] < 0.5 < slope["ci"][1]
    together = of(found["order"], n_train=None, second="copies")
    assert together["verdict"] == "before"
    assert together["ci"][0] < 2 < together["ci"][1]
    assert {x["n_train"] for x in found["order"] if x["second"] == "entropy"} == {16, 64, 256, None}
    json.dumps(found, allow_nan=False)


def test_several_seeds_are_told_apart(tmp_path: Path) -> None:
    found = onset_summary(runs(tmp_path, (0, 1, 2), rows=16), tmp_path)
    assert found is not None
    place = of(found["onsets"], n_train=256, quantity="advantage")
    assert len(place["seeds"]) == 3
    assert place["seeds_ci"][0] < 160 < place["seeds_ci"][1]


def test_every_order_of_the_data_is_a_training_run_and_six_of_two_are_not_six(
    tmp_path: Path,
) -> None:
    found = onset_summary(runs(tmp_path, (0, 1, 2), 16, (0, 1)), tmp_path)
    assert found is not None
    place = of(found["onsets"], n_train=256, quantity="advantage")
    assert len(place["seeds"]) == 6
    known = np.log(place["seeds"])
    labels = list(itertools.product((0, 1), (0, 1, 2)))
    reach = float(np.log(place["seeds_ci"][1] / place["seeds_ci"][0])) / 2
    assert reach == pytest.approx(replicate_reach(known, labels))
    assert reach > seed_reach(known)


def test_a_sweep_that_was_not_watched_has_none(tmp_path: Path) -> None:
    there = runs(tmp_path)
    for run in there:
        (tmp_path / run.run_id / "metrics.jsonl").write_text(
            json.dumps({"step": 1, "loss": 1.0, "check": {"recovery_train": 0.5}}) + "\n"
        )
    assert onset_summary(there, tmp_path) is None
    # One check is no course.
    seen = watched(np.random.default_rng(0), 8, 100, 100, STEPS[:1])
    metrics(tmp_path / there[0].run_id / "metrics.jsonl", seen)
    found = onset_summary(there, tmp_path)
    assert found is not None
    assert found["reason"] == "fewer than 3 checks at any size"


def test_checks_close_together_are_thinned(tmp_path: Path) -> None:
    """Every step up to 300 is what a check every step would leave."""
    seen = watched(np.random.default_rng(0), 8, 100, 100, np.arange(10.0, 301))
    there = runs(tmp_path)[:1]
    metrics(tmp_path / there[0].run_id / "metrics.jsonl", seen)
    found = onset_summary(there, tmp_path)
    assert found is not None
    steps = [line["step"] for line in found["checks"]]
    assert len(steps) < 40
    assert all(b >= 1.1 * a for a, b in itertools.pairwise(steps))


def test_checks_made_otherwise_before_an_interruption_are_left_out(tmp_path: Path) -> None:
    few = watched(np.random.default_rng(0), 4, 100, 100, np.array([10.0, 20]))
    more = watched(np.random.default_rng(0), 8, 100, 100, np.array([40.0, 80]))
    lines = [
        metrics(tmp_path / f"{i}.jsonl", seen).read_text() for i, seen in enumerate((few, more))
    ]
    (tmp_path / "both.jsonl").write_text("".join(lines))
    assert list(read_checks(tmp_path / "both.jsonl")) == [40, 80]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "che')
    with pytest.raises(AttractorError, match=r"metrics.jsonl: not the metrics of a training"):
        read_checks(tmp_path / "metrics.jsonl")


def test_the_page_shows_courses_onsets_and_what_they_say(tmp_path: Path) -> None:
    found = onset_summary(runs(tmp_path), tmp_path)
    folder = made_up.write(tmp_path / "sweep", made_up.full() | {"onset": found})
    report = read_report(folder)
    courses, onsets = onset_figures(report)
    assert [panel.id for panel in courses.panels] == [
        "course-advantage-plot",
        "course-copies-plot",
        "course-entropy-plot",
    ]
    assert [key.label for key in courses.keys] == [f"n = {n:,}" for n in SIZES]
    assert [key.label for key in onsets.keys] == ["recovery", "copies", "entropy of own text"]
    each, said = onset_tables(report)
    assert ("1,024", "recovery", "none") in [row[:3] for row in each.rows]
    assert ("copies over recovery", "all") in [row[:2] for row in said.rows]
    assert "recovery comes before copies" in {row[-1] for row in said.rows}
    assert "Memorization over training" in write_report(folder).read_text()
    assert onset_figures(read_report(made_up.write(tmp_path / "old", made_up.full()))) == []

"""Watching a model while it trains: what is measured, when it stops, and where it is sent."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from attractor import AttractorError, UniformProcess
from attractor.config.identity import identity, run_config_from_dict, run_id, to_dict
from attractor.config.settings import MonitorConfig, RunConfig, SweepConfig, TrainConfig
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import conditionals, recovery, sample
from attractor.runs import train as training
from attractor.runs.folder import is_finished
from attractor.runs.monitor import monitor
from attractor.runs.run import run_alone
from attractor.runs.tracking import flat
from attractor.train.checkpoints import checkpoint_paths
from attractor.train.state import Check, Progress


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run that measures little at its end: here it is watched while it trains."""
    sweep = tiny.config(tiny.corpus(tmp_path))
    probe = dataclasses.replace(sweep.probe, measure=("entropy",))
    return RunConfig(n_train=16, data=sweep.data, model=sweep.model, train=sweep.train, probe=probe)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_check_is_what_the_probes_say() -> None:
    torch.manual_seed(0)
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8)
    rows = np.random.default_rng(0).integers(0, 7, (40, 12)).astype(np.int32)
    settings = MonitorConfig(every=1, rows=8, t=0.5, steps=10)
    check = monitor(UniformProcess(7), rows[:20], rows[20:], settings)(network)
    denoiser = NetworkDenoiser(network, UniformProcess(7), 12)
    assert check.recovery_train == pytest.approx(
        recovery(denoiser, rows[:8], 0.5, 10).rate, abs=1e-6
    )
    assert check.recovery_test == pytest.approx(
        recovery(denoiser, rows[20:28], 0.5, 10).rate, abs=1e-6
    )
    value, low, high = check.recovery_gap
    assert value == pytest.approx(check.recovery_train - check.recovery_test, abs=2e-6)
    assert low < value < high
    # output weights start at zero: every token is as likely as any other
    assert not check.gap_opened
    assert check.entropy_gap_train == pytest.approx((0, 0, 0), abs=1e-5)


def test_a_check_holds_what_its_numbers_are_made_of() -> None:
    """On a network whose output weights are zero, so that every token has the same probability."""
    torch.manual_seed(0)
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8)
    rows = np.random.default_rng(0).integers(0, 7, (40, 12)).astype(np.int32)
    denoiser = NetworkDenoiser(network, UniformProcess(7), 12)
    own = sample(denoiser, 8, 12, 10).numpy()
    # Of the eight generations three are training rows; of the unseen rows one is, but for a token.
    train, test = np.concatenate([rows[:20], own[:3]]), rows[20:].copy()
    test[1] = train[5]
    test[1, 0] = (test[1, 0] + 1) % 7
    check = monitor(UniformProcess(7), train, test, MonitorConfig(rows=8, t=0.1, steps=10))(network)
    found = check.per_row
    assert found is not None
    assert {len(values) for values in found.values()} == {8}
    assert found["nearest_generated"][:3] == [0, 0, 0]
    assert found["nearest_test"][1] == pytest.approx(1 / 12, abs=1e-6)
    assert check.copies is not None
    assert check.copies_test is not None
    for name, (value, low, high) in [
        ("nearest_generated", check.copies),
        ("nearest_test", check.copies_test),
    ]:
        assert value == np.mean([x <= 0.25 for x in found[name]])  # type: ignore[operator]
        assert low < value < high or value in (low, high)
    assert check.copies[0] >= 3 / 8
    assert found["entropy_train"] == pytest.approx([np.log(7)] * 8, abs=1e-5)
    given = conditionals(denoiser, own)
    assert found["nll_generated"] == pytest.approx((-given.log_prob.mean(1)).tolist(), abs=1e-5)
    # At t = 0.1 of twelve tokens hardly one is noise: rows without any have no rate.
    rates = recovery(denoiser, train[:8], 0.1, 10).rate_per_sequence().tolist()
    assert found["recovery_train"] == [None if r != r else pytest.approx(r) for r in rates]
    assert None in found["recovery_train"]


def test_checks_at_chosen_steps(config: RunConfig, tmp_path: Path) -> None:
    """At these and no others, also at steps without a line of the loss; the same rows each time."""
    settings = MonitorConfig(at=(3, 12, 30), rows=4, t=0.5, steps=8)
    watched = dataclasses.replace(config, monitor=settings)
    run_alone(watched, tmp_path / "run", lambda line: None)
    found = lines(tmp_path / "run")
    assert [line["step"] for line in found] == [3, 10, 12, 20, 30]
    checks = [line["check"] for line in found if line["check"]]
    assert [line["step"] for line in found if line["check"]] == [3, 12, 30]
    assert len({tuple(check["per_row"]["nearest_test"]) for check in checks}) == 1
    assert len({tuple(check["copies_test"]) for check in checks}) == 1


def test_steps_of_checks_leave_names_of_runs_alone(config: RunConfig) -> None:
    watched = dataclasses.replace(config, monitor=MonitorConfig(at=(1, 2, 4)))
    assert run_id(watched) == run_id(config)
    assert run_config_from_dict(to_dict(watched)) == watched
    # Where checks may end the training their settings count, those of earlier versions alone
    # unless `at` is given.
    stopping = dataclasses.replace(config, monitor=MonitorConfig(every=10, stop_after=2))
    assert "at" not in identity(stopping)["monitor"]
    moved = dataclasses.replace(config, monitor=MonitorConfig(every=10, stop_after=2, at=(4,)))
    assert run_id(moved) != run_id(stopping)


def test_a_tracker_gets_numbers_and_the_file_gets_rows() -> None:
    rows: dict[str, list[float | None]] = {"recovery_train": [0.5, None]}
    gap = (0.3, 0.1, 0.5)
    check = Check(0.9, 0.6, gap, gap, gap, gap, None, rows)
    found = flat(Progress(step=1, loss=1.0, grad_norm=1.0, lr=0.1, tokens_per_s=1.0, check=check))
    assert found["copies_low"] == 0.1
    assert all(isinstance(value, (int, float)) for value in found.values())


def test_checks_are_logged_with_the_loss_and_change_no_weight(
    config: RunConfig, tmp_path: Path
) -> None:
    watched = dataclasses.replace(config, monitor=MonitorConfig(every=20, rows=4, t=0.5, steps=8))
    assert run_id(watched) == run_id(config)
    run_alone(watched, tmp_path / "watched", lambda line: None)
    run_alone(config, tmp_path / "alone", lambda line: None)
    assert [line["check"] is None for line in lines(tmp_path / "watched")] == [True, False, False]
    assert set(lines(tmp_path / "watched")[1]["check"]) >= {
        "recovery_gap",
        "entropy_gap_train",
        "entropy_gap_test",
    }
    models = [
        (checkpoint_paths(tmp_path / name)[0] / "model.safetensors").read_bytes()
        for name in ("watched", "alone")
    ]
    assert models[0] == models[1]


@pytest.mark.slow
def test_training_stops_at_the_onset_of_memorization_and_stays_stopped(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks that find a gap at steps 10, 30, 40, ...: the second in a row is at step 40."""
    found = iter([True, False, True, True, True])

    def check(network: DDiT) -> Check:
        gap = (0.3, 0.1, 0.5) if next(found) else (0.3, -0.1, 0.7)
        return Check(0.9, 0.6, gap, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

    monkeypatch.setattr(training, "monitor", lambda *_: check)
    settings = MonitorConfig(every=10, stop_after=2)
    stopping = dataclasses.replace(
        config,
        monitor=settings,
        train=dataclasses.replace(config.train, steps=90, checkpoint_minutes=0),
    )
    assert run_id(stopping) != run_id(dataclasses.replace(stopping, monitor=MonitorConfig()))

    def interrupt(line: Progress) -> None:
        if line.step == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_alone(stopping, tmp_path / "run", interrupt)
    found = iter([True])  # of step 40 again: that of step 30 is remembered
    run_alone(stopping, tmp_path / "run", lambda line: None)
    assert is_finished(tmp_path / "run")
    assert [line["step"] for line in lines(tmp_path / "run")] == [10, 20, 30, 40]
    (tmp_path / "run" / "results.parquet").unlink()
    run_alone(stopping, tmp_path / "run", lambda line: None)
    assert is_finished(tmp_path / "run")
    assert len(lines(tmp_path / "run")) == 4


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_every_line_is_streamed_when_asked(
    name: Any, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    fake = SimpleNamespace(
        init=lambda **what: seen.append(what),
        log=lambda numbers, step: seen.append((step, numbers)),
        finish=lambda: seen.append("end"),
    )
    monkeypatch.setitem(sys.modules, name, fake)
    settings = MonitorConfig(every=30, rows=4, t=0.5, steps=8, track=name)
    asked = dataclasses.replace(config, monitor=settings)
    run_alone(asked, tmp_path / "run", lambda line: None)
    start, *steps, end = seen
    assert (start["project"], start["name"], start["resume"]) == (
        "attractor",
        run_id(config),
        "allow",
    )
    assert start["config"]["n_train"] == 16
    assert ("id" in start) == (name == "wandb")
    assert [step for step, _ in steps] == [10, 20, 30]
    assert {
        "loss",
        "validation_nelbo",
        "recovery_gap",
        "recovery_gap_low",
        "entropy_gap_test",
    } <= set(steps[-1][1])
    assert end == "end"


def test_a_tracker_that_is_missing_names_its_extra(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    asked = dataclasses.replace(config, monitor=MonitorConfig(track="wandb"))
    with pytest.raises(
        AttractorError, match=r"track = 'wandb' needs .* pip install 'attractor\[track\]'"
    ):
        run_alone(asked, tmp_path / "run", lambda line: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stop_after": 2}, "stop_after = 2 needs checks"),
        ({"t": 0.0}, r"t = 0.0 is outside \(0, 1\]"),
        ({"rows": 1}, "rows = 1: an interval needs at least 2"),
        ({"every": -1}, "every = -1 must be at least 0"),
        ({"at": (0, 5)}, r"at = \(0, 5\): steps begin with 1"),
        ({"at": (5, 5)}, r"at = \(5, 5\): steps begin with 1, and none comes twice"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        MonitorConfig(**settings)


@pytest.mark.parametrize("kind", [RunConfig, SweepConfig])
def test_a_check_after_the_end_is_refused(kind: Any) -> None:
    sizes = {"sizes": (4,)} if kind is SweepConfig else {}
    with pytest.raises(AttractorError, match="at = 200 is beyond the last step, 100"):
        kind(train=TrainConfig(steps=100), monitor=MonitorConfig(at=(10, 200)), **sizes)

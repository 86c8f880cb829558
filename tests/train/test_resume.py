"""Training that is stopped anywhere and taken up again ends with the bits of training that was
not."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attractor import AttractorError, UniformProcess
from attractor.config.settings import TrainConfig
from attractor.machine.checkpoint import is_sound
from attractor.model.ddit import DDiT
from attractor.train import checkpoints
from attractor.train.checkpoints import Checkpoints, checkpoint_paths
from attractor.train.logbook import METRICS, SPEED, Logbook
from attractor.train.loop import train
from attractor.train.state import Progress, TrainState
from attractor.train.stop import STOPS, PoliteStop
from attractor.train.watch import Watch
from faults import Machine, Stopped

ROWS = np.random.default_rng(0).integers(0, 7, (9, 6)).astype(np.int32)
CONFIG = TrainConfig(
    steps=5,
    batch_size=4,
    lr=3e-3,
    warmup=3,
    log_every=2,
    validate_every=2,
    checkpoint_minutes=0,
    keep_checkpoints=2,
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def _heard_signals() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, and `nohup` SIGHUP; training keeps to
    that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGHUP, hangup)


def run(
    folder: Path, config: TrainConfig = CONFIG, seed: int = 5, stop: PoliteStop | None = None
) -> TrainState:
    """Train in `folder`, or go on there, with dropout; validation is how far the weights have come:
    it gets worse."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, dropout=0.2)
    start = network.vocab_embed.embedding.detach().clone()
    with contextlib.closing(Logbook(folder)) as log:
        return train(
            network, UniformProcess(7), ROWS, config, seed=seed, on_progress=log.write,
            watch=Watch(lambda twin: (twin.vocab_embed.embedding - start).norm().item()),
            checkpoints=Checkpoints(folder, {"vocab_size": 7}, seed, config, log,
            stop or PoliteStop()),
        )  # fmt: skip


def end(folder: Path) -> dict[str, bytes]:
    """Every byte of the last checkpoint and of the metrics."""
    last = checkpoint_paths(folder)[0]
    return {p.name: p.read_bytes() for p in (*sorted(last.iterdir()), folder / METRICS)}


def steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in checkpoint_paths(folder)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


def test_the_newest_and_the_best_are_kept(whole: Path) -> None:
    assert steps(whole) == [5, 4, 2]
    assert set(end(whole)) == {
        "model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json", METRICS
    }  # fmt: skip
    state = json.loads((checkpoint_paths(whole)[0] / "state.json").read_text())
    assert (state["step"], state["random"], state["data"]) == (
        5,
        {"seed": 5, "step": 5},
        {"rows_seen": 20},
    )
    lines = [json.loads(line) for line in (whole / METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert "tokens_per_s" in json.loads((whole / SPEED).read_text().splitlines()[0])


@pytest.mark.parametrize("each", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("power", [False, True], ids=["kill", "power failure"])
def test_stopped_at_any_call_of_the_file_system_nothing_is_lost(
    power: bool, each: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call from the first of the run to the last is where the machine stops, once; or every
    seventh of them."""
    at, finished = 1 - each, False
    while not finished:
        at += each
        folder = tmp_path / "run"
        machine = Machine(folder, at)
        with monkeypatch.context() as patch, contextlib.suppress(Stopped):
            machine.start(patch)
            run(folder)
            finished = True
        machine.end()
        if power:
            machine.lose_power()
        run(folder)
        assert end(folder) == end(whole), at
        assert steps(folder) == steps(whole), at
        assert not list(folder.rglob(".*")), at
        shutil.rmtree(folder)
    assert at > 100


def test_of_several_processes_the_best_is_saved_too_where_they_do_not_ask_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask at every 10th step; the validation, which gets worse, is best at its first one, step
    3."""
    several = SimpleNamespace(count=2, is_main=True, largest=lambda value: value, wait=lambda: None)
    monkeypatch.setattr(checkpoints, "processes", lambda: several)
    rare = dataclasses.replace(
        CONFIG, steps=20, log_every=11, validate_every=3, checkpoint_minutes=60, keep_checkpoints=1
    )
    run(tmp_path / "run", rare)
    assert steps(tmp_path / "run") == [20, 3]


def test_every_estimate_has_its_line(tmp_path: Path) -> None:
    run(tmp_path / "run", dataclasses.replace(CONFIG, steps=8, log_every=3, validate_every=4))
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [(line["step"], line["validation_nelbo"] is not None) for line in lines] == [
        (3, False), (4, True), (6, False), (8, True)
    ]  # fmt: skip


def test_a_validation_that_is_no_number_is_never_the_best() -> None:
    found = iter([math.nan, 2.0, math.inf, 1.0, math.nan])
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8)
    lines: list[Progress] = []
    state = train(
        network, UniformProcess(7), ROWS, dataclasses.replace(CONFIG, validate_every=1),
        watch=Watch(lambda twin: next(found)), on_progress=lines.append,
    )  # fmt: skip
    assert state.best == (4, 1.0)
    assert [line.validation_nelbo for line in lines] == [None, 2.0, None, 1.0, None]


def test_an_asked_for_stop_saves_and_leaves_as_the_signal_would(
    whole: Path, tmp_path: Path
) -> None:
    rare = dataclasses.replace(CONFIG, checkpoint_minutes=60)
    outcomes = (KeyboardInterrupt, SystemExit, SystemExit)
    for number, outcome in zip(STOPS, outcomes, strict=True):
        folder = tmp_path / number.name
        with pytest.raises(outcome), PoliteStop() as stop:  # noqa: PT012
            signal.raise_signal(number)
            run(folder, rare, stop=stop)
        assert steps(folder) == [1]
        run(folder, rare)
        assert end(folder) == end(whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_stop_that_nobody_can_be_told_of_still_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal is gone, as after SIGHUP, or `2>&1 | head`."""

    class Gone:
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    with pytest.raises(SystemExit), PoliteStop() as stop:  # noqa: PT012
        signal.raise_signal(signal.SIGHUP)
        run(tmp_path / "run", dataclasses.replace(CONFIG, checkpoint_minutes=60), stop=stop)
    assert steps(tmp_path / "run") == [1]


def test_momentum_of_muon_is_saved_too(tmp_path: Path) -> None:
    muon = dataclasses.replace(CONFIG, optimizer="muon")
    run(tmp_path / "whole", muon)
    run(tmp_path / "parts", dataclasses.replace(muon, steps=2))
    run(tmp_path / "parts", muon)
    last = ("model.safetensors", "ema.safetensors", "optimizer.safetensors")
    assert [end(tmp_path / "whole")[name] for name in last] == [
        end(tmp_path / "parts")[name] for name in last
    ]


def test_stopped_after_every_step_the_curriculum_ends_as_if_it_were_not(tmp_path: Path) -> None:
    """Within the curriculum, at its last step, and beyond it."""
    duo = dataclasses.replace(CONFIG, curriculum="duo", curriculum_steps=3)
    run(tmp_path / "whole", duo)
    for step in range(1, 5):
        stop = PoliteStop()
        stop.signal = signal.SIGTERM
        with pytest.raises(SystemExit):
            run(tmp_path / "parts", duo, stop=stop)
        assert steps(tmp_path / "parts")[0] == step
    run(tmp_path / "parts", duo)
    assert end(tmp_path / "parts") == end(tmp_path / "whole")


def test_a_second_signal_acts_at_once_unless_it_is_the_first_one_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 10.1, 13.0])
    monkeypatch.setattr("attractor.train.stop.time.monotonic", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt), PoliteStop() as stop:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert next(clock, None) is None


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "flipped": _flip,
    "cut": lambda f: f.write_bytes(f.read_bytes()[:-9]),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"]
)
def test_a_damaged_checkpoint_is_named_and_passed_over(
    damage: str, name: str, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    DAMAGES[damage](folder / "checkpoint" / "step-00000005" / name)
    with pytest.warns(UserWarning, match=r"step-00000005.*going on from an earlier one"):
        run(folder)
    assert end(folder) == end(whole)
    assert is_sound(folder / "checkpoint" / "step-00000005")


def test_a_damaged_checkpoint_evicts_no_sound_one(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rarely = dataclasses.replace(CONFIG, validate_every=100)
    run(folder, dataclasses.replace(rarely, steps=4))
    _flip(folder / "checkpoint" / "step-00000004" / "ema.safetensors")
    stop = PoliteStop()
    stop.signal = signal.SIGTERM
    shutil.copytree(
        folder / "checkpoint" / "step-00000004", folder / "checkpoint" / "step-00000009"
    )
    with pytest.warns(UserWarning, match="step-0000000[49]"), pytest.raises(SystemExit):
        run(folder, rarely, stop=stop)
    assert steps(folder) == [4, 3]
    assert all(is_sound(path) for path in checkpoint_paths(folder))


def test_without_any_sound_checkpoint_it_starts_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    for path in checkpoint_paths(folder):
        _flip(path / "model.safetensors")
    with pytest.warns(UserWarning, match="does not match its checksum") as warnings:
        run(folder)
    assert len(warnings) == 3
    assert end(folder) == end(whole)


def test_lost_metrics_send_it_back_to_where_they_are_known(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / METRICS).write_bytes((whole / METRICS).read_bytes()[:-10])
    with pytest.warns(UserWarning, match="metrics beside .* are cut short"):
        run(folder)
    assert end(folder) == end(whole)


def test_another_seed_is_an_error_and_no_damage(whole: Path) -> None:
    with pytest.raises(AttractorError, match="is of seed 5, not 6"):
        run(whole, seed=6)

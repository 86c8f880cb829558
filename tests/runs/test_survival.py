"""A run survives whatever happens to its process, and keeps other processes out."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tiny
from attractor import AttractorError
from attractor.config.identity import config_hash, identity, to_dict
from attractor.config.settings import RunConfig, TrainConfig
from attractor.machine.files import (
    atomic_directory,
    is_locked,
    locked,
    make_directory,
    require_space,
    restore,
    write_atomically,
)
from attractor.runs.folder import CONFIG, claimed, is_finished
from attractor.runs.run import run_alone
from attractor.train.logbook import Logbook
from faults import Machine, Stopped


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.slow
@pytest.mark.parametrize("kills", [50])
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(kills: int, tmp_path: Path) -> None:
    """SIGKILL, SIGTERM and SIGINT: weights, averages, moments, metrics and results are those of a
    run left alone.

    Most of a run's life lies behind its first checkpoint, so most attempts go on from one.
    """
    script = Path(__file__).with_name("killed.py")
    path = os.pathsep.join([str(script.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(kills)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(
        r"(\d+) kills in (\d+) runs, (\d+) attempts went on from a checkpoint, all bit-identical\n",
        done.stdout,
    )
    assert found, done.stdout
    assert int(found[1]) == kills
    assert int(found[3]) >= kills // 3


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run that measures little: what is measured is not what survives here."""
    sweep = tiny.config(tiny.corpus(tmp_path))
    probe = dataclasses.replace(sweep.probe, measure=("entropy",))
    return RunConfig(n_train=16, data=sweep.data, model=sweep.model, train=sweep.train, probe=probe)


def half_done(config: RunConfig, folder: Path) -> None:
    """A run that was interrupted at its first line."""

    def interrupt(line: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_alone(config, folder, interrupt)


@pytest.mark.slow
def test_an_unfinished_run_goes_on_only_with_its_own_settings(
    config: RunConfig, tmp_path: Path
) -> None:
    half_done(config, tmp_path / "run")
    assert not is_finished(tmp_path / "run")
    other = dataclasses.replace(
        config, seed=3, train=dataclasses.replace(config.train, lr=1e-4, batch_size=4)
    )
    with pytest.raises(AttractorError) as refused:
        run_alone(other, tmp_path / "run", lambda line: None)
    for key in (
        "seed (0 there, 3 asked for)",
        "train.batch_size (8 there, 4",
        "train.lr (0.003 there, 0.0001",
    ):
        assert key in str(refused.value)
    often = dataclasses.replace(
        config, train=dataclasses.replace(config.train, checkpoint_minutes=0)
    )
    run_alone(often, tmp_path / "run", lambda line: None)
    assert is_finished(tmp_path / "run")


def test_a_run_of_a_newer_schema_is_refused_before_any_work(
    config: RunConfig, tmp_path: Path
) -> None:
    half_done(config, tmp_path / "run")
    path = tmp_path / "run" / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 9}))
    with pytest.raises(
        AttractorError, match=r"config.json' is of schema 9, made by a newer attractor"
    ):
        run_alone(config, tmp_path / "run", lambda line: None)


def test_force_replaces_an_unfinished_run(config: RunConfig, tmp_path: Path) -> None:
    half_done(config, tmp_path / "run")
    other = dataclasses.replace(config, seed=3)
    run_alone(other, tmp_path / "run", lambda line: None, force=True)
    assert json.loads((tmp_path / "run" / CONFIG).read_text())["seed"] == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.txt", "run"]


def test_two_processes_do_not_share_a_run(config: RunConfig, tmp_path: Path) -> None:
    """The lock is the kernel's: it goes with its process, whatever that one left behind."""
    folder = tmp_path / "run"
    half_done(config, folder)
    hold = (
        "import sys, time; from pathlib import Path; from attractor.machine.files import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    with other, other.stdout:
        other.stdout.readline()
        for force in (False, True):
            with pytest.raises(AttractorError, match=rf"run' is in use by process {other.pid} on "):
                run_alone(config, folder, lambda line: None, force)
        other.kill()
    run_alone(config, folder, lambda line: None)
    assert is_finished(folder)


def test_who_only_asks_whether_a_folder_is_in_use_keeps_nobody_out(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_locked(tmp_path)
    asking = (tmp_path / ".lock").open()
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(0.2, asking.close).start()
    with locked(tmp_path):
        assert asking.closed
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_who_waits_for_somebody_asking_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who wait would otherwise keep each other out for ever."""
    (tmp_path / ".lock").touch()
    asking, other = (tmp_path / ".lock").open(), (tmp_path / ".lock").open("a")
    fcntl.flock(asking, fcntl.LOCK_SH)

    def meanwhile(seconds: float) -> None:
        asking.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.close()

    monkeypatch.setattr("attractor.machine.files.time.sleep", meanwhile)
    with locked(tmp_path):
        assert other.closed


def test_what_force_was_to_replace_comes_back_unless_the_new_config_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at every call of the file system; then the config that the folder says, or else the
    old one, goes on."""
    at, finished, kept = 0, False, 0
    while not finished:
        at += 1
        folder = tmp_path / str(at) / "sweep"
        with claimed(folder, CONFIG, {"seed": 1}, force=False):
            (folder / "work").write_text("of days")
        machine = Machine(tmp_path, at)
        with monkeypatch.context() as patch:
            machine.start(patch)
            with contextlib.suppress(Stopped), claimed(folder, CONFIG, {"seed": 2}, force=True):
                pass
            finished = machine.calls < at
        machine.end()
        is_new = (folder / CONFIG).is_file() and json.loads((folder / CONFIG).read_text())[
            "seed"
        ] == 2
        with claimed(folder, CONFIG, {"seed": 1 + is_new}, force=False):
            assert (folder / "work").is_file() != is_new, at
        kept += not is_new
    assert 5 < kept < at


def test_a_second_force_gives_back_what_the_first_had_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed in its block, the second at every call of the file system, the third
    fails."""
    at, finished, kept = 0, False, 0
    while not finished:
        at += 1
        folder = tmp_path / str(at) / "sweep"
        with claimed(folder, CONFIG, {"seed": 1}, force=False):
            (folder / "work").write_text("of days")
        accepted = False
        for seed, machine in ((2, Machine(tmp_path)), (3, Machine(tmp_path, at))):
            with monkeypatch.context() as patch:
                machine.start(patch)
                with (
                    contextlib.suppress(Stopped),
                    claimed(folder, CONFIG, {"seed": seed}, force=True),
                ):
                    if seed == 2:
                        machine.at = machine.calls
                    (folder / "half-made").mkdir()
                    accepted = True
            machine.end()
        finished = machine.calls < at
        with pytest.raises(ZeroDivisionError), claimed(folder, CONFIG, {"seed": 4}, force=True):
            raise ZeroDivisionError
        seed = json.loads((folder / CONFIG).read_text())["seed"]
        assert (folder / "work").is_file() == (seed == 1), at
        assert seed == 1 or (seed == 3 and accepted), at
        kept += seed == 1
        assert [path.name for path in folder.parent.iterdir()] == ["sweep"]
    assert 5 < kept < at


def test_force_goes_through_a_link_and_not_under_the_feet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, scratch = tmp_path / "sweep", tmp_path / "scratch"
    scratch.mkdir()
    link.symlink_to(scratch)
    for seed in (1, 2, 3):
        with claimed(link, "sweep.json", {"seed": seed}, force=seed > 1):
            (link / f"work-{seed}").touch()
    assert link.is_symlink()
    assert sorted(path.name for path in scratch.iterdir()) == [".lock", "sweep.json", "work-3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "sweep"]
    monkeypatch.chdir(scratch)
    with claimed(Path(), "sweep.json", {"seed": 3}, force=False):
        pass
    with pytest.raises(AttractorError, match="is where this was started"):
        claimed(Path(), "sweep.json", {"seed": 4}, force=True).__enter__()
    assert (scratch / "work-3").is_file()


def test_who_comes_second_to_a_new_folder_does_not_replace_what_the_first_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found it empty, and the second was halted until the first had finished."""
    folder = tmp_path / "sweep"

    def meanwhile(path: Path) -> None:
        monkeypatch.undo()
        with claimed(path, CONFIG, {"seed": 1}, force=False):
            (path / "work").write_text("of days")

    for force in (False, True):
        monkeypatch.setattr("attractor.runs.folder.make_directory", meanwhile)
        with pytest.raises(AttractorError, match="has just been made by another process"):
            claimed(folder, CONFIG, {"seed": 2}, force).__enter__()
        assert (folder / "work").is_file()
        shutil.rmtree(folder)


def test_settings_that_change_no_number_are_no_part_of_the_identity() -> None:
    often = TrainConfig(checkpoint_minutes=1, keep_checkpoints=7)
    assert {config_hash(x) for x in (often, identity(often), to_dict(often))} == {
        config_hash(TrainConfig())
    }
    assert config_hash(TrainConfig(lr=1e-3)) != config_hash(often)


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power failure"])
def test_a_replaced_directory_is_the_old_or_the_new_one(
    power: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        target = tmp_path / str(at) / "data"
        make_directory(target)
        (target / "old").write_text("whole")
        machine = Machine(tmp_path, at)
        with monkeypatch.context() as patch:
            machine.start(patch)
            try:
                with atomic_directory(target) as partial:
                    (partial / "new").write_text("whole")
                finished = True
            except Stopped:
                pass
        machine.end()
        if power:
            machine.lose_power()
        restore(target)
        found = [(p.name, p.read_text()) for p in target.iterdir()]
        assert found in ([("old", "whole")], [("new", "whole")]), at
    assert at > 8


def test_a_disk_that_is_full_at_a_line_of_metrics_names_what_a_checkpoint_needs(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(log: Logbook, line: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Logbook, "write", full)
    with pytest.raises(
        AttractorError, match=r"the disk is full: '.*run' needs up to 0.1 MB to go on, .* are free"
    ):
        run_alone(config, tmp_path / "run", lambda line: None)


def test_a_full_disk_is_named_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        AttractorError, match=r"a checkpoint needs 9,000,000.00 GB in .*, but only .* GB are free"
    ):
        require_space(tmp_path, 9 * 10**15, "a checkpoint")

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AttractorError, match=r"the disk is full: '.*a.json' could not be written"):
        write_atomically(tmp_path / "a.json", "x")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    with locked(tmp_path):
        write_atomically(tmp_path / "a.json", "x")

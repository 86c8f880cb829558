"""A sweep that is stopped saves where its runs are, and leaves nothing half-written and no worker
behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny
from attractor.config.settings import RunConfig, SweepConfig
from attractor.data.dataset import Dataset
from attractor.machine.files import is_locked
from attractor.runs.folder import DATA, is_finished
from attractor.sweeps import executor
from attractor.sweeps.run import planned_runs, sweep


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds: float = 200) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def _as_in_a_terminal() -> None:
    """What a shell starts in the background, or `nohup` at all, ignores signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes with pgrep")
@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
@pytest.mark.slow
def test_a_stopped_sweep_leaves_nothing_half_written(
    stop: signal.Signals, code: int, tmp_path: Path
) -> None:
    """The whole group of processes is signalled, as a terminal, one that is closed, and a scheduler
    do."""
    source, folder = tiny.corpus(tmp_path), tmp_path / "sweep"
    command = [
        sys.executable,
        "-m",
        "attractor",
        "sweep",
        "--out",
        str(folder),
        "--data.source",
        str(source),
    ]
    small = (
        "--sizes 40 80 --train.steps 1000000 --data.seq-len 12 --probe.test-rows 8 "
        "--model.hidden-size 16"
    )
    process = subprocess.Popen(
        [*command, *small.split()], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=_as_in_a_terminal,
    )  # fmt: skip
    assert wait_for(lambda: any(f.stat().st_size for f in folder.glob("*/metrics.jsonl")))
    workers = [
        child for parent in (process.pid, *children(process.pid)) for child in children(parent)
    ]
    assert len(workers) >= 3
    assert is_locked(folder)
    os.killpg(process.pid, stop)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in error
    assert wait_for(lambda: not any(alive(worker) for worker in workers), 20)
    assert not is_locked(folder)
    assert not list(folder.rglob(".*.partial"))
    runs = [p.parent for p in folder.glob("*/metrics.jsonl")]
    assert all(len(list(run.glob("checkpoint/step-*"))) == 1 for run in runs)
    assert not any(is_finished(run) for run in runs)


SUMMARY = ("transition.json", "measurements.json", "passages.json", "report.html")


@pytest.mark.slow
def test_a_sweep_killed_at_any_file_of_its_summary_ends_as_if_it_were_not(
    small_config: SweepConfig, copied_sweep: Path
) -> None:
    """Controls and pages, each killed before its last step; no half of a file stays for good."""
    names = [*SUMMARY, *(f"controls/{name}/tokens.parquet" for name in ("untrained", "memorizer"))]
    before = {name: (copied_sweep / name).read_bytes() for name in names}
    for name in SUMMARY:
        (copied_sweep / name).unlink()
    shutil.rmtree(copied_sweep / "controls")
    at, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        at += 1
        code = _killed_at(at, small_config, copied_sweep)
    assert code == 0
    assert at > 5
    assert not list(copied_sweep.rglob(".*.partial"))
    assert not is_locked(copied_sweep)
    for name in names:
        text = (copied_sweep / name).read_bytes()
        assert _without_time(text) == _without_time(before[name]), name


def _without_time(content: bytes) -> list[bytes]:
    timed = (b"elapsed_s", b"Time for the sweep")
    return [line for line in content.splitlines() if not any(word in line for word in timed)]


def _killed_at(at: int, config: SweepConfig, folder: Path) -> int:
    """Sweep in a process that is killed when it is about to put its `at`-th file into its place."""
    child = os.fork()
    if child == 0:
        replace, calls = Path.replace, iter(range(1, at))

        def killing(path: Path, target: Path) -> Path:
            if next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(path, target)

        Path.replace = killing  # type: ignore[method-assign]
        code = 1
        try:
            sweep(config, folder, lambda event: None)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _deaf(config: RunConfig, data: Dataset, folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder.parent / "begun").touch()
    time.sleep(1000)


def crew_of_one(sweep: Path) -> executor._Crew:
    return executor._Crew(planned_runs(sweep)[:1], sweep / DATA, sweep, 1, _deaf)


@pytest.mark.slow
def test_a_worker_that_does_not_leave_is_killed(
    copied_sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the interpreter would wait for it at its end."""
    monkeypatch.setattr(executor, "GRACE", 0.2)
    crew = crew_of_one(copied_sweep)
    crew.wait([])
    ((_, process),) = crew.running.values()
    assert wait_for(lambda: (copied_sweep / "begun").exists())
    crew.stop()
    process.join(10)
    assert process.exitcode == -signal.SIGKILL


def test_a_worker_that_is_interrupted_as_it_starts_is_not_left_behind(
    copied_sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = crew_of_one(copied_sweep)
    process = crew.context.Process
    started = []

    def start(self) -> None:  # type: ignore[no-untyped-def]
        real(self)
        started.append(self)
        raise KeyboardInterrupt

    real = process.start
    monkeypatch.setattr(process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        crew.wait([])
    crew.stop()
    started[0].join(10)
    assert started[0].exitcode is not None

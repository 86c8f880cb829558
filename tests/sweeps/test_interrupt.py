"""A sweep that is stopped saves where its runs are, and leaves nothing half-written and no worker
behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny
from attractor.machine.files import is_locked
from attractor.runs.folder import is_finished


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


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes with pgrep")
@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
@pytest.mark.slow
def test_a_stopped_sweep_leaves_nothing_half_written(
    stop: signal.Signals, code: int, tmp_path: Path
) -> None:
    """The whole group of processes is signalled, as a terminal and a scheduler do."""
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
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT,
        signal.default_int_handler),
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

"""A sweep on a real Ray cluster of this machine loses a worker and a node, and neither a run nor
its bits."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tiny
from attractor import AttractorError
from attractor.cli import main
from attractor.config.presets import preset
from attractor.config.settings import SweepConfig
from attractor.machine.files import is_locked
from attractor.runs.folder import is_finished
from attractor.sweeps.attempt import FAILED
from attractor.sweeps.cluster import ray_executor
from attractor.sweeps.plan import plan
from attractor.sweeps.run import planned_runs, sweep
from attractor.sweeps.status import read_status

pytest.importorskip("ray", reason="the extra `cluster` is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.skipif(sys.platform != "linux", reason="starts a cluster"),
]
NODE = {
    "node_ip_address": "127.0.0.1",
    "num_cpus": 1,
    "num_gpus": 0,
    "object_store_memory": 80 * 2**20,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core, bound to loopback, without dashboard and usage statistics."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    made.second = made.add_node(**NODE)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SweepConfig:
    base = tiny.config(
        tiny.corpus(tmp_path_factory.mktemp("corpus")), sizes=(8, 16, 32, 64), steps=500
    )
    return dataclasses.replace(base, train=dataclasses.replace(base.train, checkpoint_minutes=0.01))


@pytest.fixture(scope="module")
def local(config: SweepConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local") / "s"
    sweep(config, folder, lambda event: None, workers=2)
    return folder


def options(config: SweepConfig, folder: Path) -> list[str]:
    """The command line of a config: whatever it has that the demo has not."""
    words, demo = (
        ["sweep", "--out", str(folder), "--sizes", *map(str, config.sizes)],
        preset("demo"),
    )
    for part in ("data", "model", "train", "probe"):
        ours, theirs = (dataclasses.asdict(getattr(whole, part)) for whole in (config, demo))
        for name, value in ours.items():
            if value != theirs[name]:
                values = value if isinstance(value, tuple) else (value,)
                words += [f"--{part}.{name}".replace("_", "-"), *map(str, values)]
    return words


def until(condition: Callable[[], object], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def holder(folder: Path) -> int | None:
    """The process that works on a run, once it has said so."""
    words = (folder / ".lock").read_text().split()
    return int(words[1]) if words else None


def children(pid: int) -> set[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return {int(child) for child in found}


@pytest.mark.slow
def test_an_interrupted_driver_a_killed_worker_and_a_killed_node_change_nothing(
    cluster: Any, config: SweepConfig, local: Path, tmp_path: Path
) -> None:
    folder, runs = tmp_path / "s", plan(config, 10**6)
    raylet = cluster.second.all_processes["raylet"][0].process.pid
    command = [sys.executable, "-m", "attractor", *options(config, folder), "--executor", "ray"]

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, "--address", cluster.address], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def training() -> list[int]:
        """Processes in the middle of a run, with a checkpoint behind them."""
        assert driver.poll() is None, driver.stderr and driver.stderr.read()
        folders = [folder / run.run_id for run in runs]
        busy = [
            f
            for f in folders
            if is_locked(f) and list(f.glob("checkpoint/step-*")) and not is_finished(f)
        ]
        return [pid for f in busy if (pid := holder(f)) is not None]

    driver = started()
    until(lambda: len(training()) == 2)
    driver.send_signal(signal.SIGINT)
    assert (
        driver.communicate(timeout=60)[1]
        == "attractor: interrupted; the same command again goes on from here\n"
    )
    assert driver.returncode == 130
    assert read_status(folder).count("running") == 0
    driver = started()
    until(lambda: len(training()) == 2)
    elsewhere = [pid for pid in training() if pid not in children(raylet)]
    os.kill(elsewhere[0], signal.SIGKILL)
    until(lambda: children(raylet) & set(training()))
    cluster.remove_node(cluster.second, allow_graceful=False)
    states = read_status(folder)
    assert len(states.runs) == 4
    finished: dict[str, int] = {}
    while driver.poll() is None:
        for run in runs:
            if is_finished(folder / run.run_id):
                finished.setdefault(
                    run.run_id, (folder / run.run_id / "results.parquet").stat().st_mtime_ns
                )
        time.sleep(0.1)
    assert driver.returncode == 0, driver.stderr.read() if driver.stderr else ""
    for run in runs:  # none lost, and what was once finished was not done again
        assert (folder / run.run_id / "results.parquet").stat().st_mtime_ns == finished[run.run_id]
        steps = [
            json.loads(line)["step"]
            for line in (folder / run.run_id / "metrics.jsonl").read_text().splitlines()
        ]
        assert steps == sorted(set(steps))
    ours, theirs = (json.loads((f / "transition.json").read_text()) for f in (folder, local))
    assert ours | {"elapsed_s": 0} == theirs | {"elapsed_s": 0}
    assert read_status(folder).count("done") == 4


@pytest.mark.parametrize(
    ("answer", "complaint"), [(b"", "timed out"), (b"HTTP/1.1 400 Bad Request", "is not Ray")]
)
def test_a_listener_that_is_not_ray_is_refused_soon(
    answer: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.sweeps.cluster.TIMEOUT", 0.5)

    def answered() -> socket.socket:
        peer, _ = listener.accept()
        peer.recv(100)
        peer.sendall(answer)
        return peer

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        peer = pool.submit(answered)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(
            AttractorError, match=f"no Ray cluster at address '{address}': .*{complaint}"
        ):
            ray_executor(address).__enter__()
        assert time.monotonic() < begun + 10
        peer.result().close()


def test_an_ipv6_host_stands_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(place: tuple[str, int], timeout: float) -> socket.socket:
        raise OSError(f"nobody at {place}")

    monkeypatch.setattr(socket, "create_connection", nobody)
    for address in ("[::1]:6379", "ray://[::1]:6379"):
        with pytest.raises(AttractorError, match=re.escape("nobody at ('::1', 6379)")):
            ray_executor(address).__enter__()
    with pytest.raises(AttractorError, match=re.escape("'::1:6379': allowed are auto, host:port")):
        ray_executor("::1:6379").__enter__()


@pytest.mark.parametrize(
    "address", ["a..b:6379", "a" * 70 + ":6379", "localhost:\N{SUPERSCRIPT TWO}", "127.0.0.1:99999"]
)
def test_addresses_that_cannot_be_are_named(address: str) -> None:
    with pytest.raises(AttractorError, match="address"):
        ray_executor(address).__enter__()


def test_a_cluster_that_is_not_there_is_one_line_before_any_work(
    config: SweepConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    for address, message in (
        (nobody, f"no Ray cluster at address '{nobody}'"),
        ("nonsense", "allowed are auto, host:port and ray://host:port"),
    ):
        words = [*options(config, tmp_path / "s"), "--executor", "ray", "--address", address]
        assert main(words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_what_no_node_has_is_one_line_before_any_work(
    cluster: Any, config: SweepConfig, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "attractor", *options(config, tmp_path / "s")]
    for arguments, message in (
        (["--gpus", "4"], "each run asks for 4 GPUs, but the largest node has 0"),
        (["--cpus", "0"], "each run asks for 0 CPUs: allowed are whole numbers and shares of one"),
        (["--cpus", "64"], "each run asks for 64 CPUs, but the largest node has 1"),
    ):
        done = subprocess.run(
            [*words, "--executor", "ray", "--address", cluster.address, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_status_of_a_failed_run_points_at_its_traceback(
    copied_sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned_runs(copied_sweep)[0]
    assert main(["sweep", "--status", "--out", str(copied_sweep)]) == 0
    assert "4 done, 0 running, 0 failed, 0 waiting; time left: 0.0 s" in " ".join(
        capsys.readouterr().out.split()
    )
    (copied_sweep / run.run_id / "results.parquet").unlink()
    (copied_sweep / run.run_id / FAILED).write_text("Traceback")
    assert main(["sweep", "--status", "--out", str(copied_sweep)]) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert "3done,0running,1failed" in shown
    assert f"{run.run_id}/{FAILED}" in shown
    assert main(["sweep", "--status", "--out", str(tmp_path / "nothing")]) == 2

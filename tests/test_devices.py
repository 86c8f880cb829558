"""One run over two processes is the run of one process: the same losses, the same measurements, one set of files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiny
from attractor.cli import main
from attractor.results import read_results

SETTINGS = [
    "--n-train", "40", "--data.seq-len", "12", "--model.hidden-size", "16", "--model.n-blocks", "1",
    "--model.n-heads", "2", "--model.cond-dim", "8", "--train.steps", "24", "--train.batch-size", "9",
    "--train.log-every", "4", "--train.validate-every", "12", "--train.validation-rows", "8",
    "--train.micro-batch", "3", "--train.checkpoint-minutes", "0", "--train.warmup", "2", "--train.optimizer", "adamw",
    "--monitor.every", "12", "--monitor.rows", "5", "--monitor.t", "0.5", "--monitor.steps", "8",
    "--probe.t", "0.5", "--probe.rows", "9", "--probe.test-rows", "7", "--probe.repeats", "2",
    "--probe.steps", "10", "--probe.generated", "5", "--probe.nelbo-draws", "2",
]  # fmt: skip
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                   "--mixed_precision", "no", "--dynamo_backend", "no"],  # without a GPU this is gloo, too
}  # fmt: skip


def launched(launcher: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    rendezvous = ["--main_process_port", port] if launcher == "accelerate" else []
    command = [sys.executable, "-m", *LAUNCHERS[launcher], *rendezvous, "-m", "attractor", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="gloo")
@pytest.mark.parametrize("launcher", ["torchrun", pytest.param("accelerate", marks=pytest.mark.slow)])
def test_two_processes_are_as_one(launcher: str, tmp_path: Path) -> None:
    source = ["--data.source", str(tiny.corpus(tmp_path))]
    assert main(["train", "--out", str(tmp_path / "one"), *source, *SETTINGS]) == 0
    done = launched(launcher, ["train", "--out", str(tmp_path / "two"), *source, *SETTINGS])
    assert done.returncode == 0, done.stderr
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in two] == [4, 8, 12, 16, 20, 24]
    for name in ("loss", "grad_norm", "lr"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4)
    assert two[-1]["validation_nelbo"] == pytest.approx(one[-1]["validation_nelbo"], rel=1e-4)
    first, second = (read_results(tmp_path / name) for name in ("one", "two"))
    assert [(row.split, row.measurement, row.t) for row in first.rows] == [
        (row.split, row.measurement, row.t) for row in second.rows
    ]
    for a, b in zip(first.rows, second.rows, strict=True):
        if a.measurement in ("conditional_entropy", "nelbo_per_token", "recovery_rate"):
            assert b.value == pytest.approx(a.value, rel=1e-3, abs=0.02), a
    assert len(list((tmp_path / "two" / "checkpoint").iterdir())) == 2

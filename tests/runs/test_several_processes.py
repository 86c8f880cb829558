"""One run over two processes is the run of one process: the same losses, the same measurements, one
set of files."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

import tiny
from attractor.cli import main
from attractor.machine.processes import Processes
from attractor.model.ddit import DDiT
from attractor.results.tables import read_arrays, read_results

SETTINGS = [
    "--n-train", "40", "--data.seq-len", "12", "--model.hidden-size", "16", "--model.n-blocks", "1",
    "--model.n-heads", "2", "--model.cond-dim", "8", "--train.steps", "24", "--train.batch-size",
    "9",
    "--train.log-every", "4", "--train.validate-every", "12", "--train.validation-rows", "8",
    "--train.micro-batch", "3", "--train.checkpoint-minutes", "0", "--train.warmup", "2",
    "--train.optimizer", "adamw",
    "--monitor.every", "12", "--monitor.rows", "5", "--monitor.t", "0.5", "--monitor.steps", "8",
    "--probe.t", "0.5", "--probe.rows", "9", "--probe.test-rows", "7", "--probe.repeats", "2",
    "--probe.steps", "10", "--probe.generated", "5", "--probe.nelbo-draws", "2",
]  # fmt: skip
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
    "--num_machines", "1",
                   # without a GPU this is gloo, too
                   "--mixed_precision", "no", "--dynamo_backend", "no"],
}  # fmt: skip


def launched(launcher: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    rendezvous = ["--main_process_port", port] if launcher == "accelerate" else []
    command = [
        sys.executable,
        "-m",
        *LAUNCHERS[launcher],
        *rendezvous,
        "-m",
        "attractor",
        *arguments,
    ]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, with all its checkpoints."""
    folder = tmp_path_factory.mktemp("devices")
    corpus = tiny.corpus(folder)
    settings = [*SETTINGS, "--train.keep-checkpoints", "30"]
    assert (
        main(["train", "--out", str(folder / "one"), "--data.source", str(corpus), *settings]) == 0
    )
    return folder / "one"


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="gloo")
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_are_as_one(launcher: str, one: Path, tmp_path: Path) -> None:
    done = launched(launcher, ["train", "--out", str(tmp_path / "two"), *source(one), *SETTINGS])
    assert done.returncode == 0, done.stderr
    require_same(one, tmp_path / "two")
    require_measured_as_alone(tmp_path / "two", source(one))
    assert len(list((tmp_path / "two" / "checkpoint").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="gloo")
def test_two_processes_with_a_share_of_the_weights_each_go_on_from_the_checkpoint_of_one(
    one: Path, tmp_path: Path
) -> None:
    """What one process has done until the middle, two finish, and its files are whole."""
    folder = tmp_path / "two"
    shutil.copytree(one, folder)
    (folder / "results.parquet").unlink()
    for path in folder.glob("checkpoint/step-*"):
        if path.name > "step-00000012":
            shutil.rmtree(path)
    done = launched(
        "torchrun", ["train", "--out", str(folder), *source(one), *SETTINGS, "--train.shard"]
    )
    assert done.returncode == 0, done.stderr
    require_same(one, folder)
    require_measured_as_alone(folder, source(one))
    last = [
        load_file(f / "checkpoint" / "step-00000024" / "optimizer.safetensors")
        for f in (one, folder)
    ]
    assert {name: x.shape for name, x in last[0].items()} == {
        name: x.shape for name, x in last[1].items()
    }


def test_each_of_two_processes_holds_half_of_every_weight() -> None:
    """With a stand-in for the other process; 16 rows, and all other lengths, are even."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    network = DDiT(vocab_size=16, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8)
    sizes = [p.numel() for p in network.parameters()]
    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        two = Processes(
            SimpleNamespace(process_index=0, num_processes=2, device=torch.device("cpu"))
        )
        two.sharded(network, network.blocks)
        assert [2 * p.to_local().numel() for p in network.parameters()] == sizes
    finally:
        dist.destroy_process_group()


def source(one: Path) -> list[str]:
    return ["--data.source", str(one.parent / "corpus.txt")]


def require_same(first: Path, second: Path) -> None:
    """The same losses and likelihoods to rounding, which 24 steps of training have carried on."""
    one, two = lines(first), lines(second)
    assert [line["step"] for line in two] == [4, 8, 12, 16, 20, 24]
    for name in ("loss", "grad_norm", "lr"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4)
    assert two[-1]["validation_nelbo"] == pytest.approx(one[-1]["validation_nelbo"], rel=1e-4)
    rows = [read_results(folder).rows for folder in (first, second)]
    named = [[(row.split, row.measurement, row.t) for row in found] for found in rows]
    assert named[0] == named[1]
    for a, b in zip(*rows, strict=True):
        if a.measurement in ("conditional_entropy", "nelbo_per_token"):
            assert b.value == pytest.approx(a.value, rel=1e-3), a


def require_measured_as_alone(two: Path, where: list[str]) -> None:
    """What two processes have measured is what one measures on the same weights, token for token.

    Noise is counted, so a token differs only if a number of it lies within rounding, some 1e-6, of
    a step of its distribution: about 5,000 draws are compared, so on one machine in 200 one would,
    and then does every time.
    """
    alone = two.with_name("alone")
    shutil.copytree(two, alone)
    (alone / "results.parquet").unlink()
    (alone / "tokens.parquet").unlink()
    assert main(["train", "--out", str(alone), *where, *SETTINGS]) == 0
    found = [read_arrays(folder).tokens for folder in (two, alone)]
    assert found[0].drop(["value"]).equals(found[1].drop(["value"]))
    values = [np.array(tokens["value"].combine_chunks().flatten()) for tokens in found]
    # lists of a path end in NaN
    assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-5, nan_ok=True)

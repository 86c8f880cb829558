"""A causal network sees the tokens before a position, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import attractor
from attractor.config.settings import TrainConfig
from attractor.machine.checkpoint import load_checkpoint
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import prefix_extraction
from attractor.process.autoregressive import AutoregressiveProcess
from attractor.process.registry import process_settings
from attractor.train.checkpoints import Checkpoints, checkpoint_paths
from attractor.train.logbook import Logbook
from attractor.train.loop import train
from attractor.train.stop import PoliteStop

V, LENGTH = 11, 9
SHAPE = {"hidden_size": 16, "n_blocks": 2, "n_heads": 2, "cond_dim": 8, "dropout": 0.0}


def network(seed: int = 0) -> DDiT:
    torch.manual_seed(seed)
    return DDiT(V, 16, 2, 2, 8, dropout=0.0, causal=True)


def denoiser() -> NetworkDenoiser:
    made = network()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return NetworkDenoiser(made, AutoregressiveProcess(V), LENGTH)


def text_rows(n: int) -> torch.Tensor:
    return torch.randint(V - 1, (n, LENGTH), generator=torch.Generator().manual_seed(0))


def test_a_later_token_moves_no_earlier_output_and_every_one_behind_it() -> None:
    model = denoiser()
    x, t = (
        torch.randint(V - 1, (3, LENGTH), generator=torch.Generator().manual_seed(0)),
        torch.zeros(3),
    )
    before = model.log_probs(x, t)
    for i in range(LENGTH):
        other = x.clone()
        other[:, i] = (other[:, i] + 1) % (V - 1)
        moved = (model.log_probs(other, t) != before).any(-1)
        assert not moved[:, : i + 1].any()
        assert moved[:, i + 1 :].all()


def test_some_positions_and_beginnings_of_rows_have_the_distributions_of_the_whole() -> None:
    model = denoiser()
    x, t = (
        torch.randint(V - 1, (5, LENGTH), generator=torch.Generator().manual_seed(0)),
        torch.zeros(5),
    )
    whole = model.log_probs(x, t)
    assert (whole[..., V - 1] == -torch.inf).all()
    torch.testing.assert_close(whole.exp().sum(-1), torch.ones(5, LENGTH))
    where = torch.zeros(5, LENGTH, dtype=torch.bool)
    where[1, 4] = where[2, [0, 3, 8]] = where[3] = True
    torch.testing.assert_close(model.log_probs(x, t, where), whole[where], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.log_probs(x[:, :4], t), whole[:, :4], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        torch.cat(list(model.blocks(x, t, where))), whole[where], atol=1e-5, rtol=1e-5
    )


def test_the_time_says_nothing() -> None:
    model = denoiser()
    x = text_rows(2)
    assert torch.equal(*(model.log_probs(x, torch.full((2,), t)) for t in (0.0, 0.9)))


@pytest.fixture(scope="module")
def text() -> np.ndarray:
    return np.random.default_rng(0).integers(0, V - 1, (6, LENGTH)).astype(np.int32)


def config(steps: int, minutes: float) -> TrainConfig:
    return TrainConfig(
        steps=steps,
        batch_size=6,
        lr=1e-2,
        warmup=5,
        optimizer="muon",
        ema=0.9,
        checkpoint_minutes=minutes,
        keep_checkpoints=8,
        log_every=50,
    )


def trained(folder: Path, text: np.ndarray, steps: int, minutes: float = 0) -> Path:
    process, settings = AutoregressiveProcess(V), config(steps, minutes)
    header = {
        "vocab_size": V,
        "seq_len": LENGTH,
        "model": SHAPE,
        "process": process_settings(process),
    }
    folder.mkdir(exist_ok=True)
    log = Logbook(folder)
    with PoliteStop() as stop:
        checkpoints = Checkpoints(folder, header, 0, settings, log, stop)
        train(network(), process, text, settings, seed=0, checkpoints=checkpoints)
    log.close()
    return checkpoint_paths(folder)[0]


def test_a_small_store_replays_its_rows_from_half_a_row(tmp_path: Path, text: np.ndarray) -> None:
    trained(tmp_path / "run", text, 100, minutes=10)
    model = attractor.load(tmp_path / "run")
    assert isinstance(model.process, AutoregressiveProcess)
    assert not model.time_conditioned
    found = prefix_extraction(model, text)
    assert (found.correct[~found.prefix] == 1).all()
    unseen = np.random.default_rng(1).integers(0, V - 1, (50, LENGTH))
    assert prefix_extraction(model, unseen).correct.nanmean() < 0.5


def test_training_goes_on_with_the_same_bits(tmp_path: Path, text: np.ndarray) -> None:
    whole = trained(tmp_path / "whole", text, 8)
    trained(tmp_path / "halves", text, 8)
    for later in checkpoint_paths(tmp_path / "halves")[:4]:  # as if it had been killed after step 4
        for file in later.iterdir():
            file.unlink()
        later.rmdir()
    taken_up = trained(tmp_path / "halves", text, 8)
    groups = ("model", "ema", "optimizer")
    (_, ours), (_, theirs) = (load_checkpoint(path, *groups) for path in (whole, taken_up))
    for group in groups:
        assert all(torch.equal(value, theirs[group][name]) for name, value in ours[group].items())

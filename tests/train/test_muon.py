from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attractor import UniformProcess
from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.train.loop import train
from attractor.train.muon import Muon, orthogonal
from attractor.train.optim import make_optimizer
from attractor.train.state import Progress


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 32)])
def test_singular_values_come_near_one_and_their_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(3, shape[0], min(shape)))
    right, _ = torch.linalg.qr(torch.randn(3, shape[1], min(shape)))
    values = torch.linspace(0.05, 1, min(shape))
    found = orthogonal((left * values) @ right.mT)
    core = left.mT @ found @ right
    diagonal = core.diagonal(dim1=1, dim2=2)
    assert (diagonal > 0.6).all()
    assert (diagonal < 1.3).all()
    torch.testing.assert_close(core, torch.diag_embed(diagonal), atol=2e-4, rtol=0)


def test_a_matrix_moves_by_the_root_mean_square_of_adamw() -> None:
    torch.manual_seed(0)
    matrix, other = nn.Parameter(torch.zeros(16, 16)), nn.Parameter(torch.zeros(5))
    optimizer = Muon([matrix], [other], lr=0.1, betas=(0.9, 0.95), weight_decay=0.0)
    matrix.grad, other.grad = torch.randn(16, 16), torch.ones(5)
    optimizer.step()
    assert matrix.square().mean().sqrt().item() == pytest.approx(0.2 * 0.1, rel=0.15)
    torch.testing.assert_close(other.detach(), torch.full((5,), -0.1))


def test_a_skipped_step_moves_nothing() -> None:
    matrix, other = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(3))
    optimizer = Muon([matrix], [other], lr=0.1, betas=(0.9, 0.95), weight_decay=0.1)
    matrix.grad, other.grad = torch.full((4, 4), torch.nan), torch.full((3,), torch.nan)
    optimizer.found_inf = torch.ones(())
    optimizer.step()
    assert torch.equal(matrix, torch.ones(4, 4))
    assert torch.equal(other, torch.ones(3))
    assert torch.equal(optimizer.state[matrix]["momentum"], torch.zeros(4, 4))


def test_only_hidden_matrices_are_made_orthogonal() -> None:
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8)
    names = {id(p): name for name, p in network.named_parameters()}
    optimizer = make_optimizer(network, TrainConfig(optimizer="muon"))
    chosen = {names[id(p)] for p in optimizer.param_groups[1]["params"]}
    expected = ("attn_qkv.weight", "attn_out.weight", "mlp.0.weight", "mlp.2.weight")
    assert chosen == {f"blocks.{i}.{name}" for i in range(2) for name in expected}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(names)


@pytest.mark.slow
def test_it_learns_in_fewer_steps_than_adamw() -> None:
    """On repeated rows that need attention to be told apart; both at the same learning rate and
    seeds."""
    rows = np.random.default_rng(0).integers(0, 7, (24, 8)).astype(np.int32)
    losses = {}
    for optimizer in ("adamw", "muon"):
        torch.manual_seed(0)
        network = DDiT(vocab_size=7, hidden_size=32, n_blocks=2, n_heads=2, cond_dim=8, dropout=0.0)
        config = TrainConfig(
            steps=200, batch_size=24, lr=4e-3, warmup=10, decay="cosine", time_power=3.0,
            log_every=50,
            optimizer=optimizer,
        )  # fmt: skip
        logs: list[Progress] = []
        train(network, UniformProcess(7), rows, config, on_progress=logs.append)
        losses[optimizer] = logs[-1].loss
    assert losses["muon"] < losses["adamw"]

"""On a GPU: the fused loss against autograd, and the probes against the CPU."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from attractor import UniformProcess, probes
from attractor.config.settings import MonitorConfig, TrainConfig
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process.fused import nelbo_loss
from attractor.process.nelbo import nelbo
from attractor.runs.monitor import monitor
from attractor.train import graph
from attractor.train.loop import train
from attractor.train.state import Progress

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    # Inside a compilation a warning that is an error breaks it off, and torch's compiler has many.
    pytest.mark.filterwarnings("default"),
]
V, L = 31, 12


def network(device: str) -> DDiT:
    torch.manual_seed(0)
    net = DDiT(vocab_size=V, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8, dropout=0.0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return net.to(device)


@pytest.mark.parametrize("vocab", [2, 1000, 30_522])
def test_the_fused_loss(vocab: int) -> None:
    torch.manual_seed(vocab)
    # Both are given the same numbers, those of single precision: 1 - alpha has few digits there.
    leaves = [torch.randn(s, device="cuda").double() for s in ((24, 16), (vocab, 16), (vocab,))]
    x_0, x_t = torch.randint(vocab, (2, 24), device="cuda")
    alpha = torch.linspace(0.999, 1e-3, 24, device="cuda").double()
    tokens = (x_t, x_0, alpha, -torch.ones_like(alpha), torch.full_like(alpha, 1 / 24))
    plain = [x.clone().requires_grad_() for x in leaves]
    log_p = torch.nn.functional.linear(*plain).log_softmax(-1)
    nelbo(log_p[:, None], x_t[:, None], x_0[:, None], *tokens[2:4]).mean().backward()
    fused = [x.float().requires_grad_() for x in leaves]
    nelbo_loss(*fused, *(x.float() if x.is_floating_point() else x for x in tokens)).backward()
    for ours, theirs in zip(fused, plain, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad - theirs.grad).norm() < 1e-5 * theirs.grad.norm()


@pytest.mark.parametrize("compile", [False, True])
def test_training_is_that_of_the_cpu(compile: bool) -> None:
    rows = np.random.default_rng(0).integers(V, size=(40, L))
    config = TrainConfig(steps=20, batch_size=8, lr=1e-3, warmup=1, compile=compile)
    nets = network("cuda"), network("cpu")
    for net in nets:
        train(net, UniformProcess(V), rows, config)
    for ours, theirs in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("curriculum", ["none", "duo"])
def test_a_recorded_step_is_the_step(
    curriculum: Literal["none", "duo"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, a learning rate that changes, and batches whose shape does."""
    rows = np.random.default_rng(0).integers(V, size=(40, L))
    config = TrainConfig(
        steps=20, batch_size=8, lr=1e-2, warmup=3, decay="cosine", optimizer="muon",
        weight_decay=0.1, curriculum=curriculum, log_every=1,
    )  # fmt: skip
    nets, states, losses = (network("cuda"), network("cuda")), [], []
    for net, warm_up in zip(nets, (graph.WARM_UP, 10**6), strict=True):
        for block in net.blocks:
            block.dropout = 0.1
        monkeypatch.setattr(graph, "WARM_UP", warm_up)
        lines: list[Progress] = []
        states.append(train(net, UniformProcess(V), rows, config, on_progress=lines.append))
        losses.append(torch.tensor([line.loss for line in lines]))
    assert states[0].ema.state_dict().keys() == states[1].ema.state_dict().keys()
    for group in ("model", "ema", "optimizer"):
        ours, theirs = (state.tensors()[group] for state in states)
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-4)
    assert len(set(losses[0].tolist())) == config.steps


def test_probes_find_what_they_find_on_the_cpu() -> None:
    ours, theirs = (
        NetworkDenoiser(network(device), UniformProcess(V), L) for device in ("cuda", "cpu")
    )
    tokens = torch.randint(V, (40, L))
    entropies = [
        probes.conditional_entropy(model, tokens.to(model.device)).per_token
        for model in (ours, theirs)
    ]
    torch.testing.assert_close(*entropies, atol=1e-4, rtol=1e-3)
    found = [probes.recovery(model, tokens.to(model.device), 0.5, 100) for model in (ours, theirs)]
    assert torch.equal(found[0].corrupted.cpu(), found[1].corrupted.cpu())
    assert (
        found[0].recovered.cpu() == found[1].recovered.cpu()
    ).float().mean() > 0.99  # a coin on a rounding's edge


def test_a_check_finds_what_it_finds_on_the_cpu() -> None:
    rows = np.random.default_rng(0).integers(V, size=(40, L))
    settings = MonitorConfig(rows=16, t=0.5, steps=16)
    check = monitor(UniformProcess(V), rows[:20], rows[20:], settings)
    ours, theirs = (check(network(device)).per_row for device in ("cuda", "cpu"))
    assert ours is not None
    assert theirs is not None
    for name in ("entropy_train", "entropy_test", "nll_train", "nll_test", "nearest_test"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4, rel=1e-3)
    # A coin on a rounding's edge may turn a token of a row, and with it that row alone.
    same = [a == b for a, b in zip(ours["recovery_test"], theirs["recovery_test"], strict=True)]
    assert sum(same) >= 14

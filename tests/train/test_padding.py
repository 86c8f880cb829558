"""Padding is in no loss: neither in its sum nor in the number of tokens that it is divided by."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.process.interfaces import Mixture
from attractor.process.registry import make_process
from attractor.train.objective import NoisyBatch, batch_loss, noisy_batch
from attractor.types import ProcessName

TEXT, PAD, L = 7, 4, 6
X = torch.tensor([[1, 2, 3, 5, 6, 0], [0, 6, 5, PAD, PAD, PAD], [3, 1, PAD, PAD, PAD, PAD]])
COUNTED = X != PAD


def batch_of(
    process: ForwardProcess, x_0: Tensor, curriculum: Literal["none", "duo"] = "none"
) -> NoisyBatch:
    config = TrainConfig(curriculum=curriculum, steps=10)
    return noisy_batch(process, x_0, 0, config, torch.Generator().manual_seed(0))


def network(vocab_size: int) -> DDiT:
    torch.manual_seed(0)
    made = DDiT(vocab_size, hidden_size=8, n_blocks=1, n_heads=2, cond_dim=4, dropout=0.0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.double()


@pytest.mark.parametrize(
    ("name", "curriculum"),
    [("uniform", "none"), ("absorbing", "none"), ("hybrid", "none"), ("uniform", "duo")],
)
def test_the_loss_is_the_mean_over_text(
    name: ProcessName, curriculum: Literal["none", "duo"]
) -> None:
    process = make_process(name, TEXT, 0.3, PAD)
    batch = batch_of(process, X, curriculum)
    assert torch.equal(batch.x_t[~COUNTED], X[~COUNTED])
    assert (batch.seen[~COUNTED] == PAD).all()
    assert not (batch.seen[COUNTED] == PAD).any()
    batch = NoisyBatch(*(x.double() if x.is_floating_point() else x for x in batch))
    model = network(process.vocab_size)
    found = batch_loss(model, process, batch, X.numel(), "float32")
    seen = batch.x_t if batch.seen.shape[-1] == 1 else Mixture(batch.seen, batch.shares)
    logits = model.output_layer.linear(model.hidden(seen, batch.sigma))
    # Under absorbing noise a visible token is certain, and minus infinity times zero is NaN.
    log_p = process.distribution(logits, batch.x_t).clamp(min=-1e30)
    rate = process.nelbo(log_p, batch.x_t, X, batch.alpha, batch.dalpha)
    weight = batch.weight * COUNTED.sum() / X.numel()  # as it was drawn
    expected = (weight[:, None] * rate)[COUNTED].sum() / COUNTED.sum()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)
    # And no more is learned of padding as an output than that it is none.
    (gradient,) = torch.autograd.grad(found, model.output_layer.linear.weight)
    assert not gradient[PAD].any()


def test_without_padding_nothing_is_weighted() -> None:
    process = make_process("uniform", TEXT, 0.3)
    assert not process.has_fixed
    assert batch_of(process, X).weight.mean().item() == pytest.approx(
        batch_of(make_process("uniform", TEXT, 0.3, PAD), X).weight.mean().item()
        * COUNTED.double().mean().item()
    )

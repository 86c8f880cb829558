from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from attractor import AttractorError, UniformProcess
from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.train.loop import train
from attractor.train.objective import antithetic_times
from attractor.train.optim import Ema, batch_rows, learning_rate
from attractor.train.state import Progress
from attractor.train.watch import Watch

CONFIG = TrainConfig(steps=30, batch_size=16, lr=3e-3, warmup=5, log_every=10, validate_every=20)


def network(seed: int = 0) -> DDiT:
    torch.manual_seed(seed)
    return DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8)


def rows(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 7, (n, 6)).astype(np.int32)


def test_every_row_is_seen_once_an_epoch() -> None:
    seen = np.concatenate([batch_rows(step, 7, 21, seed=3) for step in range(9)])
    for epoch in range(3):
        assert sorted(seen[epoch * 21 : (epoch + 1) * 21]) == list(range(21))
    assert not np.array_equal(seen[:21], seen[21:42])
    assert np.array_equal(batch_rows(4, 7, 21, seed=3), seen[28:35])


def test_a_batch_may_span_many_epochs_of_a_tiny_training_set() -> None:
    counts = sum(np.bincount(batch_rows(step, 64, 3, 0), minlength=3) for step in range(3))
    assert counts.tolist() == [64, 64, 64]


def test_learning_rate_warms_up_and_decays() -> None:
    cosine = dataclasses.replace(CONFIG, steps=105, decay="cosine")
    found = [learning_rate(step, cosine) for step in range(105)]
    assert found[4] == found[5] == max(found) == CONFIG.lr
    assert found[0] == CONFIG.lr / 5
    assert found[-1] == pytest.approx(0.01 * CONFIG.lr, rel=0.1)
    assert found[5:] == sorted(found[5:], reverse=True)
    assert learning_rate(10**6, CONFIG) == CONFIG.lr


def test_ema_follows_its_ramp() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    ema = Ema(module, 0.9999)
    module.weight.data.fill_(1.0)
    value = 0.0
    for k in range(1, 4):
        ema.update()
        decay = (1 + k) / (10 + k)
        value = decay * value + (1 - decay)
        assert ema.state_dict()["weight"].item() == pytest.approx(value)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_weighted_times_estimate_the_uniform_integral(power: float) -> None:
    """One draw a stratum: the integral of t**2 over [t_min, 1] to the error of 4,096 strata."""
    t_min = 1e-3
    t, weight = antithetic_times(4096, t_min, power, torch.Generator().manual_seed(0))
    assert t_min <= t.min()
    assert t.max() <= 1
    assert (weight * t**2).mean().item() == pytest.approx((1 - t_min**3) / 3, rel=1e-4)
    assert weight.mean().item() == pytest.approx(1 - t_min, rel=1e-4)


def test_training_learns_and_is_a_function_of_the_seed() -> None:
    logs: list[Progress] = []
    constant = np.tile(np.arange(6, dtype=np.int32), (40, 1))
    config = dataclasses.replace(CONFIG, steps=150, log_every=50, lr=1e-2)
    state = train(
        network(),
        UniformProcess(7),
        constant,
        config,
        watch=Watch(lambda n: 1.5),
        on_progress=logs.append,
    )
    assert logs[-1].loss < 0.6 * logs[0].loss < 0.6 * np.log(7)
    validated = {20, 40, 60, 80, 100, 120, 140, 150}
    assert [log.step for log in logs] == sorted(validated | {50, 100})
    assert {log.step for log in logs if log.validation_nelbo == 1.5} == validated
    again = train(network(), UniformProcess(7), constant, config)
    for a, b in zip(state.ema.shadow, again.ema.shadow, strict=True):
        assert torch.equal(a, b)
    other = train(network(), UniformProcess(7), constant, config, seed=1)
    assert any(
        not torch.equal(a, b) for a, b in zip(state.ema.shadow, other.ema.shadow, strict=True)
    )


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = network()
    torch.set_rng_state(before)
    train(model, UniformProcess(7), rows(), CONFIG)
    assert torch.equal(torch.get_rng_state(), before)


def test_bf16_stays_close_to_float32() -> None:
    losses = []
    for precision in ("float32", "bf16"):
        logs: list[Progress] = []
        config = dataclasses.replace(CONFIG, precision=precision)
        train(network(), UniformProcess(7), rows(), config, on_progress=logs.append)
        losses.append(logs[-1].loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_loss_that_is_not_finite_stops_with_the_step() -> None:
    broken = network()
    broken.output_layer.linear.bias.data.fill_(float("nan"))
    with pytest.raises(
        AttractorError,
        match=r"not finite at 10 steps in a row, before step 10; .* with a learning rate below lr",
    ):
        train(broken, UniformProcess(7), rows(), CONFIG)

"""Steps that must not be taken are not, and memory that runs out costs time only."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from attractor import AttractorError, UniformProcess
from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.train import accumulate as module
from attractor.train.loop import train
from attractor.train.objective import batch_loss
from attractor.train.state import Progress, TrainState

CONFIG = TrainConfig(steps=6, batch_size=10, lr=3e-3, warmup=2, log_every=1)
ROWS = np.random.default_rng(0).integers(0, 7, (12, 6)).astype(np.int32)


def run(config: TrainConfig = CONFIG, dropout: float = 0.0) -> tuple[TrainState, list[Progress]]:
    torch.manual_seed(0)
    lines: list[Progress] = []
    network = DDiT(vocab_size=7, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, dropout=dropout)
    return train(network, UniformProcess(7), ROWS, config, on_progress=lines.append), lines


def weights(state: TrainState) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in state.network.parameters()])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_step_that_is_not_finite_moves_nothing_and_is_counted(
    what: str, optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of four steps is bad: weights and moments after it are those before it, to the
    bit."""
    config, calls = dataclasses.replace(CONFIG, optimizer=optimizer), []

    def bad_at_third(*args: Any) -> torch.Tensor:
        loss = batch_loss(*args)
        calls.append(loss)
        if len(calls) != 3:
            return loss
        if what == "loss":
            return loss * torch.nan
        loss.register_hook(lambda gradient: gradient * torch.inf)
        return loss

    monkeypatch.setattr(module, "batch_loss", bad_at_third)
    two, _ = run(dataclasses.replace(config, steps=2))
    calls.clear()
    three, lines = run(dataclasses.replace(config, steps=3))
    assert torch.equal(weights(two), weights(three))
    for a, b in zip(two.optimizer.state.values(), three.optimizer.state.values(), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert [line.skipped for line in lines] == [0, 0, 1]
    assert lines[2].loss is None
    assert lines[2].grad_norm is None
    calls.clear()
    four, lines = run(dataclasses.replace(config, steps=4))
    assert weights(four).isfinite().all()
    assert not torch.equal(weights(four), weights(three))
    assert lines[3].loss is not None


def limited(rows: int) -> Any:
    def loss(network: Any, process: Any, batch: Any, *rest: Any) -> torch.Tensor:
        if len(batch.x_0) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return batch_loss(network, process, batch, *rest)

    return loss


@pytest.mark.parametrize(("fits", "micro_batch"), [(9, 5), (4, 3), (2, 2), (1, 1)])
def test_out_of_memory_halves_the_rows_of_a_part_and_keeps_the_batch(
    fits: int, micro_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lines = run()
    monkeypatch.setattr(module, "batch_loss", limited(fits))
    with pytest.warns(UserWarning, match=r"out of memory: going on with \d rows at a time"):
        parts, lines_of_parts = run()
    assert parts.micro_batch == micro_batch
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=2e-5)
    assert [line.loss for line in lines_of_parts] == pytest.approx(
        [line.loss for line in lines], rel=1e-5
    )


def test_a_row_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "batch_loss", limited(0))
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(AttractorError, match="one row of 6 tokens"),
    ):
        run()


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> torch.Tensor:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(module, "batch_loss", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        run()


def test_a_setting_cuts_the_batch_from_the_start() -> None:
    whole, _ = run()
    parts, _ = run(dataclasses.replace(CONFIG, micro_batch=4))
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=2e-5)

"""The training loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attractor.config import TrainConfig
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.train.objective import batch_loss, noisy_batch
from attractor.train.optim import Ema, batch_rows, learning_rate, make_optimizer
from attractor.types import AttractorError


class Progress(NamedTuple):
    """One line of metrics.jsonl; losses in nats per token."""

    step: int
    loss: float
    """mean NELBO since the last line"""
    grad_norm: float
    lr: float
    tokens_per_s: float
    validation_nelbo: float | None
    """NELBO of held-out rows under the averaged weights, where it was estimated"""


class TrainState(NamedTuple):
    """All that training has made."""

    step: int
    network: DDiT
    ema: Ema
    optimizer: torch.optim.Optimizer


def train(
    network: DDiT,
    process: ForwardProcess,
    rows: np.ndarray,
    config: TrainConfig,
    *,
    seed: int = 0,
    validate: Callable[[DDiT], float] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> TrainState:
    """Minimise the NELBO over the rows of a training set.

    Data order, times, noise and dropout of a step are functions of (seed, step).

    Args:
        network: trained in place, on its own device.
        process: the token noise.
        rows: training set, integer (n, L).
        config: steps, batch, optimizer.
        seed: of data order and noise.
        validate: held-out NELBO of a network carrying the averaged weights, nats per token.
        on_progress: called every `config.log_every` steps.

    Raises:
        AttractorError: if the loss is not finite.
    """
    device = network.vocab_embed.embedding.device
    optimizer = make_optimizer(network, config)
    ema = Ema(network, config.ema)
    meter = _Meter(rows.shape[1] * config.batch_size)
    network.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step, x_0 in _batches(rows, config, seed, device):
            torch.manual_seed(_step_seed(seed, step))  # dropout
            batch = noisy_batch(process, x_0, config, torch.Generator().manual_seed(_step_seed(seed, step)))
            loss = batch_loss(network, process, batch, x_0.numel(), config.precision)
            optimizer.zero_grad()
            loss.backward()
            grad_norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            optimizer.step()
            ema.update()
            meter.add(loss, grad_norm)
            done = step + 1
            if done % config.log_every == 0 or done == config.steps:
                due = validate is not None and (done % config.validate_every == 0 or done == config.steps)
                held_out = validate(averaged(network, ema)) if validate is not None and due else None
                on_progress(meter.read(done, learning_rate(step, config), held_out))
    return TrainState(config.steps, network, ema, optimizer)


def averaged(network: DDiT, ema: Ema) -> DDiT:
    """A copy of the network that carries the averaged weights."""
    twin = copy.deepcopy(network)
    twin.load_state_dict(ema.state_dict())
    return twin.eval()


def _batches(rows: np.ndarray, config: TrainConfig, seed: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    for step in range(config.steps):
        batch = rows[batch_rows(step, config.batch_size, len(rows), seed)]
        yield step, torch.from_numpy(batch.astype(np.int64)).to(device)


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


class _Meter:
    """Means since the last reading; asks the device for numbers only when read."""

    def __init__(self, tokens_per_step: int) -> None:
        self.tokens_per_step = tokens_per_step
        self._reset()

    def _reset(self) -> None:
        self.losses: list[Tensor] = []
        self.grad_norm: Tensor | None = None
        self.start = time.perf_counter()

    def add(self, loss: Tensor, grad_norm: Tensor) -> None:
        self.losses.append(loss.detach())
        self.grad_norm = grad_norm

    def read(self, step: int, lr: float, validation: float | None) -> Progress:
        """Summarise and start anew; the time spent in validation is not training time."""
        loss = torch.stack(self.losses).mean().item()
        if not math.isfinite(loss):
            raise AttractorError(f"the loss became {loss} by step {step}; try a learning rate below lr = {lr:.2g}")
        assert self.grad_norm is not None
        rate = self.tokens_per_step * len(self.losses) / (time.perf_counter() - self.start)
        progress = Progress(step, loss, self.grad_norm.item(), lr, rate, validation)
        self._reset()
        return progress

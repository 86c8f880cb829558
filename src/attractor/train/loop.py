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
from attractor.process.fused import nelbo_loss
from attractor.runtime import autocast
from attractor.train.optim import Ema, batch_rows, learning_rate
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


class Times(NamedTuple):
    """Training times and the weights that make the loss unbiased, each (B,)."""

    t: Tensor
    weight: Tensor


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
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )
    ema = Ema(network, config.ema)
    meter = _Meter(rows.shape[1] * config.batch_size)
    network.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step, x_0 in _batches(rows, config, seed, device):
            loss = _loss(network, process, x_0, step, config, seed)
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


def _loss(network: DDiT, process: ForwardProcess, x_0: Tensor, step: int, config: TrainConfig, seed: int) -> Tensor:
    """Mean NELBO of a batch in nats per token, at antithetic times and fresh noise."""
    source = torch.Generator().manual_seed(_step_seed(seed, step))
    torch.manual_seed(_step_seed(seed, step))  # dropout
    t, weight = (x.to(x_0.device) for x in antithetic_times(len(x_0), config.t_min, config.time_power, source))
    noise = torch.rand((*x_0.shape, 2), generator=source).to(x_0.device)
    x_t = process.corrupt(x_0, t, noise)
    schedule = process.schedule
    per_row = (schedule.alpha(t), schedule.dalpha(t), weight / x_0.numel())
    per_token = (x.repeat_interleave(x_0.shape[1]) for x in per_row)
    with autocast(x_0.device, config.precision):
        hidden = network.hidden(x_t, schedule.sigma(t)).flatten(0, 1)
        output = network.output_layer.linear
        return nelbo_loss(hidden, output.weight, output.bias, x_t.flatten(), x_0.flatten(), *per_token)


def antithetic_times(n: int, t_min: float, power: float, generator: torch.Generator) -> Times:
    """One time in each of n parts of [t_min, 1]: the variance over times falls out of the loss (VDM, arXiv:2107.00630).

    With u uniform, t = u ** power has the density t ** (1/power - 1) / power, which is divided out again. The NELBO
    at a time t is large and rare, about 1/t on a share t of the tokens: a power of 2 evens that out.
    """
    u_min = t_min ** (1 / power)
    u = (torch.rand(n, generator=generator) + torch.arange(n)) / n
    u = u_min + (1 - u_min) * u
    return Times(u**power, (1 - u_min) * power * u ** (power - 1))


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

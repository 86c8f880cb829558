"""What a training step minimises: the NELBO of a batch at random times and under fresh noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.config import TrainConfig
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.process.fused import Tokens
from attractor.runtime import Precision, autocast


class Times(NamedTuple):
    """Training times and the weights that make the loss unbiased, each (B,)."""

    t: Tensor
    weight: Tensor


class NoisyBatch(NamedTuple):
    """Clean rows, the same rows under noise, and the time of each; rows may be split into micro-batches."""

    x_0: Int[Tensor, "B L"]
    x_t: Int[Tensor, "B L"]
    t: Float[Tensor, "B"]
    weight: Float[Tensor, "B"]
    """of the row in the loss"""


def noisy_batch(
    process: ForwardProcess, x_0: Int[Tensor, "B L"], config: TrainConfig, source: torch.Generator
) -> NoisyBatch:
    """Draw times and noise for the rows of one step; all randomness is drawn on the CPU, so that devices agree."""
    t, weight = (x.to(x_0.device) for x in antithetic_times(len(x_0), config.t_min, config.time_power, source))
    noise = torch.rand((*x_0.shape, 2), generator=source).to(x_0.device)
    return NoisyBatch(x_0, process.corrupt(x_0, t, noise), t, weight)


def batch_loss(
    network: DDiT, process: ForwardProcess, batch: NoisyBatch, tokens: int, precision: Precision
) -> Float[Tensor, ""]:
    """NELBO summed over a batch and divided by `tokens`, those of the whole step: nats per token."""
    schedule = process.schedule
    length = batch.x_0.shape[1]
    per_row = (schedule.alpha(batch.t), schedule.dalpha(batch.t), batch.weight / tokens)
    per_token = Tokens(batch.x_t.flatten(), batch.x_0.flatten(), *(x.repeat_interleave(length) for x in per_row))
    with autocast(batch.x_0.device, precision):
        hidden = network.hidden(batch.x_t, schedule.sigma(batch.t)).flatten(0, 1)
        output = network.output_layer.linear
        return process.loss(hidden, output.weight, output.bias, per_token)


def antithetic_times(n: int, t_min: float, power: float, generator: torch.Generator) -> Times:
    """One time in each of n parts of [t_min, 1]: the variance over times falls out of the loss (VDM, arXiv:2107.00630).

    With u uniform, t = u ** power has the density t ** (1/power - 1) / power, which is divided out again. The NELBO
    at a time t is large and rare, about 1/t on a share t of the tokens: a power of 2 evens that out.
    """
    u_min = t_min ** (1 / power)
    u = (torch.rand(n, generator=generator) + torch.arange(n)) / n
    u = u_min + (1 - u_min) * u
    return Times(u**power, (1 - u_min) * power * u ** (power - 1))

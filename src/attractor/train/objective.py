"""What a training step minimises: the NELBO of a batch at random times and under fresh noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.config.settings import TrainConfig
from attractor.machine.device import Precision, autocast, upload
from attractor.model.ddit import DDiT
from attractor.process.chunked import Tokens
from attractor.process.forward import ForwardProcess
from attractor.process.gaussian import GAMMA, gamma_at, gaussian_latent, noise_width, signal
from attractor.process.interfaces import Mixture
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError


class Times(NamedTuple):
    """Training times and the weights that make the loss unbiased, each (B,)."""

    t: Tensor
    weight: Tensor


class NoisyBatch(NamedTuple):
    """Clean rows, the same rows under noise, and the noise level of each; rows may be split into
    micro-batches."""

    x_0: Int[Tensor, "B L"]
    x_t: Int[Tensor, "B L"]
    alpha: Float[Tensor, "B"]
    dalpha: Float[Tensor, "B"]
    """time derivative of alpha"""
    sigma: Float[Tensor, "B"]
    """on which the network is conditioned"""
    weight: Float[Tensor, "B"]
    """weight of the row in the loss"""
    seen: Int[Tensor, "B L K"]
    """tokens whose mixture the network sees: x_t alone, but for a curriculum"""
    shares: Float[Tensor, "B L K"]
    """share of each of those tokens in the mixture; they sum to one"""


def noisy_batch(
    process: ForwardProcess,
    x_0: Int[Tensor, "B L"],
    step: int,
    config: TrainConfig,
    source: torch.Generator,
) -> NoisyBatch:
    """Draw times and noise for the rows of a step; all randomness is drawn on the CPU, so that
    devices agree.

    Args:
        process: the token noise.
        x_0: clean rows.
        step: number of the step, which says whether the curriculum still lasts.
        config: range and power of the times, and the curriculum.
        source: where random numbers come from.

    Raises:
        AttractorError: if the process has no such curriculum.
    """
    if step < config.curriculum_end:
        return _latent_batch(process, x_0, config, source)
    if not process.corrupts:
        return _clean_batch(process, x_0)
    t, weight = (
        upload(x, x_0.device)
        for x in antithetic_times(len(x_0), config.t_min, config.time_power, source)
    )
    noise = upload(torch.rand((*x_0.shape, 2), generator=source), x_0.device)
    frozen = process.is_fixed(x_0) if process.has_fixed else None
    x_t, schedule = process.corrupt(x_0, t, noise, frozen), process.schedule
    weight = _per_counted(weight, frozen)
    seen = x_t[..., None]
    level = schedule.alpha(t), schedule.dalpha(t), schedule.sigma(t)
    return NoisyBatch(x_0, x_t, *level, weight, seen, torch.ones_like(seen, dtype=t.dtype))


def _clean_batch(process: ForwardProcess, x_0: Int[Tensor, "B L"]) -> NoisyBatch:
    """Clean rows at the one noise level there is, for a process that corrupts nothing."""
    one = torch.ones(len(x_0), device=x_0.device)
    weight = _per_counted(one, process.is_fixed(x_0) if process.has_fixed else None)
    seen, zero = x_0[..., None], torch.zeros_like(one)
    shares = torch.ones_like(seen, dtype=one.dtype)
    return NoisyBatch(x_0, x_0, one, zero, zero, weight, seen, shares)


def _per_counted(
    weight: Float[Tensor, "B"], frozen: Bool[Tensor, "B L"] | None
) -> Float[Tensor, "B"]:
    """Weights for a loss that is divided by all tokens of the batch, so that it is one per token
    that counts."""
    return weight if frozen is None else weight * (frozen.numel() / (~frozen).sum())


def _latent_batch(
    process: ForwardProcess, x_0: Int[Tensor, "B L"], config: TrainConfig, source: torch.Generator
) -> NoisyBatch:
    """The same under Gaussian noise (Duo, arXiv:2506.10892): tokens and alpha are those of the
    argmax.

    The network sees the softened latent, softmax(w / tau), and the loss is the NELBO of its argmax,
    at the alpha that `signal` gives for the argmax. The NELBO is bounded on this range of noise, so
    times are uniform whatever `time_power`.
    """
    if not isinstance(process, UniformProcess):
        raise AttractorError(
            f"curriculum = 'duo' needs the uniform process, not {type(process).__name__}"
        )
    t, weight = (
        upload(x, x_0.device) for x in antithetic_times(len(x_0), config.t_min, 1.0, source)
    )
    text, frozen = process.text, process.is_fixed(x_0) if process.has_fixed else None
    width = noise_width(text.count)
    noise = upload(
        torch.rand((*x_0.shape, width), generator=source, dtype=torch.float64), x_0.device
    )
    gamma = gamma_at(t)
    # Among the places of text ids, which are all ids where nothing else is given.
    place, level = text.place(x_0), gamma[:, None].expand_as(x_0)
    mixture, x_t = gaussian_latent(place, level, text.count, noise)
    if frozen is not None:
        ids = text.ids.to(x_0.device)
        x_t = torch.where(frozen, x_0, ids[x_t])
        tokens = torch.where(frozen[..., None], x_0[..., None], ids[mixture.tokens])
        mixture = mixture._replace(tokens=tokens)
    alpha, slope = signal(gamma, text.count)
    dalpha = slope * (GAMMA[1] - GAMMA[0])  # gamma is linear in t
    # sigma is -log alpha, as under the log-linear schedule: what the network learns here about a
    # noise level it can use afterwards.
    weight = _per_counted(weight, frozen)
    return NoisyBatch(x_0, x_t, alpha.to(t), dalpha.to(t), -alpha.log().to(t), weight, *mixture)


def batch_loss(
    network: DDiT, process: ForwardProcess, batch: NoisyBatch, tokens: int, precision: Precision
) -> Float[Tensor, ""]:
    """NELBO summed over a batch and divided by `tokens`, those of the whole step: nats per token.
    Tokens that are no text count for nothing, see `noisy_batch`."""
    length = batch.x_0.shape[1]
    per_row = (batch.alpha, batch.dalpha, batch.weight / tokens)
    alpha, dalpha, weight = (x.repeat_interleave(length) for x in per_row)
    if process.has_fixed:  # padding costs nothing
        weight = weight.masked_fill(process.is_fixed(batch.x_0.flatten()), 0)
    per_token = Tokens(batch.x_t.flatten(), batch.x_0.flatten(), alpha, dalpha, weight)
    # A mixture of one token is that token, and a look-up costs less than a mean.
    seen = batch.x_t if batch.seen.shape[-1] == 1 else Mixture(batch.seen, batch.shares)
    with autocast(batch.x_0.device, precision):
        hidden = network.hidden(seen, batch.sigma).flatten(0, 1)
        output = network.output_layer.linear
        return process.loss(hidden, output.weight, output.bias, per_token)


def antithetic_times(n: int, t_min: float, power: float, generator: torch.Generator) -> Times:
    """One time in each of n parts of [t_min, 1]: the variance over times falls out of the loss
    (VDM, arXiv:2107.00630).

    With u uniform, t = u ** power has the density t ** (1/power - 1) / power, which is divided out
    again. The NELBO at a time t is large and rare, about 1/t on a share t of the tokens: a power of
    2 evens that out.

    Args:
        n: how many times to draw.
        t_min: smallest time, in (0, 1).
        power: see above; 1 draws uniform times.
        generator: where random numbers come from.
    """
    u_min = t_min ** (1 / power)
    u = (torch.rand(n, generator=generator) + torch.arange(n)) / n  # one in each part
    u = u_min + (1 - u_min) * u
    # The weight is dt/du: the mean of weight times loss over u is the integral of the loss over t.
    return Times(u**power, (1 - u_min) * power * u ** (power - 1))

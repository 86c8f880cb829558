"""Likelihood: the NELBO of given text and its perplexity."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import batches, check_tokens
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reductions import reduce_blocks
from attractor.types import AttractorError

T_MIN = 1e-4
"""Smallest time of the estimate; what the bound gathers below it is under 1e-4 of its rate
there."""


class Likelihood(NamedTuple):
    """Estimated NELBO of every token, in nats; single tokens are noisy, means are not."""

    per_token: Float[Tensor, "N L"]

    def per_sequence(self) -> Float[Tensor, "N"]:
        """Nats per token of each sequence."""
        return self.per_token.mean(1)

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.per_token.mean().item()

    @property
    def perplexity(self) -> float:
        """exp of the nats per token: an upper bound on the perplexity."""
        return math.exp(self.mean)


def likelihood(
    denoiser: Denoiser, tokens: Int[Tensor, "N L"] | np.ndarray, draws: int = 16, seed: int = 0
) -> Likelihood:
    """Monte-Carlo NELBO with `draws` stratified times per sequence, and the divergence that is left
    at t = 1.

    Args:
        denoiser: what is probed.
        tokens: clean sequences, (N, L).
        draws: times per sequence, one in each of `draws` equal parts of [1e-4, 1].
        seed: of times and noise.

    Raises:
        AttractorError: for draws < 1 or tokens the denoiser does not know.
    """
    if draws < 1:
        raise AttractorError(f"draws = {draws} must be at least 1")
    x_0 = check_tokens(denoiser, tokens)
    rows = row_address(len(x_0), device=x_0.device)
    total = torch.zeros(x_0.shape, dtype=torch.float64)
    for draw in range(draws):
        u = CountedNoise(seed, f"likelihood {draw}").grid(rows, x_0.shape[1])
        # One time a row, from the fourth number of its first token: two of the four corrupt, and
        # the fourth is nobody else's.
        t = T_MIN + (1 - T_MIN) * (draw + u[:, 0, 3]) / draws
        for part in batches(denoiser, x_0):
            total[part] += (
                _rate(denoiser, x_0[part], t[part].float(), u[part, :, :2]).double().cpu()
            )
    # The integral over t is the mean rate times the length of the interval.
    integral = (1 - T_MIN) * processes().total(total) / draws
    return Likelihood((integral + denoiser.process.prior_cost()).float())


def _rate(denoiser: Denoiser, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """NELBO per unit of time at time t, (B, L)."""
    process = denoiser.process
    x_t = process.corrupt(x_0, t, noise)
    # A block of tokens is taken for a batch of rows of one token each, which a NELBO can be asked
    # about: so every token brings its own alpha.
    per_row = (process.schedule.alpha(t), process.schedule.dalpha(t))
    per_token = (x.repeat_interleave(x_0.shape[1]) for x in per_row)

    def rate(log_p: Tensor, noisy: Tensor, clean: Tensor, alpha: Tensor, dalpha: Tensor) -> Tensor:
        return process.nelbo(log_p[:, None], noisy[:, None], clean[:, None], alpha, dalpha)[:, 0]

    blocks = denoiser.blocks(x_t, t)
    return reduce_blocks(blocks, rate, x_t.flatten(), x_0.flatten(), *per_token).view(x_0.shape)

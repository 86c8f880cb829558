"""Likelihood: the NELBO of given text and its perplexity."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.entropy import of_every_token
from attractor.probes.tokens import Rows, batches, check_tokens, counted_mean, frozen_tokens
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reductions import reduce_blocks
from attractor.results.draws import draws_error
from attractor.types import AttractorError

T_MIN = 1e-9
"""Smallest time of the estimate. A token to which the model gives less than about T_MIN / V counts
as if it gave that: none costs more than about log(V / T_MIN) nats."""
T_LOG = 0.1
"""Time below which the estimate integrates in log t, and above which in t."""


class Likelihood(NamedTuple):
    """Estimated NELBO of every token, in nats; single tokens are noisy, means are not."""

    per_token: Float[Tensor, "N L"]
    """NaN for tokens that are frozen, which are counted nowhere"""
    per_draw: Float[Tensor, "N K"]
    """what each of the K draws gives to a sequence, in nats per token; draws are in order of time,
    and their sum is the estimate, but for the divergence that is left at t = 1"""

    def per_sequence(self) -> Float[Tensor, "N"]:
        """Nats per token of each sequence."""
        return counted_mean(self.per_token, 1)

    @property
    def mean(self) -> float:
        """Nats per token."""
        return counted_mean(self.per_token).item()

    @property
    def perplexity(self) -> float:
        """exp of the nats per token: an upper bound on the perplexity."""
        return math.exp(self.mean)

    @property
    def time_error(self) -> float:
        """Standard error of the mean, in nats per token, from the drawn times and noise alone; see
        `draws_error`. An interval over sequences contains it, since every sequence has times and
        noise of its own."""
        return draws_error(self.per_draw.numpy())

    def __repr__(self) -> str:
        n, length = self.per_token.shape
        return (
            f"<Likelihood of {n:,} sequences of {length:,} tokens: at most {self.mean:.3f} nats "
            f"per token, perplexity {self.perplexity:.4g}>"
        )


def likelihood(
    denoiser: Denoiser,
    tokens: Rows,
    draws: int = 16,
    seed: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> Likelihood:
    """Monte-Carlo NELBO with `draws` stratified times per sequence, and the divergence that is left
    at t = 1.

    Where a model is surely wrong the rate goes on like 1 / t down to a t of about V p, so much of a
    memorizer's NELBO on unseen text lies at times that are far too small to be met uniformly. Half
    of the times are therefore drawn in log t, see `_times`.

    Of an autoregressive model it is no estimate and no bound: the sum of next-token surprisals.

    Args:
        denoiser: what is probed.
        tokens: clean sequences, (N, L), or text.
        draws: times per sequence, each with a call of the network.
        seed: of times and noise, which are independent from sequence to sequence.
        frozen: tokens that never move and are counted nowhere, (N, L) or (L,); those that are no
            text are frozen anyhow. The bound is then on the others given these.

    Raises:
        AttractorError: for draws < 1, tokens the denoiser does not know, or if none of them may
            move.
    """
    if draws < 1:
        raise AttractorError(f"draws = {draws} must be at least 1")
    if not denoiser.process.corrupts:
        return _exact(denoiser, tokens, seed, frozen)
    x_0 = check_tokens(denoiser, tokens)
    fixed = frozen_tokens(denoiser, x_0, frozen)
    rows = row_address(len(x_0), device=x_0.device)
    # Each process fills its own rows of zeros, and the sum at the end is all of them.
    per_token = torch.zeros(x_0.shape, dtype=torch.float64)
    per_draw = torch.zeros(len(x_0), draws, dtype=torch.float64)
    for draw in range(draws):
        u = CountedNoise(seed, f"likelihood {draw}").grid(rows, x_0.shape[1])
        # One time a row, from the fourth number of its first token: two of the four corrupt, and
        # the fourth is nobody else's.
        t, length = _times((draw + u[:, 0, 3]) / draws)
        for part in batches(denoiser, x_0):
            held = None if fixed is None else fixed[part]
            rate = _rate(denoiser, x_0[part], t[part], u[part, :, :2], held)
            found = (rate * length[part, None] / draws).cpu()
            per_token[part] += found
            if held is not None:
                found[held.cpu()] = torch.nan
            per_draw[part, draw] = counted_mean(found, 1)
    per_token, per_draw = (processes().total(x) for x in (per_token, per_draw))
    per_token = (per_token + denoiser.process.prior_cost()).float()
    if fixed is not None:
        per_token[fixed.cpu()] = torch.nan
    return Likelihood(per_token, per_draw)


def _exact(
    denoiser: Denoiser, tokens: Rows, seed: int, frozen: Tensor | np.ndarray | None
) -> Likelihood:
    def surprisal(log_p: Tensor, clean: Tensor) -> Tensor:
        return -log_p.gather(-1, clean[:, None])[:, 0]

    per_token = of_every_token(denoiser, tokens, 1.0, seed, surprisal, (), frozen)
    return Likelihood(per_token, counted_mean(per_token, 1)[:, None].double())


def _times(s: Float[Tensor, "N"]) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
    """A time t(s) in [1e-9, 1] for each s in (0, 1), and dt/ds, so that the integral of any rate
    over t is that of rate(t(s)) dt/ds over s.

    Up to s = 1/2, log t runs from 1e-9 to 0.1, and as a parabola, since in log t a rate gathers the
    more the nearer it is to 0.1, be it of a memorizer or not; from there on t runs evenly to 1.
    """
    decades = math.log(T_LOG / T_MIN)
    v = (1 - 2 * s).clamp(min=0)
    low = T_LOG * torch.exp(-decades * v**2)
    high = T_LOG + (1 - T_LOG) * (2 * s - 1)
    slope = torch.where(s < 0.5, 4 * decades * v * low, 2 * (1 - T_LOG))
    return torch.where(s < 0.5, low, high), slope


def _rate(
    denoiser: Denoiser, x_0: Tensor, t: Tensor, noise: Tensor, frozen: Tensor | None
) -> Tensor:
    """NELBO per unit of time at time t, (B, L), float64; 0 where frozen."""
    # Times stay in double precision but for the network, or alpha would lose them below 1e-7.
    process = denoiser.process
    x_t = process.corrupt(x_0, t, noise, frozen)
    free = torch.ones_like(x_0, dtype=torch.bool) if frozen is None else ~frozen
    # A block of tokens is taken for a batch of rows of one token each, which a NELBO can be asked
    # about: so every token brings its own alpha.
    per_row = (process.schedule.alpha(t), process.schedule.dalpha(t))
    per_token = (x[:, None].expand(x_0.shape)[free] for x in per_row)

    def rate(log_p: Tensor, noisy: Tensor, clean: Tensor, alpha: Tensor, dalpha: Tensor) -> Tensor:
        return process.nelbo(log_p[:, None], noisy[:, None], clean[:, None], alpha, dalpha)[:, 0]

    blocks = denoiser.blocks(x_t, t.float(), free)
    found = torch.zeros(x_0.shape, dtype=t.dtype, device=x_0.device)
    found[free] = reduce_blocks(blocks, rate, x_t[free], x_0[free], *per_token).to(t.dtype)
    return found

"""The negative evidence lower bound of uniform-state diffusion, per token and per unit of time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class PosteriorStats(NamedTuple):
    """All that the NELBO asks of a distribution p, with pbar = V a p + 1 - a; each (B, L)."""

    log_pbar_sum: Tensor
    """sum_v log pbar_v"""
    log_pbar_z: Tensor
    """log pbar at the noisy token"""
    log_pbar_x: Tensor
    """log pbar at the clean token"""


def posterior_stats(
    log_probs: Float[Tensor, "B L V"],
    x_t: Int[Tensor, "B L"],
    x_0: Int[Tensor, "B L"],
    alpha_t: Float[Tensor, "B"],
) -> PosteriorStats:
    """Reduce (B, L, V) log-probabilities to what the NELBO needs."""
    vocab = log_probs.shape[-1]
    a = alpha_t[:, None, None]
    log_pbar = torch.log(vocab * a * log_probs.exp() + 1 - a)
    at = log_pbar.gather(-1, torch.stack([x_t, x_0], -1))
    return PosteriorStats(log_pbar.sum(-1), at[..., 0], at[..., 1])


def nelbo(
    log_probs: Float[Tensor, "B L V"],
    x_t: Int[Tensor, "B L"],
    x_0: Int[Tensor, "B L"],
    alpha_t: Float[Tensor, "B"],
    dalpha_t: Float[Tensor, "B"],
) -> Float[Tensor, "B L"]:
    """Negative evidence lower bound per token and per unit of time, in nats (UDLM,
    arXiv:2412.10193, eq. 18).

    Its integral over t in [0, 1] bounds -log P(x_0) from above, with equality where `log_probs` is
    the leave-one-out distribution log P(x_0[l] = v | x_t at all positions but l).

    Args:
        log_probs: the denoiser's log-probabilities, (B, L, V).
        x_t: noisy tokens, (B, L).
        x_0: clean tokens, (B, L).
        alpha_t: alpha at each row's time, (B,).
        dalpha_t: its time derivative, (B,), negative.

    Returns:
        (B, L), nats per token and unit of time; never negative up to rounding.
    """
    vocab = log_probs.shape[-1]
    stats = posterior_stats(log_probs, x_t, x_0, alpha_t)
    a, da = alpha_t[:, None], dalpha_t[:, None]
    c = 1 - a
    top = vocab * a + c  # xbar at the clean token; it is c at every other
    xbar_z = torch.where(x_t == x_0, top, c)
    # sum_v xbar_v = V, and xbar takes two values only: the sum over v collapses to three logarithms
    # of pbar. It is (cross + entropy_of_xbar) / xbar_z, cut into the part with the denoiser's
    # distribution and the part without.
    entropy_of_xbar = (vocab - 1) * c * c.log() + top * top.log()
    cross = (
        vocab * (stats.log_pbar_z - xbar_z.log())
        - c * stats.log_pbar_sum
        - vocab * a * stats.log_pbar_x
    )
    bracket = (
        vocab / xbar_z - vocab * (-stats.log_pbar_z).exp() - (cross + entropy_of_xbar) / xbar_z
    )
    return da / (vocab * a) * bracket

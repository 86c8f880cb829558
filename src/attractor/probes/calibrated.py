"""Membership beside a model that did not see the rows: what one knows better than the other."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import Rows, batches, check_tokens
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reductions import reduce_blocks
from attractor.process.schedule import Schedule
from attractor.types import AttractorError

DENSITIES = tuple(np.linspace(0.05, 0.5, 16).tolist())
"""Shares of a row that are hidden, one after the other."""
SUBSETS = 128
"""Subsets of the hidden tokens that vote at each share."""
SUBSET = 10
"""Tokens in a subset, or all that are hidden where these are fewer."""


def sama(denoiser: Denoiser, base: Denoiser, tokens: Rows, seed: int = 0) -> Float[Tensor, "N"]:
    """SAMA, the subset-aggregated membership attack (arXiv:2601.20125): how often small sets of
    hidden tokens are less surprising to a model than to its base; 1 for a row that it knows better
    in every set, 1/2 where neither does.

    More and more of a row is hidden, from 5 to 50%, the same places from both. At the k-th share
    subsets of the hidden tokens vote by the sign of the difference of their losses, a tie half, and
    the share of votes counts with weight 1/k: few hidden tokens say most of a single row. The sign
    keeps a few tokens of very different losses from deciding alone.

    Hidden tokens are drawn from each model's own noise at t = 1: they are masks, or, with uniform
    noise, random tokens, which is its natural counterpart, since a denoiser's distribution leaves
    the token's own value out. Each model is told the time at which so large a share is noise.

    Args:
        denoiser: the model that may have been trained on the rows.
        base: one of the same tokenizer that was not.
        tokens: sequences, (N, L), or text.
        seed: of places, noise and subsets, which are functions of (seed, row).

    Raises:
        AttractorError: for tokens that one of them does not know, or a row without text.
    """
    x_0 = check_tokens(denoiser, tokens)
    text = ~denoiser.process.is_fixed(x_0)
    count = text.sum(1, keepdim=True)
    if not count.all():
        raise AttractorError(f"row {int(count.argmin())} holds no text")
    rows = row_address(len(x_0), device=x_0.device)
    u = CountedNoise(seed, "sama places").grid(rows, x_0.shape[1])[..., 0]
    order = u.masked_fill(~text, 2.0).argsort(1).argsort(1)
    votes = torch.zeros(len(x_0), dtype=torch.float64)
    weights = 1 / torch.arange(1, len(DENSITIES) + 1, dtype=torch.float64)
    for k, density in enumerate(DENSITIES):
        hidden = order < (density * count).round().clamp(min=1)
        noise = CountedNoise(seed, f"sama {k}").grid(rows, x_0.shape[1])[..., :2]
        for part in batches(denoiser, x_0):
            losses = [
                _losses(each, x_0[part], hidden[part], noise[part], density)
                for each in (denoiser, base)
            ]
            gain = losses[1] - losses[0]
            share = _vote(gain, hidden[part].cpu(), rows[part].cpu(), seed, k)
            votes[part] += weights[k] * share
    return processes().total(votes) / weights.sum()


def _losses(
    denoiser: Denoiser, x_0: Tensor, hidden: Tensor, noise: Tensor, density: float
) -> Float[Tensor, "B L"]:
    """-log p of the hidden tokens, 0 at the others."""
    clean, where, device = x_0.to(denoiser.device), hidden.to(denoiser.device), denoiser.device
    x_t = torch.where(where, denoiser.process.prior(noise.to(device)), clean)
    t = torch.full((len(x_0),), time_of(denoiser.process.schedule, density), device=device)

    def loss(log_p: Tensor, token: Tensor) -> Tensor:
        return -log_p.gather(-1, token[:, None])[:, 0].double()

    found = torch.zeros(x_0.shape, dtype=torch.float64)
    blocks = denoiser.blocks(x_t, t, where)
    found[where.cpu()] = reduce_blocks(blocks, loss, clean[where]).cpu()
    return found


def _vote(
    gain: Float[Tensor, "B L"],
    hidden: Bool[Tensor, "B L"],
    rows: Int[Tensor, "B"],
    seed: int,
    k: int,
) -> Float[Tensor, "B"]:
    """Share of the subsets whose tokens together are less surprising to the model."""
    b, length = gain.shape
    size = hidden.sum(1).clamp(max=SUBSET)[:, None]
    address = torch.cat([rows + (subset << 32) for subset in range(SUBSETS)])
    u = CountedNoise(seed, f"sama subsets {k}").grid(address, length)[..., 0]
    u = u.view(SUBSETS, b, length).masked_fill(~hidden, 2.0)
    least = u.sort(-1).values.gather(-1, (size - 1).expand(SUBSETS, b, 1))
    total = torch.where(u <= least, gain, 0.0).sum(-1)
    return ((total > 0).double() + (total == 0).double() / 2).mean(0)


def time_of(schedule: Schedule, noise: float) -> float:
    """The time at which so large a share of the tokens is noise, 1 - alpha, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        alpha = float(schedule.alpha(torch.tensor(middle, dtype=torch.float64)))
        low, high = (low, middle) if 1 - alpha > noise else (middle, high)
    return high

"""Conditional entropy: how sure the network is of a token given its context."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import Rows, batches, check_tokens, counted_mean, frozen_tokens
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reductions import entropy, moments, reduce_blocks
from attractor.process.reverse import check_time
from attractor.results.thresholds import VANISHING
from attractor.types import AttractorError


class Entropy(NamedTuple):
    """Conditional entropy of every token, in nats."""

    per_token: Float[Tensor, "N L"]
    """NaN for tokens that are frozen, which are counted nowhere"""

    def per_sequence(self) -> Float[Tensor, "N"]:
        """Mean over the tokens of each sequence."""
        return counted_mean(self.per_token, 1)

    @property
    def mean(self) -> float:
        """Mean entropy, in nats per token."""
        return counted_mean(self.per_token).item()

    @property
    def vanishing(self) -> Bool[Tensor, "N L"]:
        """Whether the entropy of each token is below 0.01 nats."""
        return self.per_token < VANISHING

    @property
    def vanishing_share(self) -> float:
        """Share of tokens below 0.01 nats."""
        return self.vanishing[~self.per_token.isnan()].float().mean().item()

    def __repr__(self) -> str:
        n, length = self.per_token.shape
        return (
            f"<Entropy of {n:,} sequences of {length:,} tokens: {self.mean:.3f} nats per token, "
            f"{self.vanishing_share:.1%} of the tokens below {VANISHING:g} nats>"
        )


class Conditionals(NamedTuple):
    """What the distribution p of each token given its context says of it, each (N, L), in nats; NaN
    for tokens that are frozen."""

    entropy: Float[Tensor, "N L"]
    """-sum_v p_v log p_v"""
    log_prob: Float[Tensor, "N L"]
    """log p of the token that is there"""
    log_spread: Float[Tensor, "N L"]
    """standard deviation of log p_v under p"""

    def min_k(self, share: float = 0.2) -> Float[Tensor, "N"]:
        """Min-K%++ (arXiv:2404.02936) of each sequence: the mean over its `share` least likely
        tokens of (log p(x) - E log p) / sd(log p); high for text that was trained on."""
        # E log p is minus the entropy.
        return _least_mean((self.log_prob + self.entropy) / self.log_spread.clamp(min=1e-6), share)

    def min_k_prob(self, share: float = 0.2) -> Float[Tensor, "N"]:
        """Min-K% (arXiv:2310.16789) of each sequence: the mean log p(x) of its `share` least likely
        tokens. It is meant for next tokens, whose log p add up to the likelihood."""
        return _least_mean(self.log_prob, share)


def _least_mean(score: Float[Tensor, "N L"], share: float) -> Float[Tensor, "N"]:
    """The mean over the share of each row's tokens that have the least score."""
    if not score.isnan().any():
        k = max(1, round(share * score.shape[1]))
        return score.topk(k, 1, largest=False).values.mean(1)
    # Rows differ in how many tokens count: NaN comes last, and each row has a k of its own.
    counted = (~score.isnan()).sum(1, keepdim=True)
    each = (share * counted).round().clamp(min=1)
    least = torch.arange(score.shape[1], device=score.device) < each
    return score.sort(1).values.masked_fill(~least, torch.nan).nanmean(1)


def conditional_entropy(
    denoiser: Denoiser,
    tokens: Rows,
    t: float = 1e-5,
    seed: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
    positions: int | None = None,
) -> Entropy:
    """Entropy of the denoiser's distribution at every token, `-sum_v p_v log p_v`
    (arXiv:2604.26841).

    As t -> 0 this is the entropy of a token given all the others. Where noise is a mask, a visible
    token would merely be copied: each token is then measured behind a mask, in a call of its own.

    Args:
        denoiser: what is probed.
        tokens: sequences, (N, L), or text.
        t: time in (0, 1]; tokens are corrupted at t first, which at the default changes next to
            nothing.
        seed: of that corruption.
        frozen: tokens that never move and are counted nowhere, (N, L) or (L,); those that are no
            text are frozen anyhow.
        positions: at how many tokens of each row, drawn anew for every row, to measure, where each
            costs a call behind a mask; all unless given. The others are NaN. A row's mean over
            them has the expectation of its mean over all, so that the same interval holds.

    Raises:
        AttractorError: for t outside (0, 1], tokens the denoiser does not know, or if none of them
            may move.
    """
    return Entropy(
        of_every_token(
            denoiser, tokens, t, seed, lambda log_p, _: entropy(log_p), (), frozen, positions
        )
    )


def conditionals(
    denoiser: Denoiser,
    tokens: Rows,
    t: float = 1e-5,
    seed: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
    positions: int | None = None,
) -> Conditionals:
    """Entropy, log-probability and spread at every token, from one pass of the network.

    Arguments and errors are those of `conditional_entropy`.
    """
    return Conditionals(
        *of_every_token(denoiser, tokens, t, seed, moments, (3,), frozen, positions).unbind(-1)
    )


def of_every_token(
    denoiser: Denoiser,
    tokens: Rows,
    t: float,
    seed: int,
    reduction: Callable[[Tensor, Tensor], Tensor],
    shape: tuple[int, ...],
    frozen: Tensor | np.ndarray | None,
    positions: int | None = None,
) -> Float[Tensor, "N L ..."]:
    """What `reduction` says, in numbers of some shape, of the distribution at every token and of
    the token there, from one pass of the network, or with masks from one for each token; NaN for
    tokens that are frozen, or not among the `positions` of their row that are drawn."""
    check_time(t)
    if positions is not None and positions < 1:
        raise AttractorError(f"positions = {positions} must be at least 1")
    x_0 = check_tokens(denoiser, tokens)
    noise = CountedNoise(seed, "entropy", t).grid(
        row_address(len(x_0), device=x_0.device), x_0.shape[1]
    )
    times = noise.new_full((len(x_0),), t)
    fixed = frozen_tokens(denoiser, x_0, frozen)
    # Without noise what is read are next tokens of the text as it is.
    x_t = x_0
    if denoiser.process.corrupts:
        x_t = denoiser.process.corrupt(x_0, times, noise[..., :2], fixed)
    # Each process fills its own rows of zeros, and the sum at the end is all of them.
    found = torch.zeros(*x_0.shape, *shape, device=x_0.device)
    read = torch.zeros_like(x_0, dtype=torch.bool)
    for part in batches(denoiser, x_t):
        held = None if fixed is None else fixed[part]
        # Among all readings of a batch, every token is asked for exactly once, frozen ones never.
        if positions is None:
            readings = denoiser.process.readings(x_t[part], held)
        else:
            drawn = _drawn(held, noise[part, :, 2], positions)
            readings = denoiser.process.readings_of(x_t[part], drawn)
        for shown, where in readings:
            blocks = denoiser.blocks(shown, times[part].float(), where)
            found[part][where] = reduce_blocks(blocks, reduction, x_0[part][where]).float()
            read[part] |= where
    found, asked = processes().total(found), processes().total(read.int()) > 0
    if fixed is not None or positions is not None:
        found[~asked] = torch.nan
    return found.cpu()


def _drawn(
    frozen: Bool[Tensor, "B L"] | None, order: Float[Tensor, "B L"], positions: int
) -> Bool[Tensor, "B L"]:
    """The tokens of each row that come first in a random order, of those that may move."""
    if frozen is not None:
        order = order.masked_fill(frozen, 2.0)  # behind all others
    first = order.argsort(1)[:, :positions]
    found = torch.zeros_like(order, dtype=torch.bool).scatter_(1, first, True)
    return found if frozen is None else found & ~frozen

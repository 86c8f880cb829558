"""Conditional entropy: how sure the network is of a token given its context."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import batches, check_tokens
from attractor.process.reductions import entropy, reduce_blocks
from attractor.process.reverse import check_time
from attractor.runtime import CountedNoise, row_address

VANISHING = 0.01
"""Nats below which the entropy of a token counts as vanishing."""


class Entropy(NamedTuple):
    """Conditional entropy of every token, in nats."""

    per_token: Float[Tensor, "N L"]

    def per_sequence(self) -> Float[Tensor, "N"]:
        """Mean over the tokens of each sequence."""
        return self.per_token.mean(1)

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.per_token.mean().item()

    @property
    def vanishing(self) -> Bool[Tensor, "N L"]:
        """Tokens below 0.01 nats."""
        return self.per_token < VANISHING

    @property
    def vanishing_share(self) -> float:
        """Share of tokens below 0.01 nats."""
        return self.vanishing.float().mean().item()


def conditional_entropy(
    denoiser: Denoiser, tokens: Int[Tensor, "N L"] | np.ndarray, t: float = 1e-5, seed: int = 0
) -> Entropy:
    """Entropy of the denoiser's distribution at every token, `-sum_v p_v log p_v` (arXiv:2604.26841).

    As t -> 0 this is the entropy of a token given all the others. Where noise is a mask, a visible token would merely
    be copied: each token is then measured behind a mask, in a call of its own.

    Args:
        denoiser: what is probed.
        tokens: sequences, (N, L).
        t: time in (0, 1]; tokens are corrupted at t first, which at the default changes next to nothing.
        seed: of that corruption.

    Raises:
        AttractorError: for t outside (0, 1] or tokens the denoiser does not know.
    """
    check_time(t)
    x_0 = check_tokens(denoiser, tokens)
    noise = CountedNoise(seed, "entropy", t).grid(row_address(len(x_0), device=x_0.device), x_0.shape[1])
    times = noise.new_full((len(x_0),), t)
    x_t = denoiser.process.corrupt(x_0, times, noise[..., :2])
    per_token = torch.zeros(x_0.shape, device=x_0.device)
    for part in batches(denoiser, x_t):
        for shown, where in denoiser.process.readings(x_t[part]):
            blocks = denoiser.blocks(shown, times[part].float(), where)
            per_token[part][where] = reduce_blocks(blocks, entropy).float()
    return Entropy(per_token.cpu())

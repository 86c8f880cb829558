"""Probe a model of your own: one method is all a Denoiser needs.

This one knows the frequency of each token and nothing about its context, so it recovers at the rate
of a good guess.
"""

from __future__ import annotations

import torch
from torch import Tensor

import attractor


class Unigram(attractor.Denoiser):
    """The distribution of single tokens, whatever surrounds them."""

    def __init__(self, tokens: Tensor, vocab_size: int) -> None:
        self.process = attractor.UniformProcess(vocab_size)
        counts = torch.bincount(tokens.flatten(), minlength=vocab_size).float() + 0.5
        self.log_p = (counts / counts.sum()).log()

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """(B, L, V), or (M, V) at the positions of `where`."""
        every = self.log_p.expand(*x_t.shape, -1)
        return every if where is None else every[where]


def main() -> None:
    """Print what the probes say of it."""
    tokens = torch.randint(0, 20, (200, 16), generator=torch.Generator().manual_seed(0)) ** 2 // 20
    denoiser = Unigram(tokens, vocab_size=20)
    found = attractor.probes.recovery(denoiser, tokens, t=0.25)
    print(f"recovery {found.rate:.3f}   broken {found.unstable_rate:.3f}")
    print(f"entropy  {attractor.probes.conditional_entropy(denoiser, tokens).mean:.3f} nats")


if __name__ == "__main__":
    main()

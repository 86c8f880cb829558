"""A Markov chain read from left to right: next-token laws that are known exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor import Denoiser
from attractor.process.autoregressive import AutoregressiveProcess

V, LENGTH = 5, 8


class Chain(Denoiser):
    """The exact law of a Markov chain, token by token."""

    def __init__(self, vocab: int = V, length: int = LENGTH, seed: int = 0) -> None:
        self.process = AutoregressiveProcess(vocab + 1)
        self.seq_len, self.time_conditioned = length, False
        source = torch.Generator().manual_seed(seed)
        rows = torch.rand(vocab + 1, vocab, generator=source, dtype=torch.float64) ** 3
        rows /= rows.sum(1, keepdim=True)
        # The last row is the law of the first token; the start is never a next one.
        self.law = torch.cat([rows, torch.zeros(vocab + 1, 1, dtype=torch.float64)], 1)

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """log p(x_l | x_{l-1})."""
        before = torch.nn.functional.pad(x_t[:, :-1], (1, 0), value=len(self.law) - 1)
        full = self.law[before].log().float()
        return full if where is None else full[where]

    def rows(self, n: int) -> Tensor:
        """Text of this law."""
        source, before = torch.Generator().manual_seed(1), torch.full((n,), len(self.law) - 1)
        found = []
        for _ in range(self.seq_len or LENGTH):
            before = torch.multinomial(self.law[before], 1, generator=source)[:, 0]
            found.append(before)
        return torch.stack(found, 1)

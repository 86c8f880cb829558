"""Denoisers whose probes have known answers."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor import Denoiser, UniformProcess

V = 6


class Certain(Denoiser):
    """Knows one sequence and nothing else."""

    def __init__(self, sequence: list[int], confidence: float = 1 - 1e-9) -> None:
        self.process = UniformProcess(V)
        self.seq_len = len(sequence)
        p = torch.full((len(sequence), V), (1 - confidence) / (V - 1), dtype=torch.float64)
        p[torch.arange(len(sequence)), sequence] = confidence
        self.table = p.log()

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """The same distribution whatever it is given."""
        full = self.table.expand(len(x_t), -1, -1).float()
        return full if where is None else full[where]


class Ignorant(Denoiser):
    """Uniform everywhere."""

    def __init__(self, seq_len: int | None = None) -> None:
        self.process = UniformProcess(V)
        self.seq_len = seq_len

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """log 1/V."""
        full = torch.full((*x_t.shape, V), 1 / V).log()
        return full if where is None else full[where]

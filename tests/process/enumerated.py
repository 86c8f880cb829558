"""Three tokens of text and a mask, L = 2, by enumeration: for the processes with a mask."""

from __future__ import annotations

import itertools

import torch
from exact import STATES as TEXT
from exact import L
from exact import V as TEXT_SIZE
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess, MixtureProcess
from attractor.process.schedule import LogLinear
from attractor.process.shifted import ShiftedProcess

V, MASK = TEXT_SIZE + 1, TEXT_SIZE
STATES = torch.tensor(list(itertools.product(range(V), repeat=L)))
"""All sixteen sequences, (V**L, L)."""
PROCESSES = {
    "absorbing": AbsorbingProcess(V, LogLinear(1e-6)),
    "hybrid": HybridProcess(V, LogLinear(1e-6), uniform_share=0.4),
    "shifted": ShiftedProcess(V, LogLinear(1e-6), shift=0.7),
    "shifted to masks": ShiftedProcess(V, LogLinear(1e-6), shift=-2.0),
}


def noise(process: ForwardProcess, alpha: Tensor) -> Tensor:
    """m(v), (B, V): what a token is drawn from when it is not the clean one, times 1 - alpha."""
    if isinstance(process, MixtureProcess):
        text, mask = process.noise(alpha)
    else:
        text, mask = torch.zeros_like(alpha), 1 - alpha
    return torch.stack([text, text, text, mask], 1)


def channel(process: ForwardProcess, alpha: Tensor) -> Tensor:
    """q(x_t = w | x_0 = v) of one token, (B, V, V); the row of the mask means nothing."""
    return alpha[:, None, None] * torch.eye(V, dtype=alpha.dtype) + noise(process, alpha)[:, None]


class Exact(Denoiser):
    """The leave-one-out distribution of a joint law of two tokens of text; the mask has probability
    zero."""

    def __init__(self, process: ForwardProcess, law: Tensor) -> None:
        self.process, self.law, self.seq_len = process, law.view(TEXT_SIZE, TEXT_SIZE), L

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """log r, (B, 2, V)."""
        evidence = channel(self.process, self.process.schedule.alpha(t.double()))[:, :TEXT_SIZE]
        rows = torch.arange(len(x_t))
        seen = [evidence[rows, :, x_t[:, i]] for i in range(L)]  # P(x_t[i] | x_0[i] = v), (B, 3)
        weights = torch.stack([seen[1] @ self.law.T, seen[0] @ self.law], 1)
        r = torch.nn.functional.pad(weights / weights.sum(-1, keepdim=True), (0, 1)).log()
        return r if where is None else r[where]


__all__ = ["MASK", "PROCESSES", "STATES", "TEXT", "Exact", "L", "V", "channel", "noise"]

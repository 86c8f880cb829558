"""Everything about V = 3, L = 2 by enumeration: a joint law, its noisy versions, its exact
conditionals."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.uniform import UniformProcess

V, L = 3, 2
STATES = torch.tensor(list(itertools.product(range(V), repeat=L)))
"""All nine sequences, (V**L, L)."""


def joint_law(seed: int = 0) -> Tensor:
    """A law over the nine sequences without symmetry, float64."""
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(V**L, 0.5)))


def channel(alpha: Tensor) -> Tensor:
    """q(x_t = w | x_0 = v) of one token, (B, V, V)."""
    return alpha[:, None, None] * torch.eye(V, dtype=alpha.dtype) + (1 - alpha[:, None, None]) / V


class Exact(Denoiser):
    """The leave-one-out distribution of a joint law; with `ordinary`, the token's own evidence is
    mixed in as well."""

    def __init__(self, law: Tensor, ordinary: bool = False) -> None:
        self.law, self.ordinary = law.view(V, V), ordinary
        self.process = UniformProcess(V)
        self.seq_len = L

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """log r, (B, 2, V)."""
        evidence = channel(self.process.schedule.alpha(t.double()))
        rows = torch.arange(len(x_t))
        seen = [evidence[rows, :, x_t[:, i]] for i in range(L)]  # P(x_t[i] | x_0[i] = v), (B, V)
        weights = [seen[1] @ self.law.T, seen[0] @ self.law]
        if self.ordinary:
            weights = [w * s for w, s in zip(weights, seen, strict=True)]
        r = torch.stack([w / w.sum(1, keepdim=True) for w in weights], 1).log()
        return r if where is None else r[where]

"""Three tokens of text among seven ids, L = 3, of which some may be known: everything by
enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess

V, L, PAD, MASK = 7, 3, 0, 3
TEXT = torch.tensor([1, 4, 6])
"""The ids that are text; 2 and 5 are not even special."""
EPS = LogLinear(1e-6)
PROCESSES: dict[str, ForwardProcess] = {
    "uniform": UniformProcess(V, EPS, TEXT),
    "absorbing": AbsorbingProcess(V, EPS, MASK, TEXT),
    "hybrid": HybridProcess(V, EPS, MASK, 0.4, TEXT),
}
COMPACT: dict[str, ForwardProcess] = {
    "uniform": UniformProcess(3, EPS),
    "absorbing": AbsorbingProcess(4, EPS),
    "hybrid": HybridProcess(4, EPS, uniform_share=0.4),
}
"""The same noise where the three tokens are all the text there is, and the mask the last id."""
SAME = torch.tensor([1, 4, 6, MASK])
"""Which of the seven ids each id of a compact process is."""


def joint_law(seed: int = 0) -> Tensor:
    """A law over the 27 texts, (3, 3, 3), float64."""
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(27, 0.5))).view(3, 3, 3)


def states(process: ForwardProcess, given: Tensor) -> Tensor:
    """Every x_t that there can be, (S, 3): known tokens are text, others text or a mask."""
    moving = TEXT.tolist() if process.mask_id is None else SAME.tolist()
    return torch.tensor(
        list(itertools.product(*(TEXT.tolist() if known else moving for known in given.tolist())))
    )


def channel(process: ForwardProcess, alpha: Tensor) -> Tensor:
    """q(x_t = w | x_0 = v) of one token for each alpha, (B, 3, 7)."""
    if isinstance(process, HybridProcess):
        text, mask = process.noise(alpha)
    elif isinstance(process, AbsorbingProcess):
        text, mask = torch.zeros_like(alpha), 1 - alpha
    else:
        text, mask = (1 - alpha) / 3, torch.zeros_like(alpha)
    q = torch.zeros(len(alpha), 3, V, dtype=alpha.dtype)
    q[:, :, TEXT] = text[:, None, None] + alpha[:, None, None] * torch.eye(3, dtype=alpha.dtype)
    q[:, :, MASK] += mask[:, None]
    return q


class Exact(Denoiser):
    """The leave-one-out distribution of a law of three tokens, of which it knows some to be
    clean."""

    def __init__(self, process: ForwardProcess, law: Tensor, given: Tensor) -> None:
        self.process, self.law, self.given, self.seq_len = process, law, given, L

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """log r, (B, 3, 7)."""
        noisy = channel(self.process, self.process.schedule.alpha(t.double()))
        clean = torch.zeros(3, V, dtype=torch.float64)
        clean[torch.arange(3), TEXT] = 1
        rows = torch.arange(len(x_t))
        a, b, c = (
            clean[:, x_t[:, i]].T if self.given[i] else noisy[rows, :, x_t[:, i]] for i in range(L)
        )
        weights = torch.stack(
            [
                torch.einsum("nj,nk,ijk->ni", b, c, self.law),
                torch.einsum("ni,nk,ijk->nj", a, c, self.law),
                torch.einsum("ni,nj,ijk->nk", a, b, self.law),
            ],
            1,
        )
        r = torch.zeros(*x_t.shape, V, dtype=torch.float64)
        r[..., TEXT] = weights / weights.sum(-1, keepdim=True)
        return r.log() if where is None else r.log()[where]

"""The textbook: every formula as it is printed, every tensor over the vocabulary written out.

The network is the same on both sides, so the ratios show what is done with its output.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess


def nelbo(log_probs: Tensor, x_t: Tensor, x_0: Tensor, alpha_t: Tensor, dalpha_t: Tensor) -> Tensor:
    """UDLM eq. 18, (B, L), with its sum over the vocabulary as it stands."""
    vocab = log_probs.shape[-1]
    a, da = alpha_t[:, None, None], dalpha_t[:, None]
    xbar = vocab * a * F.one_hot(x_0, vocab).to(log_probs.dtype) + 1 - a
    pbar = vocab * a * log_probs.exp() + 1 - a
    xbar_z, pbar_z = xbar.gather(-1, x_t[..., None]), pbar.gather(-1, x_t[..., None])
    sum_v = (xbar / xbar_z * (pbar_z * xbar / (pbar * xbar_z)).log()).sum(-1)
    return da / (vocab * a[..., 0]) * (vocab / xbar_z[..., 0] - vocab / pbar_z[..., 0] - sum_v)


def posterior(x_t: Tensor, probs: Tensor, alpha_s: float, alpha_t: float) -> Tensor:
    """q(x_s | x_t) of UDLM eq. 14, (B, L, V) in float64."""
    vocab, a, b = probs.shape[-1], alpha_t, alpha_s
    z, p = F.one_hot(x_t, vocab).double(), probs.double()
    top = (vocab * a * p + a / b - a) * z + (b - a) * p + (1 - a / b) * (1 - b) / vocab
    return top / (vocab * a * (z * p).sum(-1, keepdim=True) + 1 - a)


def gumbel_max(probs: Tensor) -> Tensor:
    """One token a position: argmax of p / E with exponential E, which is the Gumbel trick."""
    return (probs / -torch.rand_like(probs).clamp(min=1e-300).log()).argmax(-1)


def masked_posterior(
    x_t: Tensor, probs: Tensor, alpha_s: float, alpha_t: float, mask: int
) -> Tensor:
    """q(x_s | x_t) of MDLM eq. 7, (B, L, V) in float64."""
    z, p, a, b = F.one_hot(x_t, probs.shape[-1]).double(), probs.double(), alpha_t, alpha_s
    return torch.where(x_t[..., None] == mask, ((b - a) * p + (1 - b) * z) / (1 - a), z)


@torch.no_grad()
def reverse_step(network: DDiT, process: ForwardProcess, x_t: Tensor, t: float, s: float) -> Tensor:
    """Dense ancestral sampling from time t to s < t."""
    t_, s_ = (torch.tensor([u], dtype=torch.float64) for u in (t, s))
    sigma = process.schedule.sigma(t_).float().to(x_t.device).expand(len(x_t))
    logits = network(x_t, sigma).float()
    alpha_s, alpha_t = (process.schedule.alpha(at).item() for at in (s_, t_))
    if process.mask_id is None:
        return gumbel_max(posterior(x_t, logits.softmax(-1), alpha_s, alpha_t))
    logits[..., process.mask_id] = -torch.inf
    probs = logits.softmax(-1)
    return gumbel_max(masked_posterior(x_t, probs, alpha_s, alpha_t, process.mask_id))

"""Muon: momentum made orthogonal for the hidden matrices, AdamW for all other weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.95


class Muon(torch.optim.AdamW):
    """Steps of equal size in all directions of a matrix (Jordan et al., 2024; Liu et al.,
    arXiv:2502.16982).

    The learning rate is AdamW's for both kinds of weights: an orthogonal matrix is scaled to the
    root mean square of an AdamW step, 0.2 sqrt(max(rows, columns)). Matrices of one shape are done
    together, in their own precision.

    Args:
        matrices: hidden weights, each (rows, columns).
        others: embeddings, the output layer, biases, norms.
        lr: peak learning rate.
        betas: of AdamW.
        weight_decay: decoupled, of both.
    """

    def __init__(
        self,
        matrices: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [{"params": list(others)}, {"params": list(matrices)}]
        super().__init__(groups, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; with an attribute `found_inf` of 1.0, as gradient scalers set it, nothing
        moves."""
        groups = self.param_groups
        self.param_groups = groups[:1]
        try:
            super().step(closure)
        finally:
            self.param_groups = groups
        taken = 1 - getattr(self, "found_inf", torch.zeros(()))
        by_shape = defaultdict(list)
        for parameter in groups[1]["params"]:
            if parameter.grad is not None:
                by_shape[parameter.shape].append(parameter)
        for shape, parameters in by_shape.items():
            gradient = torch.stack([p.grad for p in parameters])
            momentum = torch.stack(
                [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
            )
            momentum = torch.where(taken > 0, momentum.lerp(gradient, 1 - MOMENTUM), momentum)
            direction = orthogonal(
                torch.where(taken > 0, gradient, momentum).lerp(momentum, MOMENTUM)
            )
            size = 0.2 * max(shape) ** 0.5 * groups[1]["lr"] * taken
            decay = 1 - groups[1]["lr"] * groups[1]["weight_decay"] * taken
            for i, parameter in enumerate(parameters):
                self.state[parameter]["momentum"].copy_(momentum[i])
                parameter.mul_(decay).sub_(size * direction[i])


def orthogonal(matrices: Float[Tensor, "K m n"]) -> Float[Tensor, "K m n"]:
    """Nearly the orthogonal factor of each matrix: five quintic Newton-Schulz steps take singular
    values near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = torch.baddbmm(
            x, torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315), x, beta=3.4445
        )
    return x.mT if tall else x

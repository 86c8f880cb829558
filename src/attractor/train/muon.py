"""Muon: momentum made orthogonal for the hidden matrices, AdamW for all other weights.

The gradient of a matrix is as a rule dominated by a few singular directions. Muon replaces its
momentum by the nearest orthogonal matrix, in which all directions have the same size, so that rare
ones are learned as quickly as the dominant ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.95
"""Share of the old momentum that a step keeps."""


class Muon(torch.optim.AdamW):
    """Steps of equal size in all directions of a matrix (Jordan et al., 2024; Liu et al.,
    arXiv:2502.16982).

    The learning rate is AdamW's for both kinds of weights: an orthogonal matrix is scaled to the
    root mean square of an AdamW step, 0.2, by a factor 0.2 sqrt(max(rows, columns)). Matrices of
    one shape are done together, in their own precision.

    The state of a matrix is its momentum alone, of its own shape and under the key "momentum"; the
    other weights have AdamW's two moments and number of steps. Both lie in `state` by parameter,
    where checkpoints find them.

    Args:
        matrices: hidden weights, each (rows, columns).
        others: embeddings, the output layer, biases, norms.
        lr: peak learning rate.
        betas: decays of AdamW's two moments, each in [0, 1).
        weight_decay: decoupled weight decay, of both kinds of weights.
        capturable: whether a step may become part of a CUDA graph.
    """

    def __init__(
        self,
        matrices: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        capturable: bool = False,
    ) -> None:
        groups: list[dict[str, Any]] = [{"params": list(others)}, {"params": list(matrices)}]
        super().__init__(
            groups,
            lr=lr,
            betas=betas,
            weight_decay=weight_decay,
            fused=True,
            capturable=capturable,
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; with an attribute `found_inf` of 1.0, as gradient scalers set it, nothing
        moves."""
        # AdamW's own step goes over `param_groups`, and must not see the matrices.
        groups = self.param_groups
        self.param_groups = groups[:1]
        try:
            super().step(closure)
        finally:
            self.param_groups = groups
        # A number on the device and no `if`, which would wait for it: a step that must be skipped
        # is one of size zero.
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
            # Nesterov: the new gradient counts once more. Where the step is skipped, the gradient
            # may be NaN, and zero times NaN is NaN: it is replaced, not multiplied away.
            nesterov = torch.where(taken > 0, gradient, momentum).lerp(momentum, MOMENTUM)
            direction = orthogonal(nesterov)
            # An orthogonal matrix of (m, n) has a root mean square of 1 / sqrt(max(m, n)).
            size = 0.2 * max(shape) ** 0.5 * groups[1]["lr"] * taken
            decay = 1 - groups[1]["lr"] * groups[1]["weight_decay"] * taken
            for i, parameter in enumerate(parameters):
                self.state[parameter]["momentum"].copy_(momentum[i])
                parameter.mul_(decay).sub_(size * direction[i])


def orthogonal(matrices: Float[Tensor, "K m n"]) -> Float[Tensor, "K m n"]:
    """Nearly the orthogonal factor U V^T of each matrix U S V^T, by five quintic Newton-Schulz
    steps.

    Each step takes every singular value s to 3.4445 s - 4.775 s^3 + 2.0315 s^5 and leaves the
    singular vectors alone. The coefficients (Jordan et al., 2024) are not those that converge to 1
    but those that grow fastest near 0: of a matrix of norm 1, singular values above 0.003 end
    between 0.68 and 1.21, which serves as well.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices  # so that the square is the smaller of the two
    # The Frobenius norm is at least the largest singular value, and the steps want those up to 1; a
    # matrix of zeros stays one.
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        # x <- 3.4445 x + (-4.775 A + 2.0315 A^2) x with A = x x^T.
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315)
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
    return x.mT if tall else x

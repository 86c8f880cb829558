"""Any loss of logits, chunk by chunk: the gradient is formed while the logits are there, and they are forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attractor.process.fused import Tokens, product_precision
from attractor.process.reductions import chunk_rows

LogitLoss = Callable[[Tensor, Tokens], Tensor]
"""Summed loss of logits (m, V) of m tokens."""


def chunked_loss(
    hidden: Float[Tensor, "M H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, "V"] | None,
    tokens: Tokens,
    loss: LogitLoss,
) -> Float[Tensor, ""]:
    """Sum over M tokens of `loss(hidden @ weight.T + bias, tokens)`, holding a few MiB of logits at a time.

    The gradient flows to hidden, weight and bias. Under autocast the matrix products are in its precision, all else in
    that of `hidden`.
    """
    return _ChunkedLoss.apply(loss, hidden, weight, bias, *tokens)


class _ChunkedLoss(torch.autograd.Function):
    """Forms all gradients in the forward pass; the backward pass only scales them."""

    @staticmethod
    def forward(
        ctx: Any, loss: LogitLoss, hidden: Tensor, weight: Tensor, bias: Tensor | None, *tokens: Tensor
    ) -> Tensor:
        """Sum of losses over chunks of rows."""
        precision = product_precision(hidden)
        w, b = weight.to(precision), weight.new_zeros(len(weight)) if bias is None else bias
        grad_hidden, grad_weight, grad_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(b)
        total = hidden.new_zeros(())
        rows = chunk_rows(len(weight), hidden.device)
        for h, grad_h, part in zip(
            hidden.split(rows), grad_hidden.split(rows), Tokens(*tokens).split(rows), strict=True
        ):
            h = h.to(precision)
            logits = ((h @ w.T).to(hidden.dtype) + b).requires_grad_()
            with torch.enable_grad():
                value = loss(logits, part)
            (gradient,) = torch.autograd.grad(value, logits)
            total += value.detach()
            grad_bias += gradient.sum(0)
            gradient = gradient.to(precision)
            grad_h.copy_(gradient @ w)
            grad_weight += gradient.T @ h
        ctx.save_for_backward(grad_hidden, grad_weight, None if bias is None else grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what the forward pass has formed."""
        return None, *(None if g is None else g * grad for g in ctx.saved_tensors), None, None, None, None, None

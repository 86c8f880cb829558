"""Output layer and loss as one function: the loss and its gradient, without ever keeping the
logits.

The logits of a batch, tokens times V, are the largest tensor of a training step. The gradient of a
loss with respect to them is formed chunk by chunk of rows while they are there, carried through the
output layer at once, and the logits are forgotten.

Two sizes are at work (see `process.reductions`). A *chunk* of rows is made by one matrix product,
which wants many rows to run at full speed; the loss then walks through it in *blocks* that stay in
a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attractor.process.reductions import block_rows, chunk_rows


class Tokens(NamedTuple):
    """What the loss must know of M tokens, each (M,)."""

    x_t: Tensor
    """noisy token"""
    x_0: Tensor
    """clean token"""
    alpha: Tensor
    """alpha(t) at the token's time, in (0, 1)"""
    dalpha: Tensor
    """d alpha / d t at the token's time, negative"""
    weight: Tensor
    """weight of the token in the sum"""

    def split(self, rows: int) -> list[Tokens]:
        """The same in consecutive parts of `rows` tokens; the last may be shorter."""
        return [Tokens(*part) for part in zip(*(field.split(rows) for field in self), strict=True)]


Kernel = Callable[[Tensor, Tokens], Tensor]
"""The summed loss of logits (m, V) of m tokens; *the logits are overwritten* with its gradient."""


def by_autograd(loss: Callable[[Tensor, Tokens], Tensor]) -> Kernel:
    """The kernel of a summed loss whose gradient is not written out, by automatic
    differentiation."""

    def kernel(logits: Tensor, tokens: Tokens) -> Tensor:
        # Kernels run in the forward pass of an autograd function, where gradients are switched off.
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            value = loss(leaf, tokens)
        (gradient,) = torch.autograd.grad(value, leaf)
        logits.copy_(gradient)
        return value.detach()

    return kernel


def chunked_loss(
    hidden: Float[Tensor, "M H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, "V"] | None,
    tokens: Tokens,
    kernel: Kernel,
) -> Float[Tensor, ""]:
    """Sum over M tokens of the kernel's loss of `hidden @ weight.T + bias`, holding a few MiB of
    logits at a time.

    The gradient flows to hidden, weight and bias. Under autocast the three matrix products are in
    its precision, all else and the sums over chunks in that of `hidden`.

    Args:
        hidden: input of the output layer, (M, H).
        weight: of the output layer, (V, H).
        bias: of the output layer, (V,), or None.
        tokens: what the kernel knows of the M tokens.
        kernel: the loss, which turns logits into their own gradient.
    """
    return _ChunkedLoss.apply(kernel, hidden, weight, bias, *tokens)


class _ChunkedLoss(torch.autograd.Function):
    """Forms all gradients in the forward pass; the backward pass only scales them.

    That is possible because the loss is a number: whatever is done with it later, the gradient of
    the result is this gradient times one factor.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel: Kernel,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tokens: Tensor,
    ) -> Tensor:
        """Sum of losses over chunks of rows."""
        vocab, precision = len(weight), _product_precision(hidden)
        w = weight.to(precision)
        b = weight.new_zeros(vocab) if bias is None else bias
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(b)
        loss = hidden.new_zeros(())
        rows = chunk_rows(vocab, hidden.device)
        # One buffer for the logits of every chunk and, in their place, for their gradient: fresh
        # memory for each chunk would cost page faults.
        buffer = hidden.new_empty(min(rows, len(hidden)), vocab)
        chunks = zip(
            hidden.split(rows), grad_hidden.split(rows), Tokens(*tokens).split(rows), strict=True
        )
        for h, grad_h, part in chunks:
            h, logits = h.to(precision), buffer[: len(h)]
            _product(h, w.T, out=logits)
            loss += _to_gradient(kernel, logits, b, part, grad_bias)
            gradient = logits.to(precision)  # by now `logits` holds it
            _product(gradient, w, out=grad_h)
            _add_product(gradient.T, h, total=grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight, None if bias is None else grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what the forward pass has formed."""
        scaled = (None if g is None else g * grad for g in ctx.saved_tensors)
        return (None, *scaled, *[None] * len(Tokens._fields))


def _to_gradient(
    kernel: Kernel,
    logits: Float[Tensor, "m V"],
    bias: Float[Tensor, "V"],
    tokens: Tokens,
    grad_bias: Tensor,
) -> Tensor:
    """The summed loss of some rows; *their logits, still without bias, are overwritten* with its
    gradient."""
    # The bias is added and its gradient summed here, while the block is in the cache.
    rows = block_rows(logits.shape[1], logits.device)
    losses = []
    for block, part in zip(logits.split(rows), tokens.split(rows), strict=True):
        losses.append(kernel(block.add_(bias), part))
        grad_bias += block.sum(0)
    return torch.stack(losses).sum()


def _product_precision(hidden: Tensor) -> torch.dtype:
    """The precision of matrix products: that of autocast where it is on."""
    # Asked for by hand, since autocast leaves operations that write to an `out` alone.
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def _product(left: Tensor, right: Tensor, *, out: Tensor) -> None:
    """out = left @ right, whatever the precision of `out`."""
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(left @ right)


def _add_product(left: Tensor, right: Tensor, *, total: Tensor) -> None:
    """total += left @ right, whatever the precision of `total`."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right

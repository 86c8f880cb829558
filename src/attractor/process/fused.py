"""Output layer and NELBO as one function: the loss and its gradient, without ever keeping the logits.

The logits of a batch, tokens times V, are the largest tensor of a training step, and plain autograd holds several of
that size. But the gradient of the NELBO with respect to them is known in closed form, so it is formed chunk by chunk
of rows while the logits are there, carried through the output layer at once, and the logits are forgotten.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
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
    dalpha: Tensor
    weight: Tensor
    """of the token in the sum"""

    def split(self, rows: int) -> list[Tokens]:
        """Consecutive parts of `rows` tokens."""
        return [Tokens(*part) for part in zip(*(field.split(rows) for field in self), strict=True)]


def nelbo_loss(
    hidden: Float[Tensor, "M H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, "V"] | None,
    x_t: Int[Tensor, "M"],
    x_0: Int[Tensor, "M"],
    alpha_t: Float[Tensor, "M"],
    dalpha_t: Float[Tensor, "M"],
    row_weight: Float[Tensor, "M"],
) -> Float[Tensor, ""]:
    """Weighted sum of the NELBO of M tokens, `sum_m row_weight_m l_m` in nats, with logits `hidden @ weight.T + bias`.

    Equal to `process.nelbo.nelbo` of the log-softmax of those logits (UDLM, arXiv:2412.10193, eq. 18), up to rounding;
    the gradient flows to hidden, weight and bias. Under autocast the three matrix products are in its precision, all
    else and the sums over chunks in that of `hidden`.

    Args:
        hidden: input of the output layer, (M, H), float32 or float64.
        weight: of the output layer, (V, H).
        bias: of the output layer, (V,), or None.
        x_t: noisy tokens, (M,).
        x_0: clean tokens, (M,).
        alpha_t: alpha at each token's time, (M,), in (0, 1).
        dalpha_t: its time derivative, (M,).
        row_weight: weight of each token in the sum, (M,); 1 / M for the mean.
    """
    return _NelboLoss.apply(hidden, weight, bias, *Tokens(x_t, x_0, alpha_t, dalpha_t, row_weight))


class _NelboLoss(torch.autograd.Function):
    """Forms all gradients in the forward pass; the backward pass only scales them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, *tokens: Tensor) -> Tensor:
        """Sum of losses over chunks of rows."""
        vocab, precision = len(weight), product_precision(hidden)
        w = weight.to(precision)
        b = weight.new_zeros(vocab) if bias is None else bias
        grad_hidden, grad_weight, grad_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(b)
        loss = hidden.new_zeros(())
        rows = chunk_rows(vocab, hidden.device)
        buffer = hidden.new_empty(min(rows, len(hidden)), vocab)
        chunks = zip(hidden.split(rows), grad_hidden.split(rows), Tokens(*tokens).split(rows), strict=True)
        for h, grad_h, part in chunks:
            h, logits = h.to(precision), buffer[: len(h)]
            _product(h, w.T, out=logits)
            loss += _to_gradient(logits, b, part, grad_bias)
            gradient = logits.to(precision)
            _product(gradient, w, out=grad_h)
            _add_product(gradient.T, h, total=grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight, None if bias is None else grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what the forward pass has formed."""
        return *(None if g is None else g * grad for g in ctx.saved_tensors), None, None, None, None, None


def _to_gradient(logits: Float[Tensor, "m V"], bias: Float[Tensor, "V"], tokens: Tokens, grad_bias: Tensor) -> Tensor:
    """The summed loss of some rows; *their logits, still without bias, are overwritten* with its gradient."""
    rows, kernel = block_rows(logits.shape[1], logits.device), _kernel(logits.device.type)
    losses = []
    for block, part in zip(logits.split(rows), tokens.split(rows), strict=True):
        losses.append(kernel(block.add_(bias), part))
        grad_bias += block.sum(0)
    return torch.stack(losses).sum()


@functools.cache
def _kernel(device_type: str) -> Callable[[Tensor, Tokens], Tensor]:
    """`_nelbo_and_gradient`: as it stands, or where Triton is at hand compiled to a few passes over the logits."""
    if device_type != "cuda" or importlib.util.find_spec("triton") is None:
        return _nelbo_and_gradient
    return torch.compile(_nelbo_and_gradient, dynamic=True)


def _nelbo_and_gradient(logits: Float[Tensor, "m V"], tokens: Tokens) -> Tensor:
    """UDLM eq. 18 and its derivative, in terms of u_v = V a p_v / c with c = 1 - a: pbar_v = c (1 + u_v).

    xbar_v = c (1 + y_v) in the same way, where y_v = y 1{v=x_0}, y = V a / c. With k = dalpha / (V a (1 + y_z)) and the
    sum of 1 + y_v over v, n = V + y,

        l = k [n (u_z - y_z) / (1 + u_z) - n log((1 + u_z) / (1 + y_z))
               + sum_v log(1 + u_v) + y log(1 + u_x) - (1 + y) log(1 + y)].

    Since p = u / y, the softmax gives dl/dlogit_v = g_v - (u_v / y) sum_w g_w, where with r = u / (1 + u)

        g_v = u_v dl/du_v = k [r_v + 1{v=x} y r_x + 1{v=z} n u_z (y_z - u_z) / (1 + u_z)^2].
    """
    vocab = logits.shape[1]
    z, x, a, da, weight = (field[:, None] for field in tokens)
    y = vocab * a / (1 - a)
    y_z = torch.where(z == x, y, 0)
    n = vocab + y
    k = weight * da / (vocab * a * (1 + y_z))

    u = torch.softmax(logits, -1, out=logits).mul_(y)
    u_z, u_x = u.gather(1, z), u.gather(1, x)
    r = u.log1p()
    log_sum = r.sum(1, keepdim=True)
    at_z = n * ((u_z - y_z) / (1 + u_z) - u_z.log1p() + y_z.log1p())
    loss = k * (at_z + log_sum + y * u_x.log1p() - (1 + y) * y.log1p())

    r = torch.div(u, torch.add(u, 1, out=r), out=r)
    grad_z, grad_x = k * n * u_z * (y_z - u_z) / (1 + u_z) ** 2, k * y * u_x / (1 + u_x)
    total = k * r.sum(1, keepdim=True) + grad_z + grad_x
    u.mul_(-total / y).addcmul_(r, k).scatter_add_(1, z, grad_z).scatter_add_(1, x, grad_x)
    return loss.sum()


def product_precision(hidden: Tensor) -> torch.dtype:
    """Of matrix products: that of autocast where it is on."""
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

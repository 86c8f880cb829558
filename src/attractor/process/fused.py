"""NELBO of uniform diffusion as one function with its gradient, in closed form.

Autograd would keep several tensors of the size of the logits; here the logits become their own
gradient.
"""

from __future__ import annotations

import functools
import importlib.util

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.chunked import Kernel, Tokens, chunked_loss


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
    """Weighted sum of the NELBO of M tokens, `sum_m row_weight_m l_m` in nats, with logits `hidden
    @ weight.T + bias`.

    Equal to `process.nelbo.nelbo` of the log-softmax of those logits (UDLM, arXiv:2412.10193, eq.
    18), up to rounding; the gradient flows to hidden, weight and bias. Under autocast the three
    matrix products are in its precision, all else and the sums over chunks in that of `hidden`.

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
    tokens = Tokens(x_t, x_0, alpha_t, dalpha_t, row_weight)
    return chunked_loss(hidden, weight, bias, tokens, _kernel(hidden.device.type))


@functools.cache
def _kernel(device_type: str) -> Kernel:
    """`_nelbo_and_gradient`: as it stands, or where Triton is at hand compiled to a few passes over
    the logits."""
    # Rows differ in number from chunk to chunk: `dynamic` keeps torch from compiling for each.
    if device_type != "cuda" or importlib.util.find_spec("triton") is None:
        return _nelbo_and_gradient
    return torch.compile(_nelbo_and_gradient, dynamic=True)


def _nelbo_and_gradient(logits: Float[Tensor, "m V"], tokens: Tokens) -> Tensor:
    """UDLM eq. 18 and its derivative, in terms of u_v = V a p_v / c with c = 1 - a: pbar_v = c (1 +
    u_v).

    xbar_v = c (1 + y_v) in the same way, where y_v = y 1{v=x_0}, y = V a / c. With k = dalpha / (V
    a (1 + y_z)) and the sum of 1 + y_v over v, n = V + y,

        l = k [n (u_z - y_z) / (1 + u_z) - n log((1 + u_z) / (1 + y_z))
               + sum_v log(1 + u_v) + y log(1 + u_x) - (1 + y) log(1 + y)].

    Since p = u / y, the softmax gives dl/dlogit_v = g_v - (u_v / y) sum_w g_w, where with r = u /
    (1 + u)

        g_v = u_v dl/du_v = k [r_v + 1{v=x} y r_x + 1{v=z} n u_z (y_z - u_z) / (1 + u_z)^2].
    """
    vocab = logits.shape[1]
    z, x, a, da, weight = (field[:, None] for field in tokens)
    y = vocab * a / (1 - a)
    y_z = torch.where(z == x, y, 0)
    n = vocab + y
    k = weight * da / (vocab * a * (1 + y_z))

    # The only V-wide memory: `u`, which is the logits' own, and `r`, used twice.
    u = torch.softmax(logits, -1, out=logits).mul_(y)
    u_z, u_x = u.gather(1, z), u.gather(1, x)
    r = u.log1p()
    log_sum = r.sum(1, keepdim=True)
    at_z = n * ((u_z - y_z) / (1 + u_z) - u_z.log1p() + y_z.log1p())
    loss = k * (at_z + log_sum + y * u_x.log1p() - (1 + y) * y.log1p())

    r = torch.div(u, torch.add(u, 1, out=r), out=r)
    grad_z = k * n * u_z * (y_z - u_z) / (1 + u_z) ** 2
    grad_x = k * y * u_x / (1 + u_x)
    total = k * r.sum(1, keepdim=True) + grad_z + grad_x  # sum_w g_w
    # In place, g_v - p_v sum_w g_w; z and x may be one token, and then get both of their terms.
    u.mul_(-total / y).addcmul_(r, k).scatter_add_(1, z, grad_z).scatter_add_(1, x, grad_x)
    return loss.sum()

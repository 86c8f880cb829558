"""The negative evidence lower bound of uniform-state diffusion, per token and per unit of time."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def nelbo(
    log_probs: Float[Tensor, "B L V"],
    x_t: Int[Tensor, "B L"],
    x_0: Int[Tensor, "B L"],
    alpha_t: Float[Tensor, "B"],
    dalpha_t: Float[Tensor, "B"],
    text_size: int | None = None,
) -> Float[Tensor, "B L"]:
    """Negative evidence lower bound per token and per unit of time, in nats (UDLM,
    arXiv:2412.10193, eq. 18).

    Its integral over t in [0, 1] bounds -log P(x_0) from above, with equality where `log_probs` is
    the leave-one-out distribution log P(x_0[l] = v | x_t at all positions but l).

    As t -> 0 the rate of a token to which the model gives next to nothing grows like 1 / (V p + t),
    and that of a token replaced by noise like 1 / t. No digits are lost there as long as alpha is
    in double precision, since everything is looked at relative to the noise 1 - alpha: the last
    digit of alpha is then a shift of t by 1e-16.

    Args:
        log_probs: the denoiser's log-probabilities, (B, L, V).
        x_t: noisy tokens, (B, L).
        x_0: clean tokens, (B, L).
        alpha_t: alpha at each row's time, (B,), in (0, 1); all but the sum over the vocabulary is
            computed in its precision, that in the precision of `log_probs`.
        dalpha_t: its time derivative, (B,), negative.
        text_size: how many ids are text, where not all are; the others must have probability zero.

    Returns:
        (B, L), nats per token and unit of time; never negative up to rounding.
    """
    vocab = log_probs.shape[-1] if text_size is None else text_size
    a, da = alpha_t[:, None], dalpha_t[:, None]
    # xbar_v = c (1 + y 1{v = x}) and pbar_v = c (1 + u_v) with c = 1 - a, y = V a / c and u = y p:
    # the factor c, which vanishes with t, falls out of every ratio, and the sum over v is left with
    # two logarithms beside sum_v log(1 + u_v).
    y = vocab * a / (1 - a)
    log_sum = torch.log1p(y[..., None].to(log_probs.dtype) * log_probs.exp()).sum(-1)
    at = log_probs.gather(-1, torch.stack([x_t, x_0], -1)).to(y.dtype)
    u_z, u_x = (y[..., None] * at.exp()).unbind(-1)
    y_z = torch.where(x_t == x_0, y, 0)
    bracket = (
        (vocab + y) * ((u_z - y_z) / (1 + u_z) - u_z.log1p() + y_z.log1p())
        + log_sum
        + y * u_x.log1p()
        - (1 + y) * y.log1p()
    )
    return da / (vocab * a * (1 + y_z)) * bracket

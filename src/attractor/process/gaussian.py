"""The Gaussian latent of Duo: continuous noise whose argmax is a uniform-state sample.

On the one-hot vector of a token lies Gaussian noise, w = a e_{x_0} + s eps, with a^2 =
sigmoid(-gamma) and s^2 = sigmoid(gamma). At a small temperature tau, softmax(w / tau) is argmax w,
but softened where two tokens compete (Duo, arXiv:2506.10892).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.interfaces import Mixture

GAMMA = (-3.5, -1.75)
"""Log noise-to-signal ratio at t = 0 and t = 1 of the published training runs, linear in
between."""
TAU = 1e-3
"""Temperature of the softmax, of the same."""
KEPT = 16
"""How many of the largest noise values are drawn: what the next would get of the softmax is below
float32's last bit."""
_WIDTH, _NODES = 9.0, 257
"""The quadrature runs over [-9, 9] standard deviations, beyond which lies a mass of 2e-19."""


class Signal(NamedTuple):
    """How much of the clean token is left, and its derivative."""

    alpha: Tensor
    slope: Tensor
    """d alpha / d gamma"""


class Latent(NamedTuple):
    """What is seen of a Gaussian latent, and the token it stands for."""

    mixture: Mixture
    """softmax(w / tau)"""
    x_t: Int[Tensor, "*n"]
    """argmax w: a uniform-state sample at the alpha of `signal`"""


def gamma_at(t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Log noise-to-signal ratio at time t in [0, 1]."""
    return GAMMA[0] + (GAMMA[1] - GAMMA[0]) * t


def signal(gamma: Float[Tensor, "*n"], vocab_size: int) -> Signal:
    """The alpha at which argmax w is a uniform-state sample, in float64 (Duo, eq. 10).

    With m = a / s = exp(-gamma / 2), the clean token is largest with probability I = E[f(m + x)], f
    = Phi^(V-1), over a standard normal x, and all others equally often: alpha = (V I - 1) / (V -
    1). Stein: dI/dm = E[x f(m + x)]. Both integrands are smooth and vanish at the ends of the grid,
    so the trapezoidal rule converges exponentially: 1e-13 with these nodes for V up to 50,258.

    Args:
        gamma: log noise-to-signal ratio.
        vocab_size: V, at least 2.
    """
    m = torch.exp(-gamma.double() / 2)
    x = torch.linspace(-_WIDTH, _WIDTH, _NODES, dtype=m.dtype, device=m.device)
    # Phi^(V-1) by its logarithm, which keeps its digits where Phi is next to 1.
    largest = torch.exp((vocab_size - 1) * torch.special.log_ndtr(m[..., None] + x) - x**2 / 2)
    largest *= 2 * _WIDTH / (_NODES - 1) / math.sqrt(2 * math.pi)  # step, norm of the density
    share, by_m = largest.sum(-1), (largest * x).sum(-1)  # I and dI/dm
    scale = 1 / (vocab_size - 1)
    # d alpha / d gamma = d alpha / dI * dI/dm * dm/dgamma, and dm/dgamma = -m / 2.
    return Signal((vocab_size * share - 1) * scale, -m / 2 * vocab_size * by_m * scale)


def noise_width(vocab_size: int) -> int:
    """How many uniform numbers `gaussian_latent` wants for a token."""
    return 1 + 2 * min(KEPT, vocab_size - 1)


def gaussian_latent(
    x_0: Int[Tensor, "*n"],
    gamma: Float[Tensor, "*n"],
    vocab_size: int,
    noise: Float[Tensor, "*n W"],
) -> Latent:
    """Draw the clean token's latent and the k largest of all others, never all V (Duo, Chapter II,
    arXiv:2602.21185).

    With k = V - 1 this is the dense form. The softmax is over what is drawn.

    Args:
        x_0: clean tokens.
        gamma: log noise-to-signal ratio of each.
        vocab_size: V.
        noise: W = 1 + 2 k uniform numbers on [0, 1) for each token, float64, with k from 1 to V -
            1: those of the clean token's noise, of the k values, and of the k tokens that have
            them.
    """
    kept = noise.shape[-1] // 2
    clean, values, places = noise.split([1, kept, kept], -1)
    # Slot 0 is the clean token, which alone has the signal; the others hold pure noise, of which
    # only the largest can win, and by symmetry any tokens may be the ones that have them.
    eps = torch.cat([torch.special.ndtri(clean), largest_normals(values, vocab_size - 1)], -1)
    w = torch.sigmoid(gamma.double()).sqrt()[..., None] * eps
    w[..., 0] += torch.sigmoid(-gamma.double()).sqrt()
    tokens = distinct_tokens(x_0, places, vocab_size)
    x_t = tokens.gather(-1, w.argmax(-1, keepdim=True))[..., 0]
    return Latent(Mixture(tokens, torch.softmax(w / TAU, -1).float()), x_t)


def largest_normals(uniform: Float[Tensor, "*n k"], count: int) -> Float[Tensor, "*n k"]:
    """The k largest of `count` independent standard normals, descending, by inversion.

    The largest of n uniforms is u^(1/n), and the others are n - 1 uniforms below it. What is
    inverted is the upper tail, 1 minus that product, which keeps its digits.
    """
    remaining = torch.arange(
        count, count - uniform.shape[-1], -1, dtype=uniform.dtype, device=uniform.device
    )
    upper_tail = -torch.expm1((uniform.log() / remaining).cumsum(-1))
    return -torch.special.ndtri(upper_tail)


def distinct_tokens(
    first: Int[Tensor, "*n"], uniform: Float[Tensor, "*n k"], vocab_size: int
) -> Int[Tensor, "*n 1+k"]:
    """`first`, and k tokens in random order that differ from it and from each other.

    Each is drawn as a rank among the tokens not used before it (a Lehmer code). From the last to
    the first, the ranks at or above that of an earlier token move up by one to make room for it.
    """
    unused = vocab_size - 1 - torch.arange(uniform.shape[-1], device=uniform.device)
    tokens = torch.cat([first[..., None], (uniform * unused).long()], -1)
    for i in reversed(range(uniform.shape[-1])):
        later = tokens[..., i + 1 :]
        later += later >= tokens[..., i : i + 1]
    return tokens

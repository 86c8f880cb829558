"""Uniform-state diffusion: a noisy token is a token drawn uniformly from the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.chunked import Tokens
from attractor.process.forward import ForwardProcess
from attractor.process.fused import nelbo_loss
from attractor.process.nelbo import nelbo
from attractor.process.schedule import Schedule
from attractor.types import AttractorError


class UniformProcess(ForwardProcess):
    """q(x_t | x_0) = Cat(alpha_t e_{x_0} + (1 - alpha_t) / V)  (UDLM, arXiv:2412.10193; Duo,
    arXiv:2506.10892).

    Args:
        vocab_size: V, at least 2.
        schedule: alpha(t); log-linear unless given.
        text_ids: which ids may stand in text, at least 2; all unless given. V in formulas is their
            number, and no other id is ever drawn.
    """

    def __init__(
        self,
        vocab_size: int,
        schedule: Schedule | None = None,
        text_ids: Iterable[int] | Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, schedule, text_ids)
        if self.text.count < 2:
            raise AttractorError(
                f"one text id is left of a vocabulary of {vocab_size}: uniform noise needs 2"
            )

    def noised(
        self, x_0: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Float[Tensor, "B L 2"]
    ) -> Int[Tensor, "B L"]:
        """Draw x_t given x_0. A resampled token may land on itself."""
        resampled = noise[..., 0] >= self.schedule.alpha(t)[:, None]
        return torch.where(resampled, self.prior(noise), x_0)

    def prior(self, noise: Float[Tensor, "B L 2"]) -> Int[Tensor, "B L"]:
        """Draw uniform tokens."""
        return self.text.draw(noise[..., 1])

    def prior_cost(self) -> float:
        """KL of alpha(1) e_x + (1 - alpha(1)) / V from 1 / V."""
        alpha = self.schedule.alpha(torch.ones((), dtype=torch.float64)).item()
        kept = alpha + (1 - alpha) / self.text.count
        return kept * math.log(kept * self.text.count) + (1 - kept) * math.log1p(-alpha)

    def posterior(
        self,
        x_t: Int[Tensor, "B L"],
        probs: Float[Tensor, "B L V"],
        alpha_s: Float[Tensor, "B"],
        alpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L V"]:
        """q(x_s | x_t, x_0 ~ probs) for s < t (UDLM, eq. 14), rows summing to one; V-wide, so for
        small models only."""
        vocab = self.text.count
        a, b = alpha_t[:, None, None], alpha_s[:, None, None]
        p_z = probs.gather(-1, x_t[..., None])
        stay = (vocab * a * p_z + a / b - a) / (vocab * a * p_z + 1 - a)
        move = ((b - a) * probs + (1 - a / b) * (1 - b) / vocab) / (vocab * a * p_z + 1 - a)
        move = move.index_fill(-1, self.text.others(move.device), 0)  # no noise makes these
        return move.scatter_add(-1, x_t[..., None], stay)

    def coin(
        self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"], kind: int = 0
    ) -> Float[Tensor, "*n"]:
        """[(b - a) + (1 - a/b)(1 - b)] / (1 - a): the normaliser V a p_z + 1 - a is at least 1 -
        a."""
        # The weights of both redraws over the least normaliser there can be. What that is too much,
        # the factor (1 - a) / (V a p_z + 1 - a), is made up for in `jump`, once p_z is known.
        from_network, from_noise = _redraws(alpha_s, alpha_t)
        return ((from_network + from_noise) / (1 - alpha_t)).clamp(max=1)

    def jump(
        self,
        x_t: Int[Tensor, "M"],
        log_probs: Float[Tensor, "M V"],
        alpha_s: Float[Tensor, "M"],
        alpha_t: Float[Tensor, "M"],
        noise: Float[Tensor, "M 3"],
    ) -> Int[Tensor, "M"]:
        """Move with probability (1 - a) / (V a p_z + 1 - a): to a token of the network, or to a
        uniform one."""
        probs = log_probs.exp()
        vocab = self.text.count
        p_z = probs.gather(-1, x_t[:, None])[:, 0]
        moves = noise[:, 0] * (vocab * alpha_t * p_z + 1 - alpha_t) < 1 - alpha_t
        from_network, from_noise = _redraws(alpha_s, alpha_t)
        informed = noise[:, 1] * (from_network + from_noise) < from_network
        token = torch.where(informed, categorical(probs, noise[:, 2]), self.text.draw(noise[:, 2]))
        return torch.where(moves, token, x_t)

    def frozen(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Tensor:
        """True where even p_v = 1 at another token cannot outweigh staying: b - a <= a/b - a."""
        return alpha_s - alpha_t <= alpha_t / alpha_s - alpha_t

    def nelbo(
        self,
        log_probs: Float[Tensor, "B L V"],
        x_t: Int[Tensor, "B L"],
        x_0: Int[Tensor, "B L"],
        alpha_t: Float[Tensor, "B"],
        dalpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L"]:
        """The NELBO of UDLM, eq. 18; see `process.nelbo.nelbo`."""
        return nelbo(log_probs, x_t, x_0, alpha_t, dalpha_t, self.text.count)

    def loss(
        self,
        hidden: Float[Tensor, "M H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, "V"] | None,
        tokens: Tokens,
    ) -> Float[Tensor, ""]:
        """Weighted sum of that NELBO, with its gradient in closed form."""
        if not self.text.is_all:
            # Of text alone, and so for its V: nothing is asked about other ids.
            ids, at = self.text.ids.to(weight.device), self.text.place
            weight, bias = weight[ids], None if bias is None else bias[ids]
            tokens = tokens._replace(x_t=at(tokens.x_t), x_0=at(tokens.x_0))
        return nelbo_loss(hidden, weight, bias, *tokens)


def categorical(probs: Float[Tensor, "M V"], uniform: Float[Tensor, "M"]) -> Int[Tensor, "M"]:
    """One token a row by inversion of the cumulative distribution; one uniform a row, and nothing
    V-wide in float64."""
    cumulative = probs.cumsum(-1)
    # The sum of float32 probabilities is not quite 1: the uniform is scaled to what it is. Rounded
    # up to the total, a threshold would miss all tokens.
    total = cumulative[:, -1:]
    threshold = uniform.to(probs.dtype)[:, None] * total
    below = threshold.minimum(total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(cumulative, below, right=True)[:, 0]


def _redraws(alpha_s: Tensor, alpha_t: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised weights of a redraw from the network and of a redraw from the noise."""
    return alpha_s - alpha_t, (1 - alpha_t / alpha_s) * (1 - alpha_s)

"""Hybrid diffusion: noise is a mask or a uniform token, in shares that change with time (GIDD,
arXiv:2503.04482).

A noisy token is drawn from q_t(v | x_0) = alpha 1{v = x_0} + m(v), where m is the noise: m_text for
each of the V - 1 tokens of text and m_mask for the mask. GIDD sets, with c = B sqrt(t (1 - t)) and
C = 1 + (V - 2) c,

    alpha = (1 - t - c) / C,    m_text = c / C,    m_mask = t / C.

Time enters through w = sqrt(t / (1 - t)) alone,

    alpha = (1 - B w) / D,      m_text = B w / D,  m_mask = w^2 / D,      D = 1 + (V - 2) B w + w^2,

and alpha falls with w: so alpha can be the clock instead, and any schedule will do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.absorbing import MASKED, MaskedProcess
from attractor.process.chunked import Tokens, by_autograd, chunked_loss
from attractor.process.schedule import Schedule
from attractor.process.uniform import categorical
from attractor.types import AttractorError


class ByKind(NamedTuple):
    """A number for tokens of text and one for the mask, each of alpha's shape."""

    text: Tensor
    """the number for each token of text"""
    mask: Tensor
    """the number for the mask"""

    def of(self, masked: Tensor) -> Tensor:
        """The number of each token's own kind, where `masked` says which are masks.

        The numbers are (B, ...) and `masked` is (B, ..., *): axes it has more are broadcast over.
        """
        missing = (1,) * (masked.ndim - self.text.ndim)
        return torch.where(
            masked,
            self.mask.view(*self.mask.shape, *missing),
            self.text.view(*self.text.shape, *missing),
        )


class MixtureProcess(MaskedProcess):
    """q(x_t | x_0) = Cat(alpha e_{x_0} + m_text 1_text + m_mask e_mask), where both m are functions
    of alpha: all of hybrid noise but these functions."""

    @abstractmethod
    def noise(self, alpha: Float[Tensor, "*n"]) -> ByKind:
        """The probabilities m at alpha: of being one given token of text, or the mask, as noise."""

    @abstractmethod
    def renewed(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> ByKind:
        """Share of the noise at t that arrived after s, 1 - (m_s / b) / (m_t / a)."""

    @abstractmethod
    def rate(self, alpha: Float[Tensor, "*n"], dalpha: Float[Tensor, "*n"]) -> ByKind:
        """Time derivative of log(m / alpha)."""

    def noised(
        self, x_0: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Float[Tensor, "B L 2"]
    ) -> Int[Tensor, "B L"]:
        """Draw x_t given x_0: the clean token, a uniform one (perhaps itself), or the mask."""
        alpha = self.schedule.alpha(t)[:, None]
        # Above alpha the first uniform is uniform on [alpha, 1): stretched to [0, 1) it serves once
        # more, to choose between text and mask.
        source = (noise[..., 0] - alpha) / (1 - alpha)
        return torch.where(noise[..., 0] < alpha, x_0, self._noisy(alpha, source, noise))

    def prior(self, noise: Float[Tensor, "B L 2"]) -> Int[Tensor, "B L"]:
        """Draw from the noise at t = 1."""
        return self._noisy(self.schedule.alpha(noise.new_ones(1, 1)), noise[..., 0], noise)

    def prior_cost(self) -> float:
        """KL of alpha(1) e_x + m from m / (1 - alpha(1)): only the token itself is likelier than in
        the prior."""
        alpha = self.schedule.alpha(torch.ones((), dtype=torch.float64))
        text = self.noise(alpha).text
        return ((alpha + text) * torch.log1p(alpha / text) + torch.log1p(-alpha)).item()

    def posterior(
        self,
        x_t: Int[Tensor, "B L"],
        probs: Float[Tensor, "B L V"],
        alpha_s: Float[Tensor, "B"],
        alpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L V"]:
        """q(x_s = v | x_t = z, x_0 ~ probs) for s < t by Bayes' rule, rows summing to one (GIDD,
        eq. 7).

        It is q(z | x_s = v) q_s(v | probs) / q_t(z | probs) with q(z | v) = (a/b) 1{v = z} + m_t(z)
        - (a/b) m_s(z).
        """
        a, b = alpha_t[:, None, None], alpha_s[:, None, None]
        z, masked = x_t[..., None], (x_t == self.mask)[..., None]
        every = torch.arange(self.vocab_size, device=x_t.device)
        is_mask = (every == self.mask).expand(probs.shape)
        noise_t = self.noise(alpha_t).of(masked)
        # q(z | x_s = v): noise that arrived after s, the same from every v, and, from v = z alone,
        # no noise at all.
        arrival = (self.renewed(alpha_s, alpha_t).of(masked) * noise_t).expand(probs.shape)
        arrival = arrival.scatter_add(-1, z, (a / b).expand(z.shape))
        noise_s = self.noise(alpha_s).of(is_mask) * ~self.is_fixed(every)
        before = b * probs + noise_s  # q_s(v | probs)
        return arrival * before / (a * probs.gather(-1, z) + noise_t)

    def coin(
        self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"], kind: int = 0
    ) -> Float[Tensor, "*n"]:
        """Noise arrived since s, as a share of all: q_t(z | probs) >= m_t(z). A mask that becomes a
        mask stays."""
        # The exact probability that noise arrived after s is renewed m_t(z) / (a p_z + m_t(z)), and
        # with p_z = 0 it is largest. What a mask then becomes is drawn from q_s, in which it would
        # be a mask again with probability m_s(mask): that share is taken out of the coin and of
        # `jump`.
        renewed = self.renewed(alpha_s, alpha_t)
        return renewed.mask * (1 - self.noise(alpha_s).mask) if kind == MASKED else renewed.text

    def jump(
        self,
        x_t: Int[Tensor, "M"],
        log_probs: Float[Tensor, "M V"],
        alpha_s: Float[Tensor, "M"],
        alpha_t: Float[Tensor, "M"],
        noise: Float[Tensor, "M 3"],
    ) -> Int[Tensor, "M"]:
        """Move with probability m_t(z) / (a p_z + m_t(z)), to x_s ~ b p + m_s; a mask, to anything
        but a mask."""
        probs, masked, at_s = log_probs.exp(), x_t == self.mask, self.noise(alpha_s)
        p_z = torch.where(masked, 0, probs.gather(-1, x_t[:, None])[:, 0])
        noise_t = self.noise(alpha_t).of(masked)
        moves = noise[:, 0] * (alpha_t * p_z + noise_t) < noise_t
        # [0, 1) in three parts: the network's share b, uniform text, and the mask at the end, which
        # a source scaled by 1 - m_s(mask) never reaches.
        source = noise[:, 1] * torch.where(masked, 1 - at_s.mask, 1)
        token = torch.where(
            source < alpha_s, categorical(probs, noise[:, 2]), self.text.draw(noise[:, 2])
        )
        token = torch.where(source < 1 - at_s.mask, token, self.mask)
        return torch.where(moves, token, x_t)

    def frozen(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Tensor:
        """True where even p_v = 1 at another token of text cannot outweigh staying, for text and
        for a mask."""
        at_s, at_t = self.noise(alpha_s), self.noise(alpha_t)
        renewed = self.renewed(alpha_s, alpha_t)
        # Numerators of the posterior, whose denominator all entries share. The best that another
        # entry can have is p_v = 1 there; the token's own then has p_z = 0, its least.
        arrival = ByKind(renewed.text * at_t.text, renewed.mask * at_t.mask)
        leave = torch.maximum(alpha_s + at_s.text, at_s.mask) * arrival.text
        unmask = (alpha_s + at_s.text) * arrival.mask
        stay = alpha_t / alpha_s
        text_stays = leave <= at_s.text * (stay + arrival.text)
        mask_stays = unmask <= at_s.mask * (stay + arrival.mask)
        return text_stays & mask_stays

    def nelbo(
        self,
        log_probs: Float[Tensor, "B L V"],
        x_t: Int[Tensor, "B L"],
        x_0: Int[Tensor, "B L"],
        alpha_t: Float[Tensor, "B"],
        dalpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L"]:
        """rate(z) / q_t(z | x_0) times [KL(q_t(. | x_0) || q_t(. | p)) + exp(-d) - 1 + d]  (GIDD,
        theorem 3.1).

        Here d = log q_t(z | p) - log q_t(z | x_0), and rate(z) is that at which noise arrives at z.
        Only tokens of text differ between the two laws, and those other than x_0 by log(1 + a p_v /
        m_text).
        """
        a, text, masked = alpha_t[:, None], self.noise(alpha_t).text[:, None], x_t == self.mask
        # log of q_t(v | p) / m_text; at the mask it is 0, as it must be, since p is 0 there.
        gain = torch.log1p(a[..., None] * log_probs.exp() / text[..., None])
        gain_x, gain_z = gain.gather(-1, torch.stack([x_0, x_t], -1)).unbind(-1)
        top = torch.log1p(a / text).expand_as(gain_x)  # the same of q_t(x_0 | x_0)
        divergence = a * top + text * top - a * gain_x - text * gain.sum(-1)
        right = x_t == x_0
        d = torch.where(masked, 0, gain_z - torch.where(right, top, 0))
        # Noise arrives at z at a rate m(z) d/dt log(m(z) / alpha); over q_t(z | x_0), which is
        # m(z), and a more where z is the clean token.
        rate = self.rate(alpha_t, dalpha_t).of(masked) * torch.where(right, text / (a + text), 1)
        return rate * (divergence + torch.expm1(-d) + d)

    def loss(
        self,
        hidden: Float[Tensor, "M H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, "V"] | None,
        tokens: Tokens,
    ) -> Float[Tensor, ""]:
        """Weighted sum of the NELBO, whose gradient autograd finds, a few rows at a time."""
        return chunked_loss(hidden, weight, bias, tokens, by_autograd(self._weighted_nelbo))

    def distribution(
        self, logits: Float[Tensor, "*n V"], x_t: Int[Tensor, "*n"]
    ) -> Float[Tensor, "*n V"]:
        """Log-probabilities of clean tokens: zero probability for the mask."""
        return self.text_logits(logits).log_softmax(-1)

    def _weighted_nelbo(self, logits: Tensor, tokens: Tokens) -> Tensor:
        log_probs = self.distribution(logits, tokens.x_t)[:, None]
        rate = self.nelbo(
            log_probs, tokens.x_t[:, None], tokens.x_0[:, None], tokens.alpha, tokens.dalpha
        )
        return (tokens.weight * rate[:, 0]).sum()

    def _noisy(self, alpha: Tensor, source: Tensor, noise: Tensor) -> Tensor:
        """A token of noise at alpha: text where `source`, on [0, 1), falls below its share, else
        the mask."""
        share = 1 - self.noise(alpha).mask / (1 - alpha)
        return torch.where(source < share, self.text.draw(noise[..., 1]), self.mask)


class HybridProcess(MixtureProcess):
    """q(x_t | x_0) = Cat(alpha e_{x_0} + m_text 1_text + m_mask e_mask): a mixture of mask and
    uniform noise.

    Args:
        vocab_size: V, the mask included, at least 3.
        schedule: alpha(t); log-linear unless given. GIDD's own is `GiddSchedule`.
        mask_id: the mask; the last id unless given.
        uniform_share: GIDD's p_u in (0, 1): share of uniform noise where it is largest, at w = 1.
        text_ids: which ids may stand in text, at least 2; all but the mask unless given. V in
            formulas is their number and the mask.

    Raises:
        AttractorError: for a share outside (0, 1), a mask or text ids outside the vocabulary, or
            if fewer than two text ids are left.
    """

    def __init__(
        self,
        vocab_size: int,
        schedule: Schedule | None = None,
        mask_id: int | None = None,
        uniform_share: float = 0.2,
        text_ids: Iterable[int] | Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, schedule, mask_id, text_ids)
        self.uniform_share = uniform_share
        self.scale = noise_scale(self.text.count + 1, uniform_share)

    def noise(self, alpha: Float[Tensor, "*n"]) -> ByKind:
        """The probabilities m at alpha: of being one given token of text, or the mask, as noise."""
        w = self._w(alpha)
        total = 1 + (self.text.count - 1) * self.scale * w + w**2
        return ByKind(self.scale * w / total, w**2 / total)

    def _w(self, alpha: Tensor) -> Tensor:
        """The w of an alpha: alpha w^2 + (1 + alpha (V - 2)) B w = 1 - alpha."""
        # The root of the quadratic in the form that neither cancels as w -> 0, where alpha -> 1,
        # nor divides by an alpha that vanishes.
        linear = (1 + alpha * (self.text.count - 1)) * self.scale
        return 2 * (1 - alpha) / (linear + (linear**2 + 4 * alpha * (1 - alpha)).sqrt())

    def renewed(self, alpha_s: Tensor, alpha_t: Tensor) -> ByKind:
        """Share of the noise at t that arrived after s, 1 - (m_s / b) / (m_t / a): m / a is B w or
        w^2 over 1 - B w."""
        # Noise that was there at s survives until t only where no more arrives, as text does: with
        # probability a / b. So m_t = (a / b) m_s + what arrived since.
        w_s, w_t = self._w(alpha_s), self._w(alpha_t)
        text = w_s * (1 - self.scale * w_t) / (w_t * (1 - self.scale * w_s))
        return ByKind(1 - text, 1 - text * w_s / w_t)

    def rate(self, alpha: Tensor, dalpha: Tensor) -> ByKind:
        """Time derivative of log(m / alpha)."""
        w, v = self._w(alpha), self.text.count - 1
        # -dw / dalpha, by differentiating the equation of `_w`.
        slope = (w**2 + v * self.scale * w + 1) / (2 * alpha * w + (1 + alpha * v) * self.scale)
        text = -dalpha * slope / (w * (1 - self.scale * w))
        return ByKind(text, text * (2 - self.scale * w))


@dataclass(frozen=True)
class GiddSchedule:
    """GIDD's own alpha(t), with its t as the noise level on which networks are conditioned.

    Args:
        vocab_size: V, the mask included.
        uniform_share: p_u.
        t_eps: networks have seen times in [t_eps, 1 - t_eps] only; later and earlier ones are taken
            for these.

    Raises:
        AttractorError: if alpha would not stay positive.
    """

    vocab_size: int
    uniform_share: float
    t_eps: float = 1e-4

    def __post_init__(self) -> None:
        if not noise_scale(self.vocab_size, self.uniform_share) ** 2 < self.t_eps < 0.5:
            raise AttractorError(
                f"t_eps = {self.t_eps} does not keep alpha positive with p_u = {self.uniform_share}"
            )

    def alpha(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """(1 - t - c) / (1 + (V - 2) c) with c = B sqrt(t (1 - t))."""
        # At t = 1 nothing of the text would be left, and alpha is the clock: it must not stand
        # still.
        t = t.clamp(max=1 - self.t_eps)
        c = noise_scale(self.vocab_size, self.uniform_share) * (t * (1 - t)).sqrt()
        return (1 - t - c) / (1 + (self.vocab_size - 2) * c)

    def dalpha(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Time derivative of `alpha`."""
        t = t.clamp(max=1 - self.t_eps)
        scale, v = noise_scale(self.vocab_size, self.uniform_share), self.vocab_size - 2
        root = (t * (1 - t)).sqrt()
        dc = scale * (1 - 2 * t) / (2 * root)
        # Of alpha C = 1 - t - c with C = 1 + (V - 2) c.
        return (-1 - dc - v * dc * self.alpha(t)) / (1 + v * scale * root)

    def sigma(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The time itself, within the range that networks have seen."""
        return t.clamp(self.t_eps, 1 - self.t_eps)


def noise_scale(vocab_size: int, uniform_share: float) -> float:
    """B = 2 p_u / (2 p_u + (1 - p_u) V): at t = 1/2 each token's share of uniform noise is p_u / V.

    Raises:
        AttractorError: for a share outside (0, 1) or a vocabulary that is too small.
    """
    if not 0 < uniform_share < 1:
        raise AttractorError(
            f"uniform_share = {uniform_share} is outside (0, 1); 0 is the absorbing process"
        )
    if vocab_size < 3:
        raise AttractorError(
            f"vocab_size = {vocab_size} is too small: hybrid noise needs two tokens and a mask"
        )
    return 2 * uniform_share / (2 * uniform_share + (1 - uniform_share) * vocab_size)

"""Absorbing-state diffusion: a noisy token is a mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.chunked import Tokens, by_autograd, chunked_loss
from attractor.process.forward import ForwardProcess, Reading
from attractor.process.schedule import Schedule
from attractor.process.uniform import categorical

TEXT, MASKED = 0, 1
"""The two kinds of tokens, each with a coin of its own: text and masks."""


class MaskedProcess(ForwardProcess):
    """What processes with a mask have in common: the mask is never text, and has coins of its own.

    Args:
        vocab_size: V, the mask included.
        schedule: alpha(t); log-linear unless given.
        mask_id: the mask; the last id unless given.
        text_ids: which ids may stand in text; all but the mask unless given.

    Raises:
        AttractorError: for a mask or text ids outside the vocabulary, or if no text id is left.
    """

    kinds = 2

    def __init__(
        self,
        vocab_size: int,
        schedule: Schedule | None = None,
        mask_id: int | None = None,
        text_ids: Iterable[int] | Tensor | None = None,
    ) -> None:
        self.mask = vocab_size - 1 if mask_id is None else mask_id
        super().__init__(vocab_size, schedule, text_ids, self.mask)

    def kind(self, x_t: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
        """1 for a mask, 0 for any other token."""
        return (x_t == self.mask).long()

    def text_logits(self, logits: Float[Tensor, "*n V"]) -> Float[Tensor, "*n V"]:
        """The logits, with those of the mask and of all that is no text at minus infinity."""
        return self.text.restrict(logits)


class AbsorbingProcess(MaskedProcess):
    """q(x_t | x_0) = Cat(alpha_t e_{x_0} + (1 - alpha_t) e_mask)  (MDLM, arXiv:2406.07524).

    A masked token stays a mask or is drawn from the network; a visible one stays. So distributions
    matter at masks only, and there they must give the mask itself probability zero. The prior is
    nothing but masks: as in MDLM, what is left of the text at t = 1, a share alpha(1) of the
    tokens, counts for nothing in the likelihood.
    """

    thins = False

    def settled(self, x_t: Int[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """All but the masks."""
        return x_t != self.mask

    def noised(
        self, x_0: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Float[Tensor, "B L 2"]
    ) -> Int[Tensor, "B L"]:
        """Draw x_t given x_0: perturbed tokens are the masked ones."""
        return torch.where(noise[..., 0] >= self.schedule.alpha(t)[:, None], self.mask, x_0)

    def prior(self, noise: Float[Tensor, "B L 2"]) -> Int[Tensor, "B L"]:
        """Draw tokens at t = 1, which are all masks."""
        return torch.full(noise.shape[:-1], self.mask, device=noise.device)

    def posterior(
        self,
        x_t: Int[Tensor, "B L"],
        probs: Float[Tensor, "B L V"],
        alpha_s: Float[Tensor, "B"],
        alpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L V"]:
        """q(x_s | x_t, x_0 ~ probs) for s < t (MDLM, eq. 7), rows summing to one."""
        a, b = alpha_t[:, None, None], alpha_s[:, None, None]
        stay = torch.zeros_like(probs).scatter_(-1, x_t[..., None], 1.0)
        return torch.where(
            x_t[..., None] == self.mask, ((b - a) * probs + (1 - b) * stay) / (1 - a), stay
        )

    def coin(
        self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"], kind: int = MASKED
    ) -> Float[Tensor, "*n"]:
        """(b - a) / (1 - a) for a mask, which then does move, whatever the network says; 0 for a
        visible token."""
        # No bound but the probability itself: a mask has p_z = 0, so here the thinning of `reverse`
        # rejects nothing, and a token once shown never moves again.
        return (alpha_s - alpha_t) / (1 - alpha_t) if kind == MASKED else torch.zeros_like(alpha_s)

    def jump(
        self,
        x_t: Int[Tensor, "M"],
        log_probs: Float[Tensor, "M V"],
        alpha_s: Float[Tensor, "M"],
        alpha_t: Float[Tensor, "M"],
        noise: Float[Tensor, "M 3"],
    ) -> Int[Tensor, "M"]:
        """A mask becomes a token drawn from the network; a visible token stays."""
        return torch.where(x_t == self.mask, categorical(log_probs.exp(), noise[:, 2]), x_t)

    def frozen(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Tensor:
        """True where even p_v = 1 cannot outweigh staying a mask: b - a <= 1 - b."""
        return alpha_s - alpha_t <= 1 - alpha_s

    def nelbo(
        self,
        log_probs: Float[Tensor, "B L V"],
        x_t: Int[Tensor, "B L"],
        x_0: Int[Tensor, "B L"],
        alpha_t: Float[Tensor, "B"],
        dalpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L"]:
        """-dalpha / (1 - alpha) times the cross-entropy of masked tokens (MDLM, eq. 10); 0 at
        visible ones."""
        cross_entropy = -log_probs.gather(-1, x_0[..., None])[..., 0]
        weight = (-dalpha_t / (1 - alpha_t))[:, None]
        return torch.where(x_t == self.mask, weight * cross_entropy, 0.0)

    def loss(
        self,
        hidden: Float[Tensor, "M H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, "V"] | None,
        tokens: Tokens,
    ) -> Float[Tensor, ""]:
        """Weighted sum of the NELBO; the output layer runs at masked tokens only."""
        # The NELBO is zero at visible tokens, and so is its gradient: at a mean time of 1/2 this
        # saves half of the output layer.
        masked = tokens.x_t == self.mask
        chosen = Tokens(*(field[masked] for field in tokens))
        return chunked_loss(hidden[masked], weight, bias, chosen, by_autograd(self._cross_entropy))

    def _cross_entropy(self, logits: Tensor, tokens: Tokens) -> Tensor:
        # Twice negative: of dalpha, which falls, and of the cross-entropy.
        at_x_0 = self.text_logits(logits).log_softmax(-1).gather(-1, tokens.x_0[:, None])[:, 0]
        return (tokens.weight * tokens.dalpha / (1 - tokens.alpha) * at_x_0).sum()

    def distribution(
        self, logits: Float[Tensor, "*n V"], x_t: Int[Tensor, "*n"]
    ) -> Float[Tensor, "*n V"]:
        """Log-probabilities of clean tokens: zero probability for the mask, and a visible token is
        carried over (MDLM, section 3.2.3)."""
        carried = torch.full_like(logits, -torch.inf).scatter_(-1, x_t[..., None], 0.0)
        return torch.where(
            x_t[..., None] == self.mask, self.text_logits(logits).log_softmax(-1), carried
        )

    def readings(
        self, x_t: Int[Tensor, "B L"], frozen: Bool[Tensor, "B L"] | None = None
    ) -> Iterator[Reading]:
        """Each position in turn behind a mask: a visible token would merely be copied.

        That costs L calls of the denoiser for a batch of rows, and fewer will not do: two positions
        behind masks at once would not see each other, and their entropies would be larger.
        """
        for position in range(x_t.shape[1]):
            where = torch.zeros_like(x_t, dtype=torch.bool)
            where[:, position] = True if frozen is None else ~frozen[:, position]
            # Where a column is frozen in all rows there is nothing to read.
            if frozen is not None and not where.any():
                continue
            yield Reading(torch.where(where, self.mask, x_t), where)

    def readings_of(self, x_t: Int[Tensor, "B L"], where: Bool[Tensor, "B L"]) -> Iterator[Reading]:
        """One of the wanted tokens of each row behind a mask, until all were."""
        place = where.cumsum(1)
        for k in range(1, int(place.max()) + 1):
            now = where & (place == k)
            yield Reading(torch.where(now, self.mask, x_t), now)

"""The forward process: what every kind of token noise must know about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.chunked import Tokens
from attractor.process.schedule import LogLinear, Schedule
from attractor.process.text import TextIds
from attractor.types import AttractorError


class Reading(NamedTuple):
    """Sequences to show a denoiser, and the positions at which to read its distributions."""

    x_t: Int[Tensor, "B L"]
    where: Bool[Tensor, "B L"]


class ForwardProcess(ABC):
    """Token noise with its exact reverse: corruption, posterior, likelihood, and the coins that
    need no network.

    Noise is drawn independently of the token it replaces, and alpha is its clock: at alpha a token
    is still the clean one with probability alpha, and otherwise drawn from a law that depends on
    alpha alone.

    In formulas z is the noisy token x_t, x the clean one, p the denoiser's distribution at their
    position, and for times s < t, a = alpha(t) <= b = alpha(s). The ancestral step from t to s is
    the posterior, cut into two so that the part without the network can be drawn first (see
    `process.reverse`): a `coin` of probability c says whether the token *may* move, and `jump`
    draws x_s given that it may,

        posterior(v) = (1 - c) 1{v = z} + c P(jump lands on v).

    Args:
        vocab_size: V, at least 2; a mask counts.
        schedule: alpha(t) and its derivative; log-linear unless given.
        text_ids: which ids may stand in text; all but the mask unless given. In formulas V is
            their number, and a mask where there is one.
        mask_id: the token that is noise and never text, where there is one.

    Raises:
        AttractorError: for fewer than two tokens, for a mask or text ids outside the vocabulary, or
            if no text id is left.
    """

    thins: bool = True
    """Whether a token whose coin came up may stay all the same."""
    corrupts: bool = True
    """Whether there is noise at all: without it distributions are those of a token given the tokens
    before it, see `process.autoregressive`."""
    kinds: int = 1
    """How many kinds of tokens there are that have coins of their own."""

    def __init__(
        self,
        vocab_size: int,
        schedule: Schedule | None = None,
        text_ids: Iterable[int] | Tensor | None = None,
        mask_id: int | None = None,
    ) -> None:
        if vocab_size < 2:
            raise AttractorError(
                f"vocab_size = {vocab_size} is too small: at least 2 tokens are needed"
            )
        self.vocab_size = vocab_size
        if mask_id is not None and not 0 <= mask_id < vocab_size:
            raise AttractorError(f"mask_id = {mask_id} is outside the vocabulary of {vocab_size}")
        self.schedule = schedule or LogLinear()
        self.mask_id = mask_id
        self.text = TextIds(vocab_size, text_ids, mask_id)

    @property
    def text_ids(self) -> Int[Tensor, "T"]:
        """The ids that may stand in text, ascending."""
        return self.text.ids

    @property
    def has_fixed(self) -> bool:
        """Whether there are ids that are neither text nor noise."""
        return self.text.count + (self.mask_id is not None) < self.vocab_size

    def is_fixed(self, tokens: Int[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """Which tokens are neither text nor noise, such as [CLS] and padding: they never move."""
        fixed = ~self.text.contains(tokens)
        return fixed if self.mask_id is None else fixed & (tokens != self.mask_id)

    def settled(self, x_t: Int[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """Which tokens will never move again, whatever the network says of them."""
        return torch.zeros_like(x_t, dtype=torch.bool)

    def corrupt(
        self,
        x_0: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        noise: Float[Tensor, "B L 2"],
        frozen: Bool[Tensor, "B L"] | None = None,
    ) -> Int[Tensor, "B L"]:
        """Draw x_t given x_0.

        A token that is replaced may be replaced by itself: it is then not *perturbed*.

        Args:
            x_0: clean tokens.
            t: time of each row, in [0, 1].
            noise: uniforms on [0, 1) for each token: the first decides whether it is replaced, the
                second by what.
            frozen: tokens that stay as they are; none unless given.
        """
        x_t = self.noised(x_0, t, noise)
        return x_t if frozen is None else torch.where(frozen, x_0, x_t)

    @abstractmethod
    def noised(
        self, x_0: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Float[Tensor, "B L 2"]
    ) -> Int[Tensor, "B L"]:
        """`corrupt` where nothing is frozen."""

    @abstractmethod
    def prior(self, noise: Float[Tensor, "B L 2"]) -> Int[Tensor, "B L"]:
        """Draw tokens at t = 1, where nothing of the text is left, from uniforms on [0, 1)."""

    @abstractmethod
    def posterior(
        self,
        x_t: Int[Tensor, "B L"],
        probs: Float[Tensor, "B L V"],
        alpha_s: Float[Tensor, "B"],
        alpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L V"]:
        """Distribution of x_s given x_t for s < t, with `probs`, (B, L, V), in the place of x_0."""

    @abstractmethod
    def coin(
        self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"], kind: int = 0
    ) -> Float[Tensor, "*n"]:
        """Probability that a token *may* move between t and s: a bound that holds whatever the
        network says.

        Args:
            alpha_s: alpha at the time to go to.
            alpha_t: alpha at the time to come from, smaller.
            kind: which kind of token it is, see `kind`.
        """

    def kind(self, x_t: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
        """Which kind of token each is, in 0 ... kinds - 1."""
        return torch.zeros_like(x_t)

    @abstractmethod
    def jump(
        self,
        x_t: Int[Tensor, "M"],
        log_probs: Float[Tensor, "M V"],
        alpha_s: Float[Tensor, "M"],
        alpha_t: Float[Tensor, "M"],
        noise: Float[Tensor, "M 3"],
    ) -> Int[Tensor, "M"]:
        """Draw x_s of M tokens from the posterior *given that the coin came up*; coin and jump
        together are the posterior.

        The three uniforms of a token decide whether it does move, from where the new token comes
        (network or noise), and which it is.
        """

    @abstractmethod
    def frozen(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Tensor:
        """Whether the posterior's largest entry is x_t itself whatever the network says; Boolean,
        of the shape of the arguments."""

    @abstractmethod
    def nelbo(
        self,
        log_probs: Float[Tensor, "B L V"],
        x_t: Int[Tensor, "B L"],
        x_0: Int[Tensor, "B L"],
        alpha_t: Float[Tensor, "B"],
        dalpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L"]:
        """Negative evidence lower bound per token and per unit of time, (B, L), in nats, never
        negative up to rounding."""

    @abstractmethod
    def loss(
        self,
        hidden: Float[Tensor, "M H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, "V"] | None,
        tokens: Tokens,
    ) -> Float[Tensor, ""]:
        """Weighted sum of the NELBO of M tokens, in nats, for logits `hidden @ weight.T + bias`
        that are never kept."""

    def distribution(
        self, logits: Float[Tensor, "*n V"], x_t: Int[Tensor, "*n"]
    ) -> Float[Tensor, "*n V"]:
        """Log-probabilities of clean tokens from a network's logits at noisy tokens `x_t`."""
        return self.text.restrict(logits).log_softmax(-1)

    def readings(
        self, x_t: Int[Tensor, "B L"], frozen: Bool[Tensor, "B L"] | None = None
    ) -> Iterator[Reading]:
        """What to show a denoiser so that the distribution of every token that is not frozen,
        given *the others*, is read once."""
        # One look is enough: a denoiser's distribution leaves the token's own noisy value out.
        yield Reading(x_t, torch.ones_like(x_t, dtype=torch.bool) if frozen is None else ~frozen)

    def readings_of(self, x_t: Int[Tensor, "B L"], where: Bool[Tensor, "B L"]) -> Iterator[Reading]:
        """What to show a denoiser so that its distributions at `where`, each given all other
        tokens, are read once."""
        yield Reading(x_t, where)

    def prior_cost(self) -> float:
        """KL divergence of x_1 given a clean token from the prior, in nats: what is left of the
        text at t = 1."""
        return 0.0

    @property
    def text_size(self) -> int:
        """Number of ids of the tokenizer: all of them, but for a mask that was added at the end.
        Not all of these need be text, see `text_ids`."""
        return self.vocab_size - (self.mask_id == self.vocab_size - 1)

"""The forward process: what every kind of token noise must know about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.schedule import LogLinear
from attractor.types import AttractorError


class ForwardProcess(ABC):
    """Token noise with its exact reverse: corruption, posterior, and the coins that need no network.

    Args:
        vocab_size: V, at least 2.
        schedule: alpha(t) and its derivative.
    """

    def __init__(self, vocab_size: int, schedule: LogLinear | None = None) -> None:
        if vocab_size < 2:
            raise AttractorError(f"vocab_size = {vocab_size} is too small: at least 2 tokens are needed")
        self.vocab_size = vocab_size
        self.schedule = schedule or LogLinear()

    @abstractmethod
    def corrupt(self, x_0: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Float[Tensor, "B L 2"]) -> Tensor:
        """Draw x_t given x_0, (B, L). `noise`, on [0, 1), decides first whether and then to what."""

    @abstractmethod
    def prior(self, noise: Float[Tensor, "B L 2"]) -> Int[Tensor, "B L"]:
        """Draw tokens at t = 1, where nothing of the text is left."""

    @abstractmethod
    def posterior(
        self,
        x_t: Int[Tensor, "B L"],
        probs: Float[Tensor, "B L V"],
        alpha_s: Float[Tensor, "B"],
        alpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L V"]:
        """Distribution of x_s given x_t for s < t, with `probs` in the place of x_0."""

    @abstractmethod
    def coin(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Probability that a token *may* move between t and s: a bound that holds whatever the network says."""

    @abstractmethod
    def jump(
        self,
        x_t: Int[Tensor, "M"],
        log_probs: Float[Tensor, "M V"],
        alpha_s: Float[Tensor, "M"],
        alpha_t: Float[Tensor, "M"],
        noise: Float[Tensor, "M 3"],
    ) -> Int[Tensor, "M"]:
        """Draw x_s from the posterior *given that the coin came up*; coin and jump together are the posterior."""

    @abstractmethod
    def frozen(self, alpha_s: Float[Tensor, "*n"], alpha_t: Float[Tensor, "*n"]) -> Tensor:
        """Boolean, shape of the arguments: the posterior's largest entry is x_t itself whatever the network says."""

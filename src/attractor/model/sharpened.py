"""A denoiser made surer of itself than it is, for text that is to look good."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.types import AttractorError


class Sharpened(Denoiser):
    """Temperature and nucleus applied to the distributions p of another denoiser, and to nothing
    else.

    The noise, its posterior and the sampler are those of the process, so what is drawn is the exact
    reverse process of the sharper p. Never measure through it: entropies and basins would be those
    of another model.

    Args:
        denoiser: whose distributions are sharpened.
        temperature: log-probabilities are divided by it; 1 changes nothing.
        top_p: of each distribution only the likeliest tokens are kept that together reach this
            probability (Holtzman et al., arXiv:1904.09751); 1 keeps all.

    Raises:
        AttractorError: unless temperature > 0 and 0 < top_p <= 1.
    """

    def __init__(self, denoiser: Denoiser, temperature: float = 1.0, top_p: float = 1.0) -> None:
        if not 0 < temperature < float("inf"):
            raise AttractorError(f"temperature = {temperature} must be above 0 and finite")
        if not 0 < top_p <= 1:
            raise AttractorError(f"top_p = {top_p} is outside (0, 1]")
        self.denoiser, self.temperature, self.top_p = denoiser, temperature, top_p
        self.process, self.seq_len = denoiser.process, denoiser.seq_len
        self.device, self.tokenizer = denoiser.device, denoiser.tokenizer
        self.time_conditioned, self.frame = denoiser.time_conditioned, denoiser.frame

    def log_probs(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Log-probabilities, minus infinity outside the nucleus."""
        return self._sharpened(self.denoiser.log_probs(x_t, t, where))

    def body(self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]) -> Float[Tensor, "B L H"]:
        """That of the other denoiser."""
        return self.denoiser.body(x_t, t)

    def head(self, states: Float[Tensor, "M H"], x_t: Int[Tensor, "M"]) -> Float[Tensor, "M V"]:
        """As `log_probs`."""
        return self._sharpened(self.denoiser.head(states, x_t))

    def _sharpened(self, log_probs: Float[Tensor, "*n V"]) -> Float[Tensor, "*n V"]:
        log_p = (log_probs / self.temperature).log_softmax(-1)
        return log_p if self.top_p == 1 else _nucleus(log_p, self.top_p)


def _nucleus(log_probs: Float[Tensor, "*n V"], top_p: float) -> Float[Tensor, "*n V"]:
    """A token is kept if the likelier ones together stay below `top_p`: always the likeliest."""
    # `before` excludes the token itself, so the one that crosses `top_p` is in.
    ordered, order = log_probs.sort(-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    outside = torch.zeros_like(before, dtype=torch.bool).scatter_(-1, order, before >= top_p)
    return log_probs.masked_fill(outside, -torch.inf).log_softmax(-1)

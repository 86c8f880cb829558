"""No noise at all: tokens are read and written from left to right, each given those before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.process.chunked import Tokens, chunked_loss
from attractor.process.forward import ForwardProcess
from attractor.process.refused import NEEDS_NOISE
from attractor.types import AttractorError


class AutoregressiveProcess(ForwardProcess):
    """p(x) = prod_l p(x_l | x_1 ... x_{l-1}): what established language models are trained by.

    It is the member of the family without a corruption kernel. What a denoiser says at a position
    is the law of its token given those *before* it, so that the likelihood is exact: the sum of
    next-token surprisals. One more id than the text has stands before the first token, where
    absorbing noise has its mask, so that networks of the two have the same weights.

    Args:
        vocab_size: V, the start included, which is the last id.
        text_ids: which ids may stand in text; all but the start unless given.

    Raises:
        AttractorError: for text ids outside the vocabulary, or if no text id is left.
    """

    corrupts = False

    def __init__(self, vocab_size: int, text_ids: Iterable[int] | Tensor | None = None) -> None:
        super().__init__(vocab_size, None, text_ids, vocab_size - 1)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Every part of a corruption kernel and of its reverse."""
        raise AttractorError(NEEDS_NOISE)

    noised = prior = posterior = coin = jump = frozen = _refuse

    def nelbo(
        self,
        log_probs: Float[Tensor, "B L V"],
        x_t: Int[Tensor, "B L"],
        x_0: Int[Tensor, "B L"],
        alpha_t: Float[Tensor, "B"],
        dalpha_t: Float[Tensor, "B"],
    ) -> Float[Tensor, "B L"]:
        """The surprisal of each token, -log p(x_l | x_<l): no bound but the likelihood itself."""
        return -log_probs.gather(-1, x_0[..., None])[..., 0]

    def loss(
        self,
        hidden: Float[Tensor, "M H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, "V"] | None,
        tokens: Tokens,
    ) -> Float[Tensor, ""]:
        """Weighted sum of the surprisals."""
        return chunked_loss(hidden, weight, bias, tokens, self._cross_entropy)

    def _cross_entropy(self, logits: Tensor, tokens: Tokens) -> Tensor:
        log_p = self.text.restrict(logits).log_softmax(-1)
        at_x_0 = log_p.gather(-1, tokens.x_0[:, None])
        # The gradient by the logits, p - e_x, takes their place.
        gradient = log_p.exp_().scatter_add_(-1, tokens.x_0[:, None], -torch.ones_like(at_x_0))
        logits.copy_(gradient.mul_(tokens.weight[:, None]))
        return -(tokens.weight * at_x_0[:, 0]).sum()

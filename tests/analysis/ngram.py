"""A learner that memorizes few rows and generalizes from many, whose every distribution is
exact."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.uniform import UniformProcess


class NGramDenoiser(Denoiser):
    """The law of an n-gram language model of a training set, under token noise, by
    forward-backward.

    P(x | c) = (count of c x + strength * P(x | c without its first token)) / (count of c +
    strength), down to no context, which falls back on 1/V; a token has the `order` tokens before it
    as context, or as many as there are. While most contexts of the data occur once, the model knows
    its rows by heart; when all occur often, it is the law they were drawn from, if that needs no
    longer context. As in `MarkovDenoiser`, r_l is the forward message times the backward one,
    without the evidence of token l itself.

    Args:
        rows: training set, (N, L).
        vocab_size: V.
        order: tokens of context, fewer than L; messages hold V ** order numbers for each row.
        strength: how many occurrences of a context weigh as much as all that is known of the
            shorter one.
    """

    def __init__(
        self, rows: Int[Tensor, "N L"], vocab_size: int, order: int, strength: float
    ) -> None:
        self.process, self.seq_len, self.device, self.order = (
            UniformProcess(vocab_size),
            None,
            rows.device,
            order,
        )
        self.laws: list[Tensor] = []
        """by length of the context: (first token or 1, the other tokens, V)"""
        gram, shorter = torch.zeros_like(rows), torch.ones(1, vocab_size) / vocab_size
        for length in range(order + 1):
            gram = gram[:, : rows.shape[1] - length] * vocab_size + rows[:, length:]
            count = torch.bincount(gram.flatten(), minlength=vocab_size ** (length + 1)).view(
                -1, vocab_size
            )
            law = (count + strength * shorter) / (count.sum(1, keepdim=True) + strength)
            self.laws.append(law.view(vocab_size if length == order else 1, -1, vocab_size))
            shorter = law.repeat(vocab_size, 1)

    def log_probs(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],  # noqa: F821
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r."""
        vocab, length = self.process.vocab_size, x_t.shape[1]
        alpha = self.process.schedule.alpha(t)[:, None, None]
        evidence = torch.nn.functional.one_hot(x_t, vocab) * alpha + (1 - alpha) / vocab
        laws = [self.laws[min(position, self.order)] for position in range(length)]
        ahead, message = [], torch.ones(len(x_t), 1)
        for position, law in enumerate(laws):
            ahead.append(torch.einsum("bam,amx->bmx", message.view(len(x_t), *law.shape[:2]), law))
            message = _scaled(ahead[-1] * evidence[:, None, position])
        log_r, message = [], torch.ones_like(message)
        for position in reversed(range(length)):
            behind = message.view_as(ahead[position])
            log_r.append((ahead[position] * behind).sum(1).log().log_softmax(-1))
            message = _scaled(
                torch.einsum("amx,bmx->bam", laws[position], behind * evidence[:, None, position])
            )
        found = torch.stack(log_r[::-1], 1)
        return found if where is None else found[where]


def _scaled(message: Float[Tensor, "B ..."]) -> Float[Tensor, "B C"]:
    """Over contexts, their sum one, so that no product of many underflows."""
    flat = message.flatten(1)
    return flat / flat.sum(1, keepdim=True)

"""Calibration: is a model as often right, and as surprised, as it expects to be?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes.entropy import of_every_token
from attractor.probes.tokens import Rows, counted_mean
from attractor.process.reductions import beliefs
from attractor.results.thresholds import RELIABILITY_BINS, RESOLVED


class PerSequence(NamedTuple):
    """Means over the tokens of each sequence, nats per token."""

    nll: Float[Tensor, "N"]
    entropy: Float[Tensor, "N"]


class Reliability(NamedTuple):
    """Tokens in equal bins of confidence from 0 to 1; NaN where a bin holds none."""

    tokens: Int[Tensor, "K"]
    """how many"""
    confidence: Float[Tensor, "K"]
    """mean probability of the likeliest token"""
    accuracy: Float[Tensor, "K"]
    """share in which the likeliest token is the one that is there"""


class Calibration(NamedTuple):
    """What a model expected of each token given all others, and what was there; NaN for tokens that
    are frozen, which are counted nowhere."""

    nll: Float[Tensor, "N L"]
    """-log p of the token that is there, nats"""
    entropy: Float[Tensor, "N L"]
    """of the same distribution p: the nll that the model expects"""
    confidence: Float[Tensor, "N L"]
    """probability of the likeliest token"""
    correct: Float[Tensor, "N L"]
    """1 where that is the token that is there, else 0; k tokens of equal probability count 1/k"""

    def per_sequence(self) -> PerSequence:
        """Mean nll and mean entropy of each sequence."""
        return PerSequence(counted_mean(self.nll, 1), counted_mean(self.entropy, 1))

    @property
    def kappa(self) -> float:
        """Mean nll over mean entropy: 1 for a model that knows the law of the text, above 1 for one
        that is surer than it may be. A millionth of a nat is added to both, so that a model that is
        certain and right has 1 and not 0 / 0."""
        nll, entropy = (
            counted_mean(x.double()).item() + RESOLVED for x in (self.nll, self.entropy)
        )
        return nll / entropy

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy."""
        return counted_mean(self.confidence.double() - self.correct.double()).item()

    def __repr__(self) -> str:
        n, length = self.nll.shape
        return (
            f"<Calibration on {n:,} sequences of {length:,} tokens: surprise "
            f"{counted_mean(self.nll):.3f} and entropy {counted_mean(self.entropy):.3f} nats per "
            f"token, kappa = {self.kappa:.2f}>"
        )

    def reliability(self, bins: int = RELIABILITY_BINS) -> Reliability:
        """Accuracy of tokens of about equal confidence, which should be that confidence."""
        counts = ~self.confidence.isnan()
        where = (self.confidence[counts] * bins).long().clamp(max=bins - 1)
        count = torch.bincount(where, minlength=bins)
        confidence, correct = (
            torch.bincount(where, x[counts].double(), minlength=bins) / count
            for x in (self.confidence, self.correct)
        )
        return Reliability(count, confidence, correct)


def calibration(
    denoiser: Denoiser,
    tokens: Rows,
    t: float = 1e-5,
    seed: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
    positions: int | None = None,
) -> Calibration:
    """Compare the denoiser's distribution at every token, given all others, with the token there.

    A model that knows the law of the text has E[nll] = E[entropy], whatever the vocabulary, the
    length or the entropy of the text, and at every t. It takes one pass of the network; where noise
    is a mask, one for each token, behind a mask of its own.

    Arguments and errors are those of `attractor.probes.conditional_entropy`.
    """
    found = of_every_token(denoiser, tokens, t, seed, beliefs, (4,), frozen, positions)
    return Calibration(*found.unbind(-1))

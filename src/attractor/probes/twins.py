"""Two models trained on disjoint data: do they write the same text from the same noise?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes.generation import sample
from attractor.types import AttractorError


class Twins(NamedTuple):
    """What two models wrote from the same start and the same noise."""

    first: Int[Tensor, "N L"]
    second: Int[Tensor, "N L"]

    def agreement(self) -> Float[Tensor, "N"]:
        """Share of positions on which the two agree, of each sequence."""
        return (self.first == self.second).double().mean(1)

    def chance(self) -> Float[Tensor, "N"]:
        """The same for a sequence of the first and all *other* sequences of the second: agreement
        without the noise."""
        n = len(self.first)
        # Against all of the second, less the one that came from the same noise.
        same = torch.stack([(own == self.second).double().mean(1).sum() for own in self.first])
        return (same - self.agreement()) / (n - 1)


def twins(
    first: Denoiser,
    second: Denoiser,
    n: int,
    seq_len: int | None = None,
    steps: int = 1000,
    seed: int = 0,
) -> Twins:
    """Generate with both from the same counted noise (the test of Kadkhodaie et al.,
    arXiv:2310.02557).

    Models that have learned the law agree although they saw no common text; models that memorize do
    not.

    Args:
        first: one model.
        second: the other, of the same vocabulary.
        n: sequences that each writes, at least 2.
        seq_len: tokens in each; the models' own unless given.
        steps: of the reverse grid.
        seed: of the noise that both get.

    Raises:
        AttractorError: for n < 2, or models of different vocabularies.
    """
    sizes = first.process.vocab_size, second.process.vocab_size
    if n < 2 or sizes[0] != sizes[1]:
        raise AttractorError(
            f"n = {n} and vocabularies of {sizes[0]} and {sizes[1]}: at least 2, and two of one "
            "size"
        )
    return Twins(*(sample(model, n, seq_len, steps, seed=seed) for model in (first, second)))

"""Markov sources: made at random, or fitted to text."""

from __future__ import annotations

import math

import torch
from jaxtyping import Integer
from torch import Tensor

from attractor.theory.solvable import MarkovDenoiser, check_tokens, stationary_law
from attractor.theory.spins import check_seed
from attractor.types import AttractorError


def random_source(
    vocab_size: int, concentration: float = 0.3, seed: int = 0, masks: bool = False
) -> MarkovDenoiser:
    """A stationary Markov source whose transition rows are Dirichlet draws.

    Args:
        vocab_size: V, at least 2.
        concentration: of the Dirichlet law, positive; a small one makes the rows peaked, so that a
            token says much about the next one.
        seed: of the draw.
        masks: noise is a mask, which is one more token, of id V.

    Raises:
        AttractorError: for fewer than two tokens, or a concentration or seed outside its range.
    """
    check_seed(seed)
    if not 0 < concentration < math.inf:
        raise AttractorError(f"concentration = {concentration} must be positive and finite")
    if vocab_size < 2:
        raise AttractorError(
            f"vocab_size = {vocab_size} is too small: at least 2 tokens are needed"
        )
    gamma = torch.distributions.Gamma(
        torch.full((vocab_size, vocab_size), concentration).double(), 1.0
    )
    # Gamma draws divided by their sum are a Dirichlet draw. These distributions take no generator
    # of their own, so the global one is seeded and given back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = gamma.sample() + 1e-3 * concentration  # no step is impossible
    transition = weights / weights.sum(1, keepdim=True)
    return MarkovDenoiser(transition, stationary_law(transition), masks)


def bigram_source(
    tokens: Integer[Tensor, "N L"], vocab_size: int, smoothing: float = 0.1
) -> MarkovDenoiser:
    """The Markov source with the pair counts of a text: it generalizes by construction, and its law
    is known.

    Args:
        tokens: rows of text.
        vocab_size: V, larger than every token.
        smoothing: added to every count, so that no pair is impossible.

    Raises:
        AttractorError: for an empty matrix, tokens outside the vocabulary, or a smoothing that is
            not positive.
    """
    if not 0 < smoothing < math.inf:
        raise AttractorError(f"smoothing = {smoothing} must be positive and finite")
    tokens = check_tokens(tokens, vocab_size)
    pairs = (tokens[:, :-1] * vocab_size + tokens[:, 1:]).flatten()
    counts = torch.bincount(pairs, minlength=vocab_size**2).view(vocab_size, vocab_size)
    transition = counts + smoothing
    initial = torch.bincount(tokens[:, 0], minlength=vocab_size) + smoothing
    return MarkovDenoiser(transition / transition.sum(1, keepdim=True), initial / initial.sum())

"""Text of a model's own, settled and recombined: what a store cannot stand, and a language can.

Settling is rounds of a little noise and restoration. The law of a perfect model does not change
under it, whatever that law is; a store falls into its patterns. Two settled texts are then cut and
joined. Away from the joint, the result is as good a text as any of a language whose correlations
are short, and none that a store knows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes.recovery import recovery
from attractor.process.noise import CountedNoise
from attractor.types import AttractorError

ROUND = 1_000_003
"""By how much the seed moves from round to round: far enough that seeds next to each other share
none."""


class Recombined(NamedTuple):
    """Texts cut in the middle and joined with another's second half."""

    tokens: Int[Tensor, "M L"]
    """the first half of one text and the second half of another"""
    first: Int[Tensor, "M"]
    """which text the first half is of"""
    second: Int[Tensor, "M"]
    """which the second"""
    inner: Bool[Tensor, "L"]
    """positions that are further from the joint than the reach that was asked for"""


def settled(
    denoiser: Denoiser,
    tokens: Int[Tensor, "N L"] | np.ndarray,
    rounds: int,
    t: float = 0.15,
    steps: int = 32,
    seed: int = 0,
    first: int = 0,
) -> Int[Tensor, "N L"]:
    """Corrupt at t with fresh noise and restore, some rounds in turn.

    Args:
        denoiser: whose patterns are looked for.
        tokens: where to start, (N, L), such as its own generations.
        rounds: how many, at least 0.
        t: corruption time in (0, 1].
        steps: of the reverse grid from 1 to 1e-5.
        seed: of the noise; row i is a function of (seed, first + i).
        first: number of the first row, for whoever settles in parts.

    Returns:
        (N, L) tokens on the CPU.

    Raises:
        AttractorError: for rounds < 0, t outside (0, 1] or tokens the denoiser does not know.
    """
    if rounds < 0:
        raise AttractorError(f"rounds = {rounds} must be at least 0")
    now = torch.as_tensor(np.asarray(tokens))
    for k in range(rounds):
        # A seed of its own for each round: the same noise again would undo nothing that is new.
        now = recovery(denoiser, now, t, steps, seed + ROUND * (k + 1), first=first).recovered[0]
    return now


def recombined(
    tokens: Int[Tensor, "N L"], apart: Bool[Tensor, "N N"], reach: int = 4
) -> Recombined:
    """Join the first half of each text with the second half of the next one that is another text.

    Args:
        tokens: texts, (N, L).
        apart: which pairs are different texts; a text joined with itself would be no new one.
        reach: positions at each side of the joint that are not looked at, at most a quarter of L.

    Raises:
        AttractorError: unless two texts are apart, or for L < 4.
    """
    n, length = tokens.shape
    if length < 4 or not apart.any():
        raise AttractorError(
            f"{n} texts of {length} tokens, {int(apart.sum()) // 2} pairs of them different: at "
            "least 4 tokens and one pair are needed to recombine them"
        )
    # For each text the others in turn, from the next one on: the first that is apart is taken.
    turn = (torch.arange(n)[:, None] + torch.arange(1, n)) % n
    allowed = apart.gather(1, turn)
    first = allowed.any(1).nonzero()[:, 0]
    second = turn[first, allowed[first].int().argmax(1)]
    half, reach = length // 2, min(reach, length // 4)
    position = torch.arange(length)
    inner = (position < half - reach) | (position >= half + reach)
    joined = torch.where(position < half, tokens[first], tokens[second])
    return Recombined(joined, first, second, inner)


def some_positions(inner: Bool[Tensor, "L"], most: int, seed: int = 0) -> Bool[Tensor, "L"]:
    """At most so many of the positions, drawn at random: behind masks each costs a pass of its
    own."""
    places = inner.nonzero()[:, 0]
    u = CountedNoise(seed, "positions").grid(torch.zeros(1, dtype=torch.long), len(inner))[0, :, 0]
    chosen = places[u[places].argsort()[:most]]
    return torch.zeros_like(inner).index_fill(0, chosen, True)

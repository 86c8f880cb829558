"""Noise that is counted instead of streamed: a random number is a function of its place."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = 0xFFFFFFFF


class CountedNoise:
    """Uniform random numbers that are a pure function of (seed, stream, t, row, repeat, position,
    step).

    Philox 4x32-10 (Salmon et al., SC 2011): the key is a digest of what is fixed for a whole
    measurement, the counter is the place. So a number does not depend on batch size, on the number
    of workers, or on what was drawn before.

    Args:
        seed: any integer.
        stream: what the numbers are for; different streams are independent.
        t: time in [0, 1], part of the key.
    """

    def __init__(self, seed: int, stream: str, t: float = 0.0) -> None:
        # A digest and not Python's hash(), which is another in every process. What goes into it
        # must never change its spelling: all published numbers depend on it.
        digest = hashlib.blake2b(
            repr((int(seed), stream, float(t))).encode(), digest_size=8
        ).digest()
        self.key = (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little"))

    def uniform(
        self, row: Int[Tensor, "*n"], position: Int[Tensor, "*n"], step: Int[Tensor, "*n"]
    ) -> Float[Tensor, "*n 4"]:
        """Four independent uniforms on (0, 1) in float64 at each place; see `row_address` for
        repeats."""
        counter = (row & _MASK, position & _MASK, step & _MASK, (row >> 32) & _MASK)
        words = torch.stack(philox(counter, self.key), -1)
        # The middle of each of 2^32 parts of (0, 1): never 0, whose logarithm the reverse process
        # could not take, and never 1.
        return (words.double() + 0.5) * 2.0**-32

    def grid(self, row: Int[Tensor, "N"], length: int) -> Float[Tensor, "N L 4"]:
        """Four uniforms for every position of every row, at step 0."""
        position = torch.arange(length, device=row.device).expand(len(row), length)
        return self.uniform(row[:, None].expand_as(position), position, torch.zeros_like(position))


def row_address(
    rows: int, repeats: int = 1, device: torch.device | str = "cpu"
) -> Int[Tensor, "N"]:
    """Addresses of rows 0 ... rows-1 for each repeat, repeat-major: the repeat sits in the high 32
    bits.

    Args:
        rows: how many rows there are, below 2^32.
        repeats: how many times each is wanted, with noise of its own.
        device: where the addresses are to be.

    Returns:
        (repeats * rows,), to be given to `CountedNoise` as `row`.
    """
    row = torch.arange(rows, device=device)
    return torch.cat([row + (repeat << 32) for repeat in range(repeats)])


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, ...]:
    """Philox 4x32-10 on int64 tensors that hold 32-bit words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # Products of two 32-bit words need 64 bits, and that is all the algorithm keeps of them:
        # that int64 wraps to a negative number changes none. The shift copies the sign into the
        # high bits, which the mask takes off.
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (
            ((p1 >> 32) & _MASK) ^ c1 ^ k0,
            p1 & _MASK,
            ((p0 >> 32) & _MASK) ^ c3 ^ k1,
            p0 & _MASK,
        )
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3

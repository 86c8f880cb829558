"""What a process and a network hand to each other: mixed tokens, distributions, random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


class Mixture(NamedTuple):
    """At every position not one token but several, by their shares."""

    tokens: Int[Tensor, "*n K"]
    shares: Float[Tensor, "*n K"]
    """summing to one"""


@runtime_checkable
class LogProbs(Protocol):
    """A denoiser's conditional distributions as a plain function, see
    `attractor.model.denoiser.Denoiser.log_probs`."""

    def __call__(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Return log-probabilities, (B, L, V), or (M, V) at the M positions of `where`."""
        ...


@runtime_checkable
class Blocks(Protocol):
    """The same in parts, see `attractor.model.denoiser.Denoiser.blocks`."""

    def __call__(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Iterator[Tensor]:
        """Yield log-probabilities, (m, V), of consecutive positions."""
        ...


@runtime_checkable
class Halves(Protocol):
    """The same in two halves, see `attractor.model.denoiser.Denoiser.body` and `head`."""

    def body(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return what `head` needs of every position, (B, L, H)."""
        ...

    def head(self, states: Tensor, x_t: Tensor) -> Tensor:
        """Return log-probabilities, (M, V), at M positions from their states, (M, H), and
        tokens."""
        ...


@runtime_checkable
class Noise(Protocol):
    """Random numbers addressed by their place, so that they do not depend on the order of the
    computation."""

    def uniform(self, row: Tensor, position: Tensor, step: Tensor) -> Tensor:
        """Return four independent uniforms on (0, 1) for each place: broadcast shape of the
        arguments + (4,)."""
        ...

"""Noise schedules: how much of the clean token is left at time t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from attractor.types import AttractorError


@runtime_checkable
class Schedule(Protocol):
    """What a process asks of a schedule, for times t in [0, 1]; see `LogLinear`."""

    def alpha(self, t: Tensor) -> Tensor:
        """Probability that a token has not been resampled by time t, falling from 1 to about 0."""
        ...

    def dalpha(self, t: Tensor) -> Tensor:
        """Time derivative of `alpha`."""
        ...

    def sigma(self, t: Tensor) -> Tensor:
        """The noise level on which networks are conditioned."""
        ...


@dataclass(frozen=True)
class LogLinear:
    """The log-linear schedule, `alpha(t) = 1 - (1 - eps) t` for t in [0, 1] (MDLM,
    arXiv:2406.07524).

    Args:
        eps: what is left of the signal at t = 1.

    Raises:
        AttractorError: if `eps` is not in (0, 1).
    """

    eps: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.eps < 1:
            raise AttractorError(f"eps = {self.eps} is outside (0, 1)")

    def alpha(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Probability that a token has not been resampled by time t."""
        return 1 - (1 - self.eps) * t

    def dalpha(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Time derivative of `alpha`."""
        return torch.full_like(t, self.eps - 1)

    def sigma(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The noise level `-log alpha(t)` on which networks are conditioned."""
        # By log1p: at the last time of the grid, 1e-5, the logarithm of alpha in float32 would have
        # lost most of its digits.
        return -torch.log1p((self.eps - 1) * t)

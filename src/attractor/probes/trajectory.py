"""What the network's distributions look like along the way from noise to text, seen by the one
reverse loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attractor.process.reverse import T_MIN, Event
from attractor.results.thresholds import PATH_BINS, PATH_TIMES


class Shape(NamedTuple):
    """Four numbers of each distribution over the vocabulary, each (M,)."""

    entropy: Tensor
    """nats"""
    uncertainty: Tensor
    """sum_v p_v (1 - p_v): the chance that two draws differ"""
    gap: Tensor
    """largest minus second largest probability"""
    top: Tensor
    """largest probability"""


def shape_of(log_probs: Float[Tensor, "M V"]) -> Shape:
    """The shape of each row's distribution."""
    # Minus infinity times zero is NaN: log-probabilities are clamped where they are multiplied.
    p = log_probs.exp()
    top = p.topk(2, -1).values
    uncertainty = 1 - (p * p).sum(-1)
    entropy = -p.mul_(log_probs.clamp(min=torch.finfo(p.dtype).min)).sum(-1)
    return Shape(entropy, uncertainty, top[:, 0] - top[:, 1], top[:, 0])


class Trajectory:
    """A callback of `attractor.process.reverse.reverse` that averages the `Shape` of each sequence
    at `PATH_TIMES`.

    Which tokens are candidates at a step is decided by coins that no network sees, so the
    candidates of a step are a fair sample of its positions, and watching costs no call of the
    network.

    Args:
        n: sequences in the run that is watched.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.total = torch.zeros(n * len(PATH_TIMES), len(Shape._fields), dtype=torch.float64)
        self.count = torch.zeros(n * len(PATH_TIMES), dtype=torch.float64)

    def __call__(self, event: Event) -> None:
        """Add the distributions at the candidates of one event."""
        row = event.where.nonzero(as_tuple=True)[0]
        # Part k > 0 holds the times in ((k - 1) / PATH_BINS, k / PATH_BINS]. The last step is
        # apart, since there every token is a candidate.
        part = (event.t * PATH_BINS).ceil().clamp(max=PATH_BINS).long()
        part[event.t <= T_MIN] = 0
        at = (event.rows * len(PATH_TIMES) + part)[row].cpu()
        self.total.index_add_(0, at, torch.stack(shape_of(event.log_probs), 1).double().cpu())
        self.count.index_add_(0, at, torch.ones(len(at), dtype=torch.float64))

    def means(self) -> dict[str, Float[Tensor, "N T"]]:
        """The mean of each number at each of `PATH_TIMES`; NaN where a sequence had no
        candidate."""
        means = (self.total / self.count[:, None]).view(self.n, len(PATH_TIMES), -1)
        return {name: means[..., i] for i, name in enumerate(Shape._fields)}

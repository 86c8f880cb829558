"""How often the reverse process is expected to ask a network, known before it runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attractor.process.forward import ForwardProcess
from attractor.process.reverse import time_grid


@dataclass(frozen=True)
class Calls:
    """How much a network is asked for outside training."""

    events: float = 0.0
    """rows run through the blocks by the reverse process"""
    candidates: float = 0.0
    """positions of them that go on through the output layer"""
    dense: float = 0.0
    """rows run through blocks and output layer at every position"""

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.events + other.events,
            self.candidates + other.candidates,
            self.dense + other.dense,
        )

    def __mul__(self, rows: int) -> Calls:
        return Calls(self.events * rows, self.candidates * rows, self.dense * rows)


def reverse_calls(process: ForwardProcess, t: float, steps: int, length: int) -> Calls:
    """Expected calls for one row that falls from time t.

    At a step of the grid each position is a candidate where its coin comes up, which asks no
    network; a row runs through the blocks at the steps at which any of its positions is one. So
    both numbers are known beforehand: at a step with coin c, of L positions L c are candidates, and
    a row runs with probability 1 - (1 - c)^L. That is exact for one kind of tokens; where masks
    have coins of their own, about 1 - alpha of the positions are masks.
    """
    alpha = process.schedule.alpha(time_grid(t, steps))
    following = torch.cat([alpha[1:], alpha.new_ones(1)])  # the last step leads to t = 0
    coins = [process.coin(following, alpha, kind).clamp(max=1) for kind in range(process.kinds)]
    if process.mask_id is None:
        coin = coins[0]
    else:
        masked = int(process.kind(torch.tensor(process.mask_id)))
        coin = (1 - alpha) * coins[masked] + alpha * coins[1 - masked]
    return Calls(float((1 - (1 - coin) ** length).sum()), float(coin.sum()) * length)


def writing_calls(process: ForwardProcess, steps: int, length: int) -> Calls:
    """Calls for one row that a model writes by itself, from pure noise; without noise token by
    token, each after half a row on average."""
    if not process.corrupts:
        return Calls(events=length / 2, candidates=length)
    return reverse_calls(process, 1.0, steps, length)


def reading_calls(process: ForwardProcess, length: int) -> Calls:
    """Calls for one row to read the distribution of each token given all others, once."""
    row = torch.zeros(1, length, dtype=torch.long)
    return Calls(dense=sum(1 for _ in process.readings(row)))


def settle_calls(process: ForwardProcess, steps: int, t: float = 0.05) -> Calls:
    """Calls for one row of the deterministic reverse process, and for the noise removal after it.

    Steps that cannot move a token whatever the network says are not computed.
    """
    alpha = process.schedule.alpha(time_grid(t, steps))
    movable = int((~process.frozen(alpha[1:], alpha[:-1])).sum())
    return Calls(dense=movable + 1)

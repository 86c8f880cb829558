"""A fall as the page shows it: the state of one row at times of the grid, on its way back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.probes import sample
from attractor.probes.recovery import recovery
from attractor.process.reductions import entropy, reduce_blocks
from attractor.process.reverse import T_MIN, Event, time_grid

STEPS = 64
"""Steps of the reverse process on the page, from t = 1."""
ROWS = 32
"""States that are shown of a fall, at most, before the last one."""
LIKELIEST = 3
"""Tokens that are kept of each distribution."""


class Fall(NamedTuple):
    """The states of one row, R of them; the first is as it was corrupted, the last the end."""

    times: Float[Tensor, "R"]
    tokens: Int[Tensor, "R L"]
    entropy: Float[Tensor, "R L"]
    """of each token given the others, in nats"""
    likeliest: Int[Tensor, "R L K"]
    chances: Float[Tensor, "R L K"]
    """probabilities of the likeliest tokens"""


def fall(
    denoiser: Denoiser, row: Int[Tensor, "L"], t: float, seed: int = 0, steps: int = STEPS
) -> Fall:
    """Corrupt a row at time t and watch it on its way back; the same noise as on the page."""
    watch = _Watch(t, steps)
    found = recovery(denoiser, row[None], t, steps, seed, callback=watch)
    return _told(denoiser, watch, found.corrupted[0, 0], found.recovered[0, 0])


def rise(denoiser: Denoiser, seed: int = 0, steps: int = STEPS) -> Fall:
    """Watch a text as it comes out of nothing but noise."""
    watch = _Watch(1.0, steps)
    end = sample(denoiser, 1, steps=steps, seed=seed, callback=watch)[0]
    return _told(denoiser, watch, watch.states[0][1] if watch.states else end, end)


class _Watch:
    """A callback that keeps the states of the only row."""

    def __init__(self, t: float, steps: int) -> None:
        self.grid = time_grid(t, steps)
        self.states: list[tuple[float, Tensor]] = []

    def __call__(self, event: Event) -> None:
        self.states.append((event.t.item(), event.x_t[0].cpu()))

    def at(self, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Times and states at every so many steps of the grid, and at the end."""
        stride = -(-len(self.grid) // ROWS)
        times = self.grid[::stride]
        tokens = []
        for time in times.tolist():
            # A row does not change between two of its events: at a time it is what it was before
            # the next one.
            later = [x for t, x in self.states if t <= time + 1e-12]
            tokens.append(later[0] if later else end)
        tokens[0] = start
        last = times.new_tensor([T_MIN])
        return torch.cat([times, last]), torch.stack([*tokens, end])


def _told(denoiser: Denoiser, watch: _Watch, start: Tensor, end: Tensor) -> Fall:
    times, tokens = watch.at(start, end)
    shape = tokens.shape
    blocks = denoiser.blocks(tokens.to(denoiser.device), times.float().to(denoiser.device))
    kept = reduce_blocks(blocks, _kept, tokens.flatten().to(denoiser.device)).cpu()
    h, best, p = kept[:, 0], kept[:, 1 : 1 + LIKELIEST], kept[:, 1 + LIKELIEST :]
    return Fall(
        times, tokens, h.view(shape), best.long().view(*shape, -1), p.float().view(*shape, -1)
    )


def _kept(log_probs: Tensor, _: Tensor) -> Tensor:
    top = log_probs.topk(min(LIKELIEST, log_probs.shape[-1]), -1)
    lacking = LIKELIEST - top.indices.shape[-1]
    indices = torch.nn.functional.pad(top.indices.double(), (0, lacking))
    chances = torch.nn.functional.pad(top.values.double().exp(), (0, lacking))
    return torch.cat([entropy(log_probs).double()[:, None], indices, chances], 1)

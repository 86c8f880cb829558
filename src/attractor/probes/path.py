"""The way of the reverse process from noise to text: its states at times of the grid, and what the
network's distributions look like there at every position that may move."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.probes.tokens import batches, counted_mean
from attractor.probes.trajectory import Shape, shape_of
from attractor.process.reductions import reduce_blocks
from attractor.process.reverse import Event, time_grid
from attractor.results.thresholds import PATH_TIMES

CERTAIN = (0.0, 0.0, 1.0, 1.0)
"""The `Shape` of a distribution that is one token."""


class Path:
    """A callback of `attractor.process.reverse.reverse` that keeps each sequence as it is at the
    times of the grid that are nearest to `PATH_TIMES`, taken as shares of the time it starts from.

    Args:
        n: sequences in the run that is watched.
        length: tokens in each.
        t: time from which they start, in (0, 1].
        steps: of the grid from t = 1 to 1e-5.

    Raises:
        AttractorError: if t is outside (0, 1] or steps < 1.
    """

    def __init__(self, n: int, length: int, t: float, steps: int) -> None:
        grid = time_grid(t, steps)
        nearest = (grid[:, None] - grid[0] * torch.tensor(PATH_TIMES)).abs().argmin(0)
        self.times: Float[Tensor, "T"] = grid[nearest]
        self.tokens: Int[Tensor, "T N L"] = torch.zeros(len(PATH_TIMES), n, length).long()
        self._seen = torch.zeros(len(PATH_TIMES), n, dtype=torch.bool)

    def __call__(self, event: Event) -> None:
        """Keep the rows that are about to move, at every time that they have passed since they last
        did."""
        rows, t, x_t = (x.cpu() for x in (event.rows, event.t, event.x_t))
        # A row that moves at t has not changed since it last moved, so this is what it is at each
        # time from then to t that is not filled yet.
        passed = (self.times[:, None] >= t) & ~self._seen[:, rows]
        time, place = passed.nonzero(as_tuple=True)
        self.tokens[time, rows[place]] = x_t[place]
        self._seen[time, rows[place]] = True

    def end(self, tokens: Int[Tensor, "N L"]) -> Path:
        """Fill in what the run ended with: a row without a mask left does not move any more."""
        time, row = (~self._seen).nonzero(as_tuple=True)
        self.tokens[time, row] = tokens.cpu()[row]
        self._seen[:] = True
        return self


def path_shapes(denoiser: Denoiser, path: Path) -> dict[str, Float[Tensor, "N T"]]:
    """The `Shape` of the distributions at every position, mean of each sequence at each of the
    times, from one call of the network for each."""
    count, n, _ = path.tokens.shape
    found = torch.zeros(len(Shape._fields), n, count, dtype=torch.float64)
    for k, t in enumerate(path.times.tolist()):
        tokens = path.tokens[k].to(denoiser.device)
        for part in batches(denoiser, tokens):
            x = tokens[part]
            settled = denoiser.process.settled(x)
            blocks = denoiser.blocks(x, torch.full((len(x),), t, device=x.device), ~settled)
            # What is settled is certain, whatever a network may say of a token that it sees.
            shapes = torch.tensor(CERTAIN, dtype=torch.float64, device=x.device)
            shapes = shapes.repeat(*x.shape, 1)
            shapes[~settled] = reduce_blocks(blocks, _stacked, x[~settled]).double()
            shapes[denoiser.process.is_fixed(x)] = torch.nan
            found[:, part, k] = counted_mean(shapes, 1).T.cpu()
    return dict(zip(Shape._fields, processes().total(found), strict=True))


def _stacked(log_probs: Float[Tensor, "M V"], _: Tensor) -> Float[Tensor, "M 4"]:
    return torch.stack(shape_of(log_probs), 1)

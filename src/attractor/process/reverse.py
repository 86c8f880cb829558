"""The reverse process: from noise back to text, exactly, with the network run only where something
can happen.

Between two times of the grid a token stays, is redrawn from the network, or is redrawn from the
noise. The probability that it does not stay is bounded by a *coin* which needs no network. So each
position first draws the steps at which its coin comes up, by inversion; the network runs only for
sequences with such a candidate, each at its own time. The law of the result is that of dense
ancestral sampling on the same grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.forward import ForwardProcess
from attractor.process.interfaces import Blocks, LogProbs, Noise
from attractor.process.reductions import reduce_blocks
from attractor.types import AttractorError

NoiseRemoval = Literal["ancestral", "greedy"]
T_MIN = 1e-5
"""The last time of the grid; from there to 0 the noise is removed in one step."""


class Event(NamedTuple):
    """What a callback sees: rows about to move, just before they do."""

    rows: Int[Tensor, "R"]
    """which sequences"""
    t: Float[Tensor, "R"]
    """their times; rows keep their own clocks"""
    x_t: Int[Tensor, "R L"]
    where: Bool[Tensor, "R L"]
    """the candidate positions"""
    log_probs: Float[Tensor, "M V"]
    """the network's distributions at the candidates"""


Callback = Callable[[Event], None]


def time_grid(t: float, steps: int) -> Float[Tensor, "S"]:
    """The times visited: linspace(1, 1e-5, steps + 1) from the smallest one >= t on, descending,
    float64.

    Raises:
        AttractorError: if t is outside (0, 1] or steps < 1.
    """
    check_time(t)
    if steps < 1:
        raise AttractorError(f"steps = {steps}: the reverse process needs at least one step")
    grid = torch.linspace(1, T_MIN, steps + 1, dtype=torch.float64)
    first = int((grid >= t - 1e-12).sum()) - 1
    return grid[max(first, 0) :]


def check_time(t: float) -> None:
    """Raise AttractorError unless t is in (0, 1]."""
    if not 0 < t <= 1:
        raise AttractorError(f"t = {t} is outside (0, 1]")


def reverse(
    process: ForwardProcess,
    log_probs: LogProbs,
    x_t: Int[Tensor, "N L"],
    grid: Float[Tensor, "S"],
    noise: Noise,
    rows: Int[Tensor, "N"],
    noise_removal: NoiseRemoval = "ancestral",
    batch_size: int = 64,
    callback: Callback | None = None,
) -> Int[Tensor, "N L"]:
    """Run every sequence from grid[0] down the grid and remove the remaining noise.

    The result depends on `rows` (which address the noise) and on nothing else about the batch.

    Args:
        process: the token noise.
        log_probs: the denoiser's conditional distributions.
        x_t: noisy tokens at time grid[0].
        grid: descending times, see `time_grid`.
        noise: random numbers addressed by row, position and step.
        rows: each sequence's address in `noise`.
        noise_removal: the last step, to t = 0: "ancestral" draws from the posterior, "greedy" takes
            the likeliest.
        batch_size: sequences in one call of the network.
        callback: sees every event.

    Raises:
        AttractorError: if batch_size < 1, or the denoiser gives no numbers.
    """
    if batch_size < 1:
        raise AttractorError(
            f"batch_size = {batch_size}: a call of the network needs at least one sequence"
        )
    x = x_t.clone()
    grid = grid.to(x.device)
    candidates = _Candidates(process, grid, noise, x.shape[1])
    pending = candidates.first(rows, x)
    last = len(grid) - 1
    alpha = torch.cat([process.schedule.alpha(grid), grid.new_ones(1)])
    waiting = (pending <= last).any(1).nonzero()[:, 0]
    live = waiting[:0]
    while len(live) or len(waiting):
        refill = batch_size - len(live)
        live, waiting = torch.cat([live, waiting[:refill]]), waiting[refill:]
        step = pending[live].amin(1)
        where = pending[live] == step[:, None]
        chosen = _within_budget(where, process.vocab_size)
        now, step, where = live[chosen], step[chosen], where[chosen]
        t = grid[step]
        log_p = log_probs(x[now], t.float(), where)
        if (
            log_p[:, 0].isnan().any()
        ):  # one token tells: a softmax with a NaN in it is NaN everywhere
            raise AttractorError(
                f"the denoiser's distributions are NaN at t = {t.max().item():.3g} or below"
            )
        if callback is not None:
            callback(Event(now, t, x[now], where, log_p))
        row, position = where.nonzero(as_tuple=True)
        at = (now[row], position)
        k = step[row]
        u = noise.uniform(rows[at[0]], position, k + 1)
        moved = process.jump(x[at], log_p, alpha[k + 1], alpha[k], u[:, :3])
        if noise_removal == "greedy":
            moved = torch.where(k == last, log_p.argmax(-1), moved)
        x[at] = moved
        pending[at] = candidates.invert(k, u[:, 3], process.kind(moved))
        live = live[(pending[live] <= last).any(1)]
    return x


def settle(
    process: ForwardProcess,
    blocks: Blocks,
    x_t: Int[Tensor, "N L"],
    grid: Float[Tensor, "S"],
    batch_size: int = 64,
) -> Int[Tensor, "N L"]:
    """The deterministic reverse process: the likeliest entry of the posterior at each step, then
    greedy noise removal.

    It has no coins. Steps at which the likeliest entry is the token itself whatever the network
    says are not computed. `blocks` are the denoiser's distributions in parts.
    """
    alpha = process.schedule.alpha(grid)
    movable = (~process.frozen(alpha[1:], alpha[:-1])).nonzero()[:, 0].tolist()

    def likeliest(log_p: Tensor, noisy: Tensor, a_s: Tensor, a_t: Tensor) -> Tensor:
        return process.posterior(noisy[:, None], log_p[:, None].exp(), a_s, a_t)[:, 0].argmax(-1)

    settled = []
    for x in x_t.split(batch_size):
        for k in movable:
            t = grid[k].float().to(x.device).expand(len(x))
            a_t, a_s = (alpha[i].float().to(x.device).expand(x.numel()) for i in (k, k + 1))
            x = reduce_blocks(blocks(x, t), likeliest, x.flatten(), a_s, a_t).view(x.shape)
        t = grid[-1].float().to(x.device).expand(len(x))
        settled.append(
            reduce_blocks(blocks(x, t), lambda log_p, _: log_p.argmax(-1), x.flatten()).view(
                x.shape
            )
        )
    return torch.cat(settled)


class _Candidates:
    """Draws the steps at which coins come up, by inversion of their survival function, one for each
    kind of token."""

    def __init__(self, process: ForwardProcess, grid: Tensor, noise: Noise, seq_len: int) -> None:
        alpha = process.schedule.alpha(grid)
        alpha_s = torch.cat([alpha[1:], alpha.new_ones(1)])
        coins = [process.coin(alpha_s, alpha, kind).clamp(max=1) for kind in range(process.kinds)]
        self.log_survival = [
            torch.cat([alpha.new_zeros(1), torch.log1p(-coin).cumsum(0)]) for coin in coins
        ]
        self.last = len(grid) - 1
        self.process, self.noise, self.seq_len = process, noise, seq_len

    def first(self, rows: Int[Tensor, "N"], x: Int[Tensor, "N L"]) -> Int[Tensor, "N L"]:
        """First candidate of every position of every sequence."""
        position = torch.arange(self.seq_len, device=x.device).expand(x.shape)
        u = self.noise.uniform(rows[:, None].expand(x.shape), position, torch.zeros_like(x))
        return self.invert(torch.full_like(x, -1), u[..., 3], self.process.kind(x))

    def invert(
        self, step: Int[Tensor, "*n"], uniform: Float[Tensor, "*n"], kind: Int[Tensor, "*n"]
    ) -> Int[Tensor, "*n"]:
        """The step of the next candidate after `step`; beyond the last one when there is none.

        P(next > m) is the product of 1 - coin over steps + 1 ... m: the first m whose product is
        below `uniform`.
        """
        following = torch.full_like(step, self.last + 1)
        for k, log_survival in enumerate(self.log_survival):
            level = (log_survival[step + 1] + uniform.log()).contiguous()
            following = torch.where(
                kind == k, torch.searchsorted(-log_survival, -level) - 1, following
            )
        return torch.where(step < self.last, following, self.last + 1)


def _within_budget(
    where: Bool[Tensor, "R L"], vocab_size: int, entries: int = 2**25
) -> Bool[Tensor, "R"]:
    """Which rows to run now, so that the output layer makes at most `entries` numbers; the others
    can wait."""
    made = where.sum(1).cumsum(0) * vocab_size
    chosen = made <= entries
    chosen[0] = True
    return chosen

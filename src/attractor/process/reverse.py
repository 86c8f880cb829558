"""The reverse process: from noise back to text, exactly, with the network run only where something
can happen.

Between two times of the grid a token stays, is redrawn from the network, or is redrawn from the
noise. The probability that it does not stay is bounded by a *coin* which needs no network. So each
position first draws the steps at which its coin comes up, by inversion; the network runs only for
sequences with such a candidate, each at its own time. The law of the result is that of dense
ancestral sampling on the same grid.

Why it is the same law. With the coin's probability c, the posterior of a step is the mixture (1 -
c) 1{v = z} + c J(v) for whatever the network says, where J is the law of `ForwardProcess.jump`
(this is thinning, as for point processes). Coins of different steps and positions are independent
of each other and of the network, so drawing all of them first changes no probability. A position
whose coin does not come up stays as it is, and nobody needs to ask the network about it; between
two of its candidates a row's tokens do not change at all, and so it may be brought forward to its
next one without waiting for the other rows.

A denoiser that does not depend on time says of a row the same until the row changes, and most
candidates change nothing: a token that is right is redrawn with probability (1 - a) / (V a p_z + 1
- a). So what lies behind its distributions is kept until then, and the network runs once for each
change of a row, and not once for each candidate. The draws are the same, and so is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.process.forward import ForwardProcess
from attractor.process.interfaces import Blocks, Halves, LogProbs, Noise
from attractor.process.reductions import reduce_blocks
from attractor.types import AttractorError

NoiseRemoval = Literal["ancestral", "greedy"]
T_MIN = 1e-5
"""The last time of the grid; from there to 0 the noise is removed in one step."""
TIE = 1e-5
"""Share by which probabilities must differ to be told apart; single precision knows log p to about
1e-6."""


class Event(NamedTuple):
    """What a callback sees: rows about to move, just before they do."""

    rows: Int[Tensor, "R"]
    """which sequences, as places in the batch that `reverse` was given"""
    t: Float[Tensor, "R"]
    """the time at which each row is; rows keep their own clocks"""
    x_t: Int[Tensor, "R L"]
    """their tokens before the move"""
    where: Bool[Tensor, "R L"]
    """the candidate positions of each row"""
    log_probs: Float[Tensor, "M V"]
    """the network's distributions at the M candidates, row by row"""


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
    # The tolerance lets a t that is meant to be a time of the grid, up to rounding, be that one.
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
    frozen: Bool[Tensor, "N L"] | None = None,
    timeless: Halves | None = None,
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
            the likeliest token of the network.
        batch_size: sequences in one call of the network.
        callback: sees every event.
        frozen: tokens that never move, such as a prompt or padding; none unless given. What comes
            is drawn given these tokens if the denoiser's distributions are given them.
        timeless: the two halves of a denoiser that does not depend on time, which then runs once
            for each change of a row; what its first half makes of `batch_size` rows is kept.

    Returns:
        The sequences at t = 0.

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
    # The step at which each position may move next; beyond `last` it never does again. Step k leads
    # from grid[k] to grid[k + 1], and the step `last` from there to t = 0, where alpha is 1.
    pending = candidates.first(rows, x)
    last = len(grid) - 1
    if frozen is not None:
        # Coins are independent: that these are never tossed changes nothing for the others.
        pending[frozen] = last + 1
    alpha = torch.cat([process.schedule.alpha(grid), grid.new_ones(1)])
    # A row that has come to its end makes place for one that waits, so batches stay full although
    # rows need different numbers of steps.
    waiting = (pending <= last).any(1).nonzero()[:, 0]
    live = waiting[:0]
    while len(live) or len(waiting):
        refill = batch_size - len(live)
        live, waiting = torch.cat([live, waiting[:refill]]), waiting[refill:]
        t = grid[pending[live].amin(1)].float()
        states = timeless.body(x[live], t) if timeless and process.thins else None
        going = torch.ones_like(live, dtype=torch.bool)
        while going.any():
            # Every row goes to its own next candidate. Rows of one call are at different times,
            # which a denoiser must be able to take.
            place = going.nonzero()[:, 0]
            step = pending[live[place]].amin(1)
            where = pending[live[place]] == step[:, None]
            chosen = _within_budget(where, process.vocab_size)
            place, step, where = place[chosen], step[chosen], where[chosen]
            now, t = live[place], grid[step].float()
            row, position = where.nonzero(as_tuple=True)
            at = (now[row], position)
            if timeless is None or states is None:
                log_p = log_probs(x[now], t, where)
            else:
                log_p = timeless.head(states[place[row], position], x[at])
            # One token tells: a softmax with a NaN in it is NaN everywhere.
            if log_p[:, 0].isnan().any():
                raise AttractorError(
                    f"the denoiser's distributions are NaN at t = {t.max().item():.3g} or below"
                )
            if callback is not None:
                callback(Event(now, t, x[now], where, log_p))
            k = step[row]
            # Step 0 of the noise has given the first candidates, so step k of the grid is k + 1
            # there. Of its four numbers three decide the jump, and the last where the next
            # candidate is.
            u = noise.uniform(rows[at[0]], position, k + 1)
            moved = process.jump(x[at], log_p, alpha[k + 1], alpha[k], u[:, :3])
            if noise_removal == "greedy":
                moved = torch.where(k == last, log_p.argmax(-1), moved)
            going[place[row[moved != x[at]]]] = False
            x[at] = moved
            # A token that has become one of another kind has another coin from here on.
            pending[at] = candidates.invert(k, u[:, 3], process.kind(moved))
            going &= (pending[live] <= last).any(1)
            if states is None:  # nothing that was said is kept
                break
        live = live[(pending[live] <= last).any(1)]
    return x


def settle(
    process: ForwardProcess,
    blocks: Blocks,
    x_t: Int[Tensor, "N L"],
    grid: Float[Tensor, "S"],
    noise_removal: NoiseRemoval = "ancestral",
    batch_size: int = 64,
    frozen: Bool[Tensor, "N L"] | None = None,
) -> Int[Tensor, "N L"]:
    """The deterministic reverse process: the likeliest entry of the posterior at each step.

    It has no coins. Steps at which the likeliest entry is the token itself whatever the network
    says are not computed.

    Args:
        process: the token noise.
        blocks: the denoiser's distributions in parts.
        x_t: tokens at time grid[0].
        grid: descending times, see `time_grid`.
        noise_removal: the last step, to t = 0: "ancestral" takes the likeliest entry of the
            posterior there too, "greedy" the likeliest token of the network.
        batch_size: sequences in one call of the network.
        frozen: tokens that never move; none unless given.

    Returns:
        The sequences at t = 0.
    """
    # On a fine grid nearly all steps are frozen: a token leaves its place only if, within one step,
    # leaving can be likelier than staying, which it is towards the end alone.
    alpha = torch.cat([process.schedule.alpha(grid), grid.new_ones(1)])
    movable = (~process.frozen(alpha[1:], alpha[:-1])).nonzero()[:, 0].tolist()
    last = len(grid) - 1

    def likeliest(log_p: Tensor, noisy: Tensor, a_s: Tensor, a_t: Tensor) -> Tensor:
        # In double precision: near the end 1 - alpha is 1e-5, of which a single one keeps two
        # digits.
        p = log_p[:, None].double().exp()
        return _likeliest(process.posterior(noisy[:, None], p, a_s, a_t)[:, 0], noisy)

    x_t, free = x_t.clone(), torch.ones_like(x_t, dtype=torch.bool) if frozen is None else ~frozen
    # Parts of `x_t` itself, which are filled in place.
    for x, moving in zip(x_t.split(batch_size), free.split(batch_size), strict=True):
        for k in movable:
            asked = moving & ~process.settled(x)
            if not asked.any():
                continue
            t, now = grid[k].float().to(x.device).expand(len(x)), x[asked]
            found = blocks(x, t, asked)
            if k == last and noise_removal == "greedy":
                x[asked] = reduce_blocks(found, _argmax, now)
            else:
                a_t, a_s = (alpha[i].to(x.device).expand(len(now)) for i in (k, k + 1))
                x[asked] = reduce_blocks(found, likeliest, now, a_s, a_t)
    return x_t


def _argmax(log_p: Float[Tensor, "M V"], noisy: Int[Tensor, "M"]) -> Int[Tensor, "M"]:
    return log_p.argmax(-1)


def _likeliest(posterior: Float[Tensor, "M V"], x_t: Int[Tensor, "M"]) -> Int[Tensor, "M"]:
    """x_t where it is likelier than every other entry beyond rounding; else the likeliest other.

    Ties are no accident: half-way between two patterns a memorizer finds both equally likely, and
    rounding must not say which. Nothing is stored there, so what is no more than a tie moves.
    """
    own = posterior.gather(-1, x_t[:, None])
    other = posterior.scatter(-1, x_t[:, None], -1).max(-1)
    return torch.where(own[:, 0] > other.values * (1 + TIE), x_t, other.indices)


class _Candidates:
    """Draws the steps at which coins come up, by inversion of their survival function, one for each
    kind of token."""

    def __init__(self, process: ForwardProcess, grid: Tensor, noise: Noise, seq_len: int) -> None:
        alpha = process.schedule.alpha(grid)
        alpha_s = torch.cat([alpha[1:], alpha.new_ones(1)])
        coins = [process.coin(alpha_s, alpha, kind).clamp(max=1) for kind in range(process.kinds)]
        # Entry m + 1 is log P(no coin came up at steps 0 ... m), entry 0 is 0. At the last step the
        # noise goes to zero and a coin may be 1: its logarithm of minus infinity is meant.
        self.log_survival = [
            torch.cat([alpha.new_zeros(1), torch.log1p(-coin).cumsum(0)]) for coin in coins
        ]
        self.last = len(grid) - 1
        self.process, self.noise, self.seq_len = process, noise, seq_len

    def first(self, rows: Int[Tensor, "N"], x: Int[Tensor, "N L"]) -> Int[Tensor, "N L"]:
        """The step of the first candidate of every position of every sequence."""
        # From before step 0, where the survival function is one.
        position = torch.arange(self.seq_len, device=x.device).expand(x.shape)
        u = self.noise.uniform(rows[:, None].expand(x.shape), position, torch.zeros_like(x))
        return self.invert(torch.full_like(x, -1), u[..., 3], self.process.kind(x))

    def invert(
        self, step: Int[Tensor, "*n"], uniform: Float[Tensor, "*n"], kind: Int[Tensor, "*n"]
    ) -> Int[Tensor, "*n"]:
        """The step of the next candidate after `step`; beyond the last one when there is none.

        P(next > m) is the product of 1 - coin over the steps after `step` up to m: the next
        candidate is the first m whose product is no more than `uniform`.
        """
        following = torch.full_like(step, self.last + 1)
        for k, log_survival in enumerate(self.log_survival):
            # That product is exp(log_survival[m + 1] - log_survival[step + 1]). The signs are
            # turned since `searchsorted` wants ascending numbers.
            level = (log_survival[step + 1] + uniform.log()).contiguous()
            found = torch.searchsorted(-log_survival, -level) - 1
            following = torch.where(kind == k, found, following)
        # After the last step nothing follows, and its level may be minus infinity.
        return torch.where(step < self.last, following, self.last + 1)


def _within_budget(
    where: Bool[Tensor, "R L"], vocab_size: int, entries: int = 2**25
) -> Bool[Tensor, "R"]:
    """Which rows to run now, so that the output layer makes at most `entries` numbers (128 MiB in
    float32); the others can wait."""
    # Near the end all positions of all rows are candidates at once. One row runs in any case, or
    # nothing would ever move; that rows wait changes no result, since their noise is counted.
    made = where.sum(1).cumsum(0) * vocab_size
    chosen = made <= entries
    chosen[0] = True
    return chosen

"""A denoiser that does not depend on time runs once for each change of a row, with the same draws
and the same result to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.model.sharpened import Sharpened
from attractor.probes import recovery
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import NoiseRemoval, reverse, time_grid
from attractor.process.uniform import UniformProcess

V, L, N = 9, 8, 5
PROCESSES: dict[str, ForwardProcess] = {
    "uniform": UniformProcess(V),
    "absorbing": AbsorbingProcess(V),
    "hybrid": HybridProcess(V, uniform_share=0.4),
}
every = pytest.mark.parametrize("name", PROCESSES)
ROWS = torch.randint(V - 1, (N, L), generator=torch.Generator().manual_seed(1))


class Counting(Denoiser):
    """Distributions of the tokens alone, rather sure of themselves; counts the rows it is asked
    about, whole and by halves."""

    def __init__(self, process: ForwardProcess, time_conditioned: bool = False) -> None:
        self.process, self.time_conditioned, self.seq_len = process, time_conditioned, L
        source = torch.Generator().manual_seed(0)
        self.table = 4 * torch.randn(13, L, V, generator=source, dtype=torch.float64)
        self.rows = self.tokens = 0

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Of a table, by place and by the sum of the row."""
        self.rows += len(x_t)
        log_p = self.process.text.restrict(self.table[x_t.sum(1) % 13]).log_softmax(-1)
        return log_p if where is None else log_p[where]

    def head(self, states: Tensor, x_t: Tensor) -> Tensor:
        """What was said."""
        self.tokens += len(x_t)
        return states


@pytest.mark.slow
@every
@pytest.mark.parametrize("removal", ["ancestral", "greedy"])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_it_is_the_same_result(name: str, removal: NoiseRemoval, batch_size: int) -> None:
    process, noise = PROCESSES[name], CountedNoise(0, "test")
    rows, grid = row_address(N), time_grid(0.6, 60)
    x_t = process.corrupt(
        ROWS, torch.full((N,), 0.6), CountedNoise(1, "test").grid(rows, L)[..., :2]
    )
    ends, seen = [], []
    for kept in (False, True):
        denoiser, events = Counting(process), []

        def watch(event: Any, events: list[Any] = events) -> None:
            row, place = event.where.nonzero(as_tuple=True)
            t, p = event.t[row].tolist(), event.log_probs
            events += zip(event.rows[row].tolist(), t, place.tolist(), p.tolist(), strict=True)

        end = reverse(
            process,
            denoiser.log_probs,
            x_t,
            grid,
            noise,
            rows,
            removal,
            batch_size,
            watch,
            timeless=denoiser if kept else None,
        )
        ends.append(end)
        # Rows keep clocks of their own: each sees the same, in the same order.
        seen.append(sorted(events, key=lambda e: (e[0], -e[1], e[2])))
    assert torch.equal(*ends)
    assert seen[0] == seen[1]


@every
def test_it_runs_once_for_each_change_of_a_row(name: str) -> None:
    process, denoiser = PROCESSES[name], Counting(PROCESSES[name])
    states: dict[int, list[tuple[int, ...]]] = {i: [] for i in range(N)}

    def watch(event: Any) -> None:
        for row, x in zip(event.rows.tolist(), event.x_t.tolist(), strict=True):
            if not states[row] or states[row][-1] != tuple(x):
                states[row].append(tuple(x))

    found = recovery(denoiser, ROWS, 0.7, 100, callback=watch)
    different = sum(len(way) for way in states.values())
    candidates = Counting(process, time_conditioned=True)
    same = recovery(candidates, ROWS, 0.7, 100)
    assert torch.equal(found.recovered, same.recovered)
    assert denoiser.rows == different
    if name == "absorbing":  # every candidate is a change there
        assert denoiser.rows == candidates.rows <= int(found.perturbed.sum())
        assert not denoiser.tokens
    else:
        assert denoiser.rows < candidates.rows


def test_a_memorizer_runs_once_for_each_token_that_it_restores() -> None:
    """Beside a first look at each row. At time t a share t of all redraws is from the noise, so
    that a token takes 1.3 moves in the mean from t = 1/2: that of 33 tokens 2 are taken is an
    accident of 1e-7."""
    process = UniformProcess(200)
    certain, dense = Counting(process), Counting(process, time_conditioned=True)
    table = torch.full((13, L, 200), -20.0, dtype=torch.float64)
    table[:, torch.arange(L), ROWS[0]] = 0.0
    certain.table = dense.table = table
    found = recovery(certain, ROWS[:1].expand(10, -1), 0.5, 300)
    assert found.rate == 1
    assert certain.rows <= 2 * int(found.perturbed.sum()) + 10
    recovery(dense, ROWS[:1].expand(10, -1), 0.5, 300)
    assert certain.rows < 0.3 * dense.rows


@every
def test_a_network_is_asked_by_halves(name: str) -> None:
    """To rounding: the output layer sees rows in other company."""
    process = PROCESSES[name]
    torch.manual_seed(0)
    network = DDiT(V, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8, dropout=0.0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    denoiser = NetworkDenoiser(network, process, L, time_conditioning=False)
    assert not denoiser.time_conditioned
    x_t, t = process.prior(CountedNoise(0, "x").grid(row_address(N), L)[..., :2]), torch.rand(N)
    where = torch.rand(N, L) < 0.3
    for one in (denoiser, Sharpened(denoiser, 0.5, 0.9)):
        assert one.time_conditioned is False
        whole = one.log_probs(x_t, t, where)
        halves = one.head(one.body(x_t, t)[where], x_t[where])
        torch.testing.assert_close(halves.exp(), whole.exp(), rtol=1e-4, atol=1e-6)
        grid, noise, rows = time_grid(1.0, 30), CountedNoise(0, "test"), row_address(N)
        ends = [
            reverse(process, one.log_probs, x_t, grid, noise, rows, timeless=kept)
            for kept in (None, one)
        ]
        assert torch.equal(*ends)

"""The event-driven reverse process has the law of dense ancestral sampling, and its result depends
on the row alone."""

from __future__ import annotations

import pytest
import torch
from exact import STATES, Exact, joint_law
from scipy import stats
from torch import Tensor

from attractor import AttractorError, Denoiser, LogLinear, UniformProcess
from attractor.probes import recovery
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import Event, NoiseRemoval, reverse, settle, time_grid


def dense_transition(denoiser: Denoiser, grid: Tensor) -> Tensor:
    """The exact matrix from x at grid[0] to x_0, (9, 9): dense posteriors multiplied step by
    step."""
    schedule = denoiser.process.schedule
    alpha = torch.cat([schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    total = torch.eye(len(STATES), dtype=torch.float64)
    for k in range(len(grid)):
        t = grid[k].expand(len(STATES))
        p = denoiser.log_probs(STATES, t).exp()
        q = denoiser.process.posterior(STATES, p, alpha[k + 1].expand(9), alpha[k].expand(9))
        total = total @ (q[:, 0, STATES[:, 0]] * q[:, 1, STATES[:, 1]])
    return total


def event_transition(denoiser: Denoiser, grid: Tensor) -> Tensor:
    """The same matrix from coins and jumps: independent coins for each position, moves only where
    they came up."""
    process = denoiser.process
    alpha = torch.cat([process.schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    total = torch.eye(len(STATES), dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    for k in range(len(grid)):
        a, b = alpha[k], alpha[k + 1]
        p = denoiser.log_probs(STATES, grid[k].expand(len(STATES))).exp()
        coin = process.coin(b, a)
        p_z = p.gather(-1, STATES[..., None])
        moves = (1 - a) / (3 * a * p_z + 1 - a)
        informed = (b - a) / ((b - a) + (1 - a / b) * (1 - b))
        jump = moves * (informed * p + (1 - informed) / 3) + (1 - moves) * eye[STATES]
        q = coin * jump + (1 - coin) * eye[STATES]
        total = total @ (q[:, 0, STATES[:, 0]] * q[:, 1, STATES[:, 1]])
    return total


@pytest.mark.parametrize(("t", "steps"), [(1.0, 7), (0.5, 16), (0.1, 40)])
def test_coins_and_jumps_enumerate_to_dense_ancestral_sampling(t: float, steps: int) -> None:
    denoiser, grid = Exact(joint_law()), time_grid(t, steps)
    dense, events = dense_transition(denoiser, grid), event_transition(denoiser, grid)
    torch.testing.assert_close(events, dense, rtol=0, atol=1e-12)
    torch.testing.assert_close(dense.sum(1), torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize(("a", "b"), [(0.001, 0.3), (0.4, 0.45), (0.9, 0.95), (0.6, 1.0)])
def test_coin_and_jump_as_they_are_run_are_the_posterior(a: float, b: float) -> None:
    """No samples: the jump at every point of a lattice of its three numbers, each axis of which
    resolves 1 / 50."""
    process, axis = UniformProcess(3), (torch.arange(50, dtype=torch.float64) + 0.5) / 50
    u = torch.cartesian_prod(axis, axis, axis)
    a_t, a_s = (torch.full((len(u),), x, dtype=torch.float64) for x in (a, b))
    p = torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64)
    for z in range(3):
        x = torch.full((len(u),), z)
        jump = torch.bincount(
            process.jump(x, p.log().expand(len(u), 3), a_s, a_t, u), minlength=3
        ) / len(u)
        coin = process.coin(a_s[:1], a_t[:1])
        law = coin * jump + (1 - coin) * torch.eye(3, dtype=torch.float64)[z]
        posterior = process.posterior(x[:1, None], p[None, None], a_s[:1], a_t[:1])[0, 0]
        torch.testing.assert_close(law, posterior, rtol=0, atol=1.5 / 50)


@pytest.mark.parametrize(("t", "steps"), [(1.0, 5), (0.4, 20)])
def test_samples_follow_the_exact_transition_matrix(t: float, steps: int) -> None:
    """Chi-square for each of the nine starting points at level 1e-4 / 9."""
    denoiser, grid, n = Exact(joint_law()), time_grid(t, steps), 4000
    law = dense_transition(denoiser, grid)
    start = STATES.repeat_interleave(n, 0)
    noise = CountedNoise(0, "test", t)
    end = reverse(
        denoiser.process,
        denoiser.log_probs,
        start,
        grid,
        noise,
        row_address(len(start)),
        batch_size=4096,
    )
    for i in range(9):
        found = torch.bincount(end[i * n : (i + 1) * n] @ torch.tensor([3, 1]), minlength=9).numpy()
        assert stats.chisquare(found, n * law[i].numpy()).pvalue > 1e-4 / 9


@pytest.mark.parametrize(("t", "steps"), [(1.0, 5), (0.4, 20)])
def test_dense_samples_follow_it_too(t: float, steps: int) -> None:
    """What the coins replace: the whole posterior at every step. Chi-square at level 1e-4 / 9, as
    above."""
    denoiser, grid, n = Exact(joint_law()), time_grid(t, steps), 4000
    schedule = denoiser.process.schedule
    alpha = torch.cat([schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    x, generator = STATES.repeat_interleave(n, 0), torch.Generator().manual_seed(0)
    for k in range(len(grid)):
        now, later = (alpha[i].expand(len(x)) for i in (k, k + 1))
        q = denoiser.process.posterior(
            x, denoiser.log_probs(x, grid[k].expand(len(x))).exp(), later, now
        )
        x = torch.multinomial(q.flatten(0, 1), 1, generator=generator).view(x.shape)
    law = dense_transition(denoiser, grid)
    for i in range(9):
        found = torch.bincount(x[i * n : (i + 1) * n] @ torch.tensor([3, 1]), minlength=9).numpy()
        assert stats.chisquare(found, n * law[i].numpy()).pvalue > 1e-4 / 9


def test_an_exact_denoiser_generates_its_own_law_as_the_grid_gets_finer() -> None:
    """Total variation between what is generated and the law halves, and better, each time the steps
    are doubled."""
    law = joint_law()
    denoiser = Exact(law)
    distance = [
        (dense_transition(denoiser, time_grid(1.0, steps)).mean(0) - law).abs().sum().item() / 2
        for steps in (50, 100, 200)
    ]
    assert distance[1] < 0.6 * distance[0]
    assert distance[2] < 0.6 * distance[1] < 0.01


@pytest.mark.slow
def test_results_do_not_depend_on_the_batch() -> None:
    denoiser, grid = Exact(joint_law()), time_grid(0.8, 50)
    start, rows = STATES.repeat(10, 1), row_address(90)

    def run(chosen: Tensor, batch_size: int) -> Tensor:
        noise = CountedNoise(3, "test")
        return reverse(
            denoiser.process,
            denoiser.log_probs,
            start[chosen],
            grid,
            noise,
            rows[chosen],
            batch_size=batch_size,
        )

    whole = run(rows, 64)
    for batch_size in (1, 7, 90):
        assert torch.equal(run(rows, batch_size), whole)
    assert torch.equal(run(rows[50:], 64), whole[50:])
    assert torch.equal(run(rows.flip(0), 16), whole.flip(0))


def test_no_sequence_in_a_call_is_refused() -> None:
    denoiser = Exact(joint_law())
    for batch_size in (0, -3):
        with pytest.raises(AttractorError, match=f"batch_size = {batch_size}"):
            recovery(denoiser, STATES, 0.5, steps=3, batch_size=batch_size)


def test_distributions_that_are_no_numbers_are_an_error() -> None:
    denoiser, grid = Exact(joint_law() * torch.nan), time_grid(0.5, 3)
    with pytest.raises(AttractorError, match="NaN at t = "):
        reverse(
            denoiser.process, denoiser.log_probs, STATES, grid, CountedNoise(0, "x"), row_address(9)
        )


def test_network_runs_only_for_candidates_and_the_callback_sees_them() -> None:
    denoiser, steps, n = Exact(joint_law()), 1000, 50
    events: list[Event] = []
    start = STATES.repeat(6, 1)[:n]
    grid = time_grid(1.0, steps)
    noise = CountedNoise(0, "x")
    reverse(
        denoiser.process,
        denoiser.log_probs,
        start,
        grid,
        noise,
        row_address(n),
        callback=events.append,
    )
    positions = sum(int(event.where.sum()) for event in events)
    assert all(
        event.where.any(1).all() and len(event.log_probs) == event.where.sum() for event in events
    )
    # Candidates are known without a network: one at the end, and the sum of the coins before.
    alpha = torch.cat([LogLinear().alpha(grid), torch.ones(1, dtype=torch.float64)])
    coins = UniformProcess(3).coin(alpha[1:], alpha[:-1])
    mean, deviation = (
        2 * n * coins.sum().item(),
        (2 * n * (coins * (1 - coins)).sum().item()) ** 0.5,
    )
    assert abs(positions - mean) < 5 * deviation
    assert sum(len(event.rows) for event in events) < 0.05 * n * steps
    assert min(event.t.min().item() for event in events) == pytest.approx(1e-5)


def test_greedy_noise_removal_takes_the_likeliest_token() -> None:
    denoiser = Exact(joint_law())
    grid = torch.tensor([1e-5], dtype=torch.float64)
    end = reverse(
        denoiser.process,
        denoiser.log_probs,
        STATES,
        grid,
        CountedNoise(0, "x"),
        row_address(9),
        noise_removal="greedy",
    )
    assert torch.equal(end, denoiser.log_probs(STATES, grid.expand(9)).argmax(-1))


@pytest.mark.parametrize("noise_removal", ["ancestral", "greedy"])
def test_settle_is_the_dense_argmax_loop(noise_removal: NoiseRemoval) -> None:
    """Skipping the steps that no network can move changes nothing."""
    denoiser = Exact(joint_law())
    for steps in (3, 20, 200):
        grid = time_grid(1.0, steps)
        alpha = torch.cat([denoiser.process.schedule.alpha(grid), torch.ones(1)])
        x = STATES
        for k in range(len(grid)):
            p = denoiser.log_probs(x, grid[k].expand(9)).exp()
            posterior = denoiser.process.posterior(x, p, alpha[k + 1].expand(9), alpha[k].expand(9))
            greedy = noise_removal == "greedy" and k == len(grid) - 1
            x = p.argmax(-1) if greedy else posterior.argmax(-1)
        settled = settle(denoiser.process, denoiser.blocks, STATES, grid, noise_removal)
        assert torch.equal(settled, x)


def test_grid_starts_at_the_smallest_time_not_below_t() -> None:
    full = time_grid(1.0, 1000)
    assert len(full) == 1001
    assert full[-1].item() == pytest.approx(1e-5)
    for t in (0.05, 0.15, 0.5, 0.99999, 1e-5):
        grid = time_grid(t, 1000)
        assert grid[0] >= t - 1e-12
        assert len(grid) == 1 or grid[1] < t
    for t in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(AttractorError, match=r"outside \(0, 1\]"):
            time_grid(t, 10)
    with pytest.raises(AttractorError, match="steps = 0"):
        time_grid(0.5, 0)

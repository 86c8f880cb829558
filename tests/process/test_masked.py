"""The processes with a mask, absorbing and hybrid, against enumeration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from enumerated import MASK, PROCESSES, STATES, TEXT, Exact, V, channel, noise
from exact import joint_law
from scipy import stats
from torch import Tensor

from attractor import AttractorError, LogLinear
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.chunked import Tokens
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import GiddSchedule, HybridProcess, MixtureProcess
from attractor.process.noise import CountedNoise, row_address
from attractor.process.registry import make_process, process_from_settings, process_settings
from attractor.process.reverse import reverse, settle, time_grid
from attractor.process.uniform import UniformProcess

both = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES.keys())


def at(*times: float) -> tuple[Tensor, ...]:
    schedule = LogLinear(1e-6)
    return tuple(schedule.alpha(torch.tensor([t], dtype=torch.float64)) for t in times)


def later(process: ForwardProcess, b: Tensor, a: Tensor) -> Tensor:
    """q(x_t | x_s), (B, V, V), for alpha_s = b and alpha_t = a."""
    share = (a / b)[:, None]
    arrived = noise(process, a) - share * noise(process, b)
    return share[..., None] * torch.eye(V, dtype=a.dtype) + arrived[:, None]


@both
def test_noise_is_a_markov_chain(process: ForwardProcess) -> None:
    """From s to t noise only arrives, so the marginals are those of a chain: every entry of it is a
    probability."""
    a, b = at(0.7, 0.3)
    chain = later(process, b, a)[0]
    assert (chain >= 0).all()
    torch.testing.assert_close(
        channel(process, b)[0, :3] @ chain, channel(process, a)[0, :3], rtol=0, atol=1e-14
    )
    torch.testing.assert_close(chain.sum(1), torch.ones(V, dtype=torch.float64))


@both
@pytest.mark.parametrize("times", [(0.9, 0.899), (0.3, 0.2), (1.0, 0.5), (1e-5, 0.0)])
def test_posterior_is_bayes_rule_for_a_known_token(
    process: ForwardProcess, times: tuple[float, float]
) -> None:
    a, b = at(*times)
    to_s, s_to_t, to_t = channel(process, b)[0], later(process, b, a)[0], channel(process, a)[0]
    for x_0 in range(3):
        known = torch.eye(V, dtype=torch.float64)[x_0].view(1, 1, V)
        for x_t in range(V):
            if to_t[x_0, x_t] > 0:
                bayes = to_s[x_0] * s_to_t[:, x_t] / to_t[x_0, x_t]
                found = process.posterior(torch.tensor([[x_t]]), known, b, a)[0, 0]
                torch.testing.assert_close(found, bayes, rtol=1e-9, atol=1e-12)


@both
def test_corrupted_tokens_follow_the_forward_law(process: ForwardProcess) -> None:
    """Chi-square at level 1e-4; tokens of probability zero never come."""
    n, t = 40_000, 0.6
    u = torch.rand(n, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_t = process.corrupt(torch.full((n, 1), 1), torch.full((n,), t, dtype=torch.float64), u)
    same_law(x_t[:, 0], channel(process, at(t)[0])[0, 1], 1e-4)
    prior = process.prior(u)
    same_law(prior[:, 0], noise(process, at(1.0)[0])[0], 1e-4)


def same_law(tokens: Tensor, law: Tensor, level: float) -> None:
    counts = torch.bincount(tokens, minlength=len(law)).numpy()
    possible = law.numpy() > 1e-15
    assert not counts[~possible].any()
    expected = law.numpy()[possible] / law.numpy()[possible].sum() * counts.sum()
    assert possible.sum() == 1 or stats.chisquare(counts[possible], expected).pvalue > level


@both
@pytest.mark.parametrize("times", [(0.9, 0.8), (0.3, 0.2), (1.0, 0.5), (1e-5, 0.0)])
def test_coin_and_jump_together_are_the_posterior(
    process: ForwardProcess, times: tuple[float, float]
) -> None:
    """Chi-square at level 1e-4 / 4; and, exactly, that what does not stay fits under the coin."""
    (a, b), n = at(*times), 100_000
    generator = torch.Generator().manual_seed(1)
    p = torch.tensor([0.2, 0.7, 0.1, 0.0], dtype=torch.float64)
    for z in range(V):
        x_t = torch.full((n,), z)
        u = torch.rand(n, 4, generator=generator, dtype=torch.float64)
        moved = process.jump(x_t, p.log().expand(n, V), b.expand(n), a.expand(n), u[:, :3])
        coin = process.coin(b, a, int(process.kind(x_t[:1])))
        posterior = process.posterior(x_t[:1, None], p.view(1, 1, V), b, a)[0, 0]
        assert 1 - posterior[z] <= coin + 1e-12
        same_law(torch.where(u[:, 3] < coin, moved, x_t), posterior, 1e-4 / 4)


def dense_transition(denoiser: Exact, grid: Tensor) -> Tensor:
    """The exact matrix from x at grid[0] to x_0, (16, 16): dense posteriors multiplied step by
    step."""
    alpha = torch.cat([denoiser.process.schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    total, n = torch.eye(len(STATES), dtype=torch.float64), len(STATES)
    for k in range(len(grid)):
        p = denoiser.log_probs(STATES, grid[k].expand(n)).exp()
        q = denoiser.process.posterior(STATES, p, alpha[k + 1].expand(n), alpha[k].expand(n))
        total = total @ (q[:, 0, STATES[:, 0]] * q[:, 1, STATES[:, 1]])
    return total


def event_transition(denoiser: Exact, grid: Tensor) -> Tensor:
    """The same from coins, with what follows one written out: move with m(z) / (a p_z + m(z)) to b
    p + m(s)."""
    process = denoiser.process
    alpha = torch.cat([process.schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    eye, masked = torch.eye(V, dtype=torch.float64), STATES == MASK
    total = torch.eye(len(STATES), dtype=torch.float64)
    for k in range(len(grid)):
        a, b = alpha[k : k + 1], alpha[k + 1 : k + 2]
        p = denoiser.log_probs(STATES, grid[k].expand(len(STATES))).exp()
        coin = torch.where(masked, process.coin(b, a, 1), process.coin(b, a, 0))[..., None]
        noise_z = noise(process, a)[0][STATES][..., None]
        moves = (noise_z / (a * p.gather(-1, STATES[..., None]) + noise_z)).nan_to_num()
        target = (b * p + noise(process, b)[0]).expand(*STATES.shape, V)
        target = torch.where(
            masked[..., None] & (torch.arange(V) == MASK), 0, target
        )  # a mask moves to text
        target = target / target.sum(-1, keepdim=True)
        q = coin * (moves * target + (1 - moves) * eye[STATES]) + (1 - coin) * eye[STATES]
        total = total @ (q[:, 0, STATES[:, 0]] * q[:, 1, STATES[:, 1]])
    return total


@both
@pytest.mark.parametrize(("t", "steps"), [(1.0, 7), (0.5, 16), (0.1, 40)])
def test_coins_and_jumps_enumerate_to_dense_ancestral_sampling(
    process: ForwardProcess, t: float, steps: int
) -> None:
    denoiser, grid = Exact(process, joint_law()), time_grid(t, steps)
    dense, events = dense_transition(denoiser, grid), event_transition(denoiser, grid)
    torch.testing.assert_close(events, dense, rtol=0, atol=1e-10)
    torch.testing.assert_close(dense.sum(1), torch.ones(16, dtype=torch.float64))
    assert dense[:, (STATES == MASK).any(1)].abs().max() < 1e-12  # nothing is left masked


@both
@pytest.mark.parametrize(("t", "steps"), [(1.0, 5), (0.4, 20)])
def test_samples_follow_the_exact_transition_matrix(
    process: ForwardProcess, t: float, steps: int
) -> None:
    """Chi-square for each of the sixteen starting points at level 1e-4 / 16."""
    denoiser, grid, n = Exact(process, joint_law()), time_grid(t, steps), 4000
    law = dense_transition(denoiser, grid)
    start = STATES.repeat_interleave(n, 0)
    counted = CountedNoise(0, "test", t)
    end = reverse(
        process, denoiser.log_probs, start, grid, counted, row_address(len(start)), batch_size=4096
    )
    for i in range(16):
        same_law(end[i * n : (i + 1) * n] @ torch.tensor([V, 1]), law[i], 1e-4 / 16)


@pytest.mark.slow
@both
def test_the_nelbo_integrates_to_the_exact_likelihood(process: ForwardProcess) -> None:
    """Every x_t enumerated, t by quadrature; at t = 1 is left alpha = 1e-6 of the text."""
    law = joint_law()
    denoiser = Exact(process, law)
    u, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(200))
    total = torch.zeros(len(TEXT), dtype=torch.float64)
    for u_k, weight in zip((u + 1) / 2, weights / 2, strict=True):
        # t = 3 u^2 - 2 u^3: denser at both ends, where the rate of a hybrid process has square
        # roots
        t = (3 * u_k**2 - 2 * u_k**3).expand(len(STATES))
        alpha, dalpha = process.schedule.alpha(t), process.schedule.dalpha(t)
        log_p, q = denoiser.log_probs(STATES, t), channel(process, alpha[:1])[0]
        for i, x_0 in enumerate(TEXT):
            chance = q[x_0[0], STATES[:, 0]] * q[x_0[1], STATES[:, 1]]
            rate = process.nelbo(log_p, STATES, x_0.expand(len(STATES), 2), alpha, dalpha).sum(1)
            assert (rate >= -1e-12).all()
            total[i] += weight * 6 * (u_k - u_k**2) * (chance * rate).sum()
    torch.testing.assert_close(total, -law.log(), rtol=0, atol=1e-4)


def test_the_prior_cost_is_the_divergence_from_what_is_drawn_first() -> None:
    process = HybridProcess(V, uniform_share=0.4)
    alpha = process.schedule.alpha(torch.ones(1, dtype=torch.float64))
    left, first = channel(process, alpha)[0, 0], noise(process, alpha)[0] / (1 - alpha)
    assert process.prior_cost() == pytest.approx(
        (left * (left / first).log()).sum().item(), rel=1e-9
    )


@pytest.mark.parametrize(
    "process", [*PROCESSES.values(), UniformProcess(V)], ids=[*PROCESSES, "uniform"]
)
@pytest.mark.parametrize("bias", [True, False])
def test_the_loss_is_the_nelbo_with_its_gradient(
    process: ForwardProcess, bias: bool, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("attractor.process.reductions.CHUNK", 3 * V)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(10, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(V, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    b = (
        torch.randn(V, generator=generator, dtype=torch.float64, requires_grad=True)
        if bias
        else None
    )
    x_t, x_0 = (torch.randint(high, (10,), generator=generator) for high in (V, 3))
    t, row_weight = torch.rand(2, 10, generator=generator, dtype=torch.float64)
    alpha, dalpha = process.schedule.alpha(t), process.schedule.dalpha(t)
    found = process.loss(hidden, weight, b, Tokens(x_t, x_0, alpha, dalpha, row_weight))
    logits = hidden @ weight.T + (0 if b is None else b)
    log_p = (
        process.distribution(logits, x_t)
        if isinstance(process, MixtureProcess)
        else _text(process, logits)
    )
    rate = process.nelbo(log_p[:, None], x_t[:, None], x_0[:, None], alpha, dalpha)
    expected = (row_weight * rate[:, 0]).sum()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    inputs = [x for x in (hidden, weight, b) if x is not None]
    for a, e in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(a, e, rtol=1e-9, atol=1e-10)


def _text(process: ForwardProcess, logits: Tensor) -> Tensor:
    """Distributions without carrying visible tokens over, whose gradient is not a number."""
    return (
        process.text_logits(logits) if isinstance(process, AbsorbingProcess) else logits
    ).log_softmax(-1)


def test_a_batch_without_a_mask_costs_nothing() -> None:
    hidden = torch.randn(4, 5, requires_grad=True)
    tokens = Tokens(torch.zeros(4).long(), torch.zeros(4).long(), *torch.full((3, 4), 0.5))
    loss = PROCESSES["absorbing"].loss(hidden, torch.randn(V, 5), None, tokens)
    loss.backward()
    assert loss == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_hybrid_noise_is_that_of_gidd() -> None:
    """The published formulas in t; alpha as a clock gives the same shares, and its derivative is
    right."""
    vocab, share = 101, 0.2
    schedule, process = GiddSchedule(vocab, share), HybridProcess(vocab, uniform_share=share)
    t = torch.linspace(0.001, 0.999, 50, dtype=torch.float64, requires_grad=True)
    scale = 1 / (1 + (1 - share) / share * vocab / 2)
    c = scale * (t * (1 - t)).sqrt()
    total = 1 + (vocab - 2) * c
    found = process.noise(schedule.alpha(t))
    torch.testing.assert_close(schedule.alpha(t), (1 - t - c) / total)
    torch.testing.assert_close(found.text, c / total)
    torch.testing.assert_close(found.mask, t / total)
    (slope,) = torch.autograd.grad(schedule.alpha(t).sum(), t)
    torch.testing.assert_close(schedule.dalpha(t), slope)
    half = process.noise(schedule.alpha(torch.tensor([0.5], dtype=torch.float64)))
    assert half.text.item() == pytest.approx(share / vocab)


def test_hybrid_noise_becomes_absorbing_as_its_uniform_share_vanishes() -> None:
    absorbing, hybrid = AbsorbingProcess(V), HybridProcess(V, uniform_share=1e-12)
    (a, b), mask = at(0.6, 0.4), torch.tensor([[MASK]])
    p = torch.tensor([[[0.2, 0.7, 0.1, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(
        hybrid.posterior(mask, p, b, a), absorbing.posterior(mask, p, b, a), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(hybrid.coin(b, a, 1), absorbing.coin(b, a, 1), rtol=0, atol=1e-9)
    x_0, dalpha = torch.tensor([[1]]), torch.tensor([-1.0], dtype=torch.float64)
    exact = absorbing.nelbo(p.log(), mask, x_0, a, dalpha)
    torch.testing.assert_close(
        hybrid.nelbo(p.log(), mask, x_0, a, dalpha), exact, rtol=1e-9, atol=1e-9
    )


@both
def test_frozen_steps_cannot_be_moved_by_any_network(process: ForwardProcess) -> None:
    t = torch.linspace(1, 1e-5, 201, dtype=torch.float64)
    a, b = process.schedule.alpha(t[:-1]), process.schedule.alpha(t[1:])
    frozen = process.frozen(b, a)
    assert 0 < frozen.sum() < len(frozen)
    moved = torch.zeros_like(frozen)
    for z in range(V):
        for aim in range(3):
            p = torch.eye(V, dtype=torch.float64)[aim].expand(200, 1, V)
            moved |= process.posterior(torch.full((200, 1), z), p, b, a).argmax(-1)[:, 0] != z
    assert not (moved & frozen).any()
    if isinstance(process, AbsorbingProcess):
        assert torch.equal(moved, ~frozen)


def test_text_is_a_fixed_point_of_the_absorbing_process() -> None:
    process = PROCESSES["absorbing"]

    def blocks(x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Iterator[Tensor]:
        yield process.distribution(torch.zeros(x_t.numel(), V), x_t.flatten())

    assert torch.equal(settle(process, blocks, TEXT, time_grid(0.5, 50)), TEXT)


def test_distributions_never_hold_the_mask_and_visible_tokens_are_carried_over() -> None:
    logits = torch.randn(2, 3, V, generator=torch.Generator().manual_seed(0))
    x_t = torch.tensor([[0, MASK, 2], [MASK, 1, 1]])
    for process in PROCESSES.values():
        p = process.distribution(logits, x_t).exp()
        torch.testing.assert_close(p.sum(-1), torch.ones(2, 3))
        assert not p[..., MASK].any()
        seen = x_t != MASK
        carried = p[seen].gather(-1, x_t[seen][:, None])
        assert (carried == 1).all() == isinstance(process, AbsorbingProcess)


def test_processes_are_built_again_from_their_settings() -> None:
    for name in ("uniform", "absorbing", "hybrid"):
        made = make_process(name, 10, 0.3)
        again = process_from_settings(process_settings(made), made.vocab_size)
        assert type(again) is type(made)
        assert vars(again) == vars(made)
        assert made.text_size == 10
    with pytest.raises(AttractorError, match="unknown process 'gaussian'"):
        process_from_settings({"name": "gaussian", "eps": 1e-3}, 4)
    with pytest.raises(AttractorError, match="incomplete: KeyError"):
        process_from_settings({"name": "hybrid", "eps": 1e-3}, 4)
    with pytest.raises(AttractorError, match="GiddSchedule is not a schedule"):
        process_settings(HybridProcess(101, GiddSchedule(101, 0.2)))


def test_a_mask_in_the_middle_of_the_vocabulary_is_no_text() -> None:
    process = HybridProcess(V, mask_id=1)
    u = torch.rand(1000, 1, 2, generator=torch.Generator().manual_seed(0))
    x_t = process.corrupt(torch.zeros(1000, 1).long(), torch.full((1000,), 0.3), u)
    assert set(x_t.flatten().tolist()) == {0, 1, 2, 3}
    assert process.text_size == V


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AbsorbingProcess(4, mask_id=4), "mask_id = 4 is outside the vocabulary of 4"),
        (lambda: HybridProcess(4, uniform_share=0.0), r"uniform_share = 0.0 is outside \(0, 1\)"),
        (lambda: HybridProcess(2), "vocab_size = 2 is too small"),
        (lambda: GiddSchedule(10, 0.9), "does not keep alpha positive"),
    ],
)
def test_bad_settings_are_named(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AttractorError, match=message):
        make()

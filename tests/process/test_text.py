"""Which ids are text, and which tokens never move: for all three kinds of noise, by enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scattered import COMPACT, MASK, PROCESSES, SAME, TEXT, Exact, V, channel, joint_law, states
from scipy import stats
from torch import Tensor

from attractor import AttractorError
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.chunked import Tokens
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess
from attractor.process.noise import CountedNoise, row_address
from attractor.process.registry import process_from_settings, process_settings
from attractor.process.reverse import reverse, settle, time_grid
from attractor.process.text import TextIds
from attractor.process.uniform import UniformProcess

every = pytest.mark.parametrize("name", PROCESSES)
PROMPT = torch.tensor([True, False, False])


def wide(values: Tensor, process: ForwardProcess) -> Tensor:
    """Numbers of the ids of a compact process at the ids they stand for, zero elsewhere."""
    found = torch.zeros(*values.shape[:-1], V, dtype=values.dtype)
    found[..., SAME[: process.vocab_size]] = values
    return found


@every
def test_noise_among_scattered_ids_is_that_among_few(name: str) -> None:
    """Corruption, prior, coin, jump to the bit; posterior and NELBO to rounding."""
    process, small = PROCESSES[name], COMPACT[name]
    source = torch.Generator().manual_seed(0)
    n = 400
    x_0 = torch.randint(3, (n, 2), generator=source)
    t = torch.rand(n, generator=source, dtype=torch.float64).clamp(min=0.01)
    u = torch.rand(n, 2, 3, generator=source, dtype=torch.float64)
    x_t = small.corrupt(x_0, t, u[..., :2])
    assert torch.equal(process.corrupt(SAME[x_0], t, u[..., :2]), SAME[x_t])
    assert torch.equal(process.prior(u[..., :2]), SAME[small.prior(u[..., :2])])
    assert process.prior_cost() == pytest.approx(small.prior_cost(), rel=1e-12)

    logits = torch.randn(n, 2, small.vocab_size, generator=source, dtype=torch.float64)
    few = small.distribution(logits, x_t)
    others = torch.randn(n, 2, V, generator=source, dtype=torch.float64)
    others[..., SAME[: small.vocab_size]] = logits
    many = process.distribution(others, SAME[x_t])
    torch.testing.assert_close(many.exp(), wide(few.exp(), small), rtol=0, atol=1e-15)

    a, da = process.schedule.alpha(t), process.schedule.dalpha(t)
    b = a + 0.3 * (1 - a)
    posterior = process.posterior(SAME[x_t], many.exp(), b, a)
    expected = wide(small.posterior(x_t, few.exp(), b, a), small)
    torch.testing.assert_close(posterior, expected, rtol=0, atol=1e-14)
    assert torch.equal(process.frozen(b, a), small.frozen(b, a))
    for kind in range(process.kinds):
        assert torch.equal(process.coin(b, a, kind), small.coin(b, a, kind))
    jumps = [
        p.jump(z[:, 0], log_p[:, 0], b, a, u[:, 0])
        for p, z, log_p in ((process, SAME[x_t], many), (small, x_t, few))
    ]
    assert torch.equal(jumps[0], SAME[jumps[1]])
    rates = process.nelbo(many, SAME[x_t], SAME[x_0], a, da), small.nelbo(few, x_t, x_0, a, da)
    torch.testing.assert_close(*rates, rtol=1e-12, atol=1e-12)


@every
def test_the_loss_is_the_nelbo_of_text_alone(name: str) -> None:
    """Its gradient too, which is zero for whatever is no text."""
    process, source = PROCESSES[name], torch.Generator().manual_seed(0)
    x_0 = TEXT[torch.randint(3, (50, 1), generator=source)]
    t = 0.1 + 0.8 * torch.rand(50, generator=source, dtype=torch.float64)
    noise = torch.rand(50, 1, 2, generator=source, dtype=torch.float64)
    x_t, schedule = process.corrupt(x_0, t, noise), process.schedule
    shape = [(50, 5), (V, 5), (V,)]
    leaves = [torch.randn(s, generator=source, dtype=torch.float64).requires_grad_() for s in shape]
    hidden, weight, bias = leaves
    level, weights = (schedule.alpha(t), schedule.dalpha(t)), torch.rand(50, generator=source)
    tokens = Tokens(x_t[:, 0], x_0[:, 0], *level, weights.double())
    loss = process.loss(hidden, weight, bias, tokens)
    log_p = process.distribution((hidden @ weight.T + bias)[:, None], x_t)
    # Visible tokens are certain under absorbing noise, and 0 times infinity is no gradient.
    rate = process.nelbo(log_p.clamp(min=-1e30), x_t, x_0, *level)[:, 0]
    expected = (weights.double() * rate).sum()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(loss, leaves)
    for one, other in zip(found, torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert not found[1][[0, 2, 3, 5]].any()


@every
def test_frozen_tokens_are_not_corrupted(name: str) -> None:
    process, n = PROCESSES[name], 2000
    noise = CountedNoise(0, "test").grid(torch.arange(n), 3)[..., :2]
    x_0 = TEXT.expand(n, -1)
    frozen = torch.arange(n)[:, None] % 4 == torch.arange(3)
    free = process.corrupt(x_0, torch.full((n,), 0.9), noise)
    held = process.corrupt(x_0, torch.full((n,), 0.9), noise, frozen)
    assert torch.equal(held, torch.where(frozen, x_0, free))
    assert (free != x_0)[frozen].any()


def transition(denoiser: Exact, grid: Tensor) -> Tensor:
    """The exact matrix from x at grid[0] to x_0 where known tokens stay: dense posteriors
    multiplied step by step."""
    process, schedule = denoiser.process, denoiser.process.schedule
    found = states(process, denoiser.given)
    alpha = torch.cat([schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    total = torch.eye(len(found), dtype=torch.float64)
    for k in range(len(grid)):
        p = denoiser.log_probs(found, grid[k].expand(len(found))).exp()
        now, later = (alpha[i].expand(len(found)) for i in (k, k + 1))
        q = process.posterior(found, p, later, now)
        step = torch.ones_like(total)
        for position in range(3):
            at = found[:, position]
            stays = (at[:, None] == at).double()
            step *= stays if denoiser.given[position] else q[:, position, at]
        total = total @ step
    return total


@pytest.mark.slow
@every
def test_given_tokens_condition_the_exact_law(name: str) -> None:
    """From the prior, the two tokens that are not given get the law that they have given the
    first: the distance from it halves with the steps."""
    process, law = PROCESSES[name], joint_law()
    denoiser, found = Exact(process, law, PROMPT), states(process, PROMPT)
    alpha = process.schedule.alpha(torch.ones(1, dtype=torch.float64))
    prior = channel(process, alpha)[0].mean(0)  # of a token of which nothing is left
    start = prior[found[:, 1]] * prior[found[:, 2]]
    for i, first in enumerate(TEXT.tolist()):
        here = found[:, 0] == first
        distance = []
        for steps in (50, 100, 200):
            end = (start * here) @ transition(denoiser, time_grid(1.0, steps))
            ends = torch.zeros(V, V, dtype=torch.float64)
            ends[found[here, 1], found[here, 2]] = end[here]
            conditional = law[i] / law[i].sum()
            distance.append((ends[TEXT][:, TEXT] - conditional).abs().sum().item() / 2)
            assert end.sum().item() == pytest.approx(1, abs=1e-9)
        assert distance[1] < 0.6 * distance[0]
        assert distance[2] < 0.6 * distance[1] < 0.01


@every
def test_samples_with_given_tokens_follow_the_exact_transition(name: str) -> None:
    """Chi-square for each of the three prompts at level 1e-4 / 3; and the prompt stays."""
    process, n = PROCESSES[name], 4000
    denoiser, grid = Exact(process, joint_law(), PROMPT), time_grid(0.6, 10)
    found = states(process, PROMPT)
    at = [(found == torch.tensor([first, 1, 6])).all(1).nonzero().item() for first in TEXT.tolist()]
    start = found[at].repeat_interleave(n, 0)
    end = reverse(
        process,
        denoiser.log_probs,
        start,
        grid,
        CountedNoise(0, "test"),
        row_address(len(start)),
        batch_size=4096,
        frozen=PROMPT.expand(len(start), -1),
    )
    assert torch.equal(end[:, 0], start[:, 0])
    law = transition(denoiser, grid)
    which = (end[:, None] == found).all(-1).double().argmax(1)
    for i, k in enumerate(at):
        count = torch.bincount(which[i * n : (i + 1) * n], minlength=len(found)).double().numpy()
        expected = law[k].numpy()
        reached = expected > 1e-12
        assert not count[~reached].any()
        if reached.sum() > 1:
            expected = expected[reached] / expected[reached].sum()
            assert stats.chisquare(count[reached], n * expected).pvalue > 1e-4 / 3


@pytest.mark.slow
@every
def test_the_nelbo_of_what_is_not_given_is_that_of_its_conditional_law(name: str) -> None:
    """Every x_t enumerated, t by quadrature; at t = 1 is left alpha = 1e-6 of the text."""
    process, law = PROCESSES[name], joint_law()
    denoiser, found = Exact(process, law, PROMPT), states(process, PROMPT)
    u, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(200))
    total = torch.zeros(3, 3, 3, dtype=torch.float64)
    for u_k, weight in zip((u + 1) / 2, weights / 2, strict=True):
        t = (3 * u_k**2 - 2 * u_k**3).expand(len(found))
        alpha, dalpha = process.schedule.alpha(t), process.schedule.dalpha(t)
        log_p, q = denoiser.log_probs(found, t), channel(process, alpha[:1])[0]
        for x in np.ndindex(3, 3, 3):
            x_0 = TEXT[torch.tensor(x)].expand(len(found), 3)
            chance = (found[:, 0] == x_0[:, 0]) * q[x[1], found[:, 1]] * q[x[2], found[:, 2]]
            seen = chance > 0
            rate = process.nelbo(log_p[seen], found[seen], x_0[seen], alpha[seen], dalpha[seen])
            counted = rate[:, ~PROMPT].sum(1)
            total[x] += weight * 6 * (u_k - u_k**2) * (chance[seen] * counted).sum()
    expected = -(law / law.sum((1, 2), keepdim=True)).log()
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-4)


def test_behind_masks_every_denoiser_knows_that_visible_tokens_are_clean() -> None:
    """So prompts need nothing more there; under uniform noise a token that stays is taken for one
    that may be noise, unless the denoiser is told."""
    t = torch.full((1,), 0.9, dtype=torch.float64)
    for name, same in (("absorbing", True), ("uniform", False)):
        process = PROCESSES[name]
        x_t = torch.tensor([[4, MASK, MASK]]) if same else torch.tensor([[4, 1, 1]])
        told, untold = (
            Exact(process, joint_law(), given).log_probs(x_t, t)[0, 1:].exp()
            for given in (PROMPT, torch.zeros(3, dtype=torch.bool))
        )
        assert torch.allclose(told, untold, atol=1e-12) is same


@every
def test_the_deterministic_process_keeps_what_is_frozen(name: str) -> None:
    """Text whose every token another one should replace, and does where it may."""
    process = PROCESSES[name]

    class Wants(Exact):
        def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
            p = torch.zeros(*x_t.shape, V, dtype=torch.float64)
            p[..., TEXT[2]] = 1
            return p.log() if where is None else p.log()[where]

    x = torch.tensor([[1, 1, 1], [4, 4, 4]])
    frozen = torch.tensor([[True, False, True], [False, False, True]])
    denoiser = Wants(process, joint_law(), PROMPT)
    end = settle(process, denoiser.blocks, x, time_grid(0.5, 20), "greedy", frozen=frozen)
    # A token that is no mask is never moved by absorbing noise.
    stays = frozen | process.settled(x)
    assert torch.equal(end, torch.where(stays, x, TEXT[2]))


@every
def test_readings_leave_frozen_tokens_out(name: str) -> None:
    x = TEXT.expand(2, -1)
    frozen = torch.tensor([[True, False, False], [True, True, False]])
    read = torch.stack([where for _, where in PROCESSES[name].readings(x, frozen)])
    assert torch.equal(read.sum(0), (~frozen).long())
    assert len(read) == (2 if name == "absorbing" else 1)


def test_what_is_fixed_is_neither_text_nor_noise() -> None:
    ids = torch.arange(V)
    for name, process in PROCESSES.items():
        others = [0, 2, 5] if name != "uniform" else [0, 2, 3, 5]
        assert ids[process.is_fixed(ids)].tolist() == others
        assert process.text_ids.tolist() == TEXT.tolist()
        again = process_from_settings(process_settings(process), V)
        assert vars(again) == vars(process)
    assert not UniformProcess(V).is_fixed(ids).any()
    assert "not_text" not in process_settings(UniformProcess(V))
    assert "not_text" not in process_settings(AbsorbingProcess(V, mask_id=2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextIds(5, []), "no text id is left of a vocabulary of 5"),
        (lambda: AbsorbingProcess(5, mask_id=2, text_ids=[2]), "no text id is left"),
        (lambda: UniformProcess(5, text_ids=[3]), "one text id is left"),
        (lambda: HybridProcess(5, mask_id=2, text_ids=[1, 2]), "too small"),
        (lambda: UniformProcess(5, text_ids=[1, 7]), "text id 7 is outside the vocabulary of 5"),
        (lambda: AbsorbingProcess(5, text_ids=[-1]), "text id -1 is outside"),
        (lambda: AbsorbingProcess(5, mask_id=5), "mask_id = 5 is outside"),
    ],
)
def test_text_that_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        make()  # type: ignore[operator]

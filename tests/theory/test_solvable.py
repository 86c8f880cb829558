"""The exact Denoisers against enumeration: conditionals, likelihood, closed forms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from attractor import Denoiser, nelbo
from attractor.theory import solvable
from attractor.theory.solvable import (
    EmpiricalDenoiser,
    MarkovDenoiser,
    SpinDenoiser,
    ordinary_posterior,
    stationary_law,
)
from attractor.theory.sources import bigram_source, random_source
from attractor.types import AttractorError

T = torch.tensor([1e-5, 0.03, 0.4, 0.9, 1.0], dtype=torch.float64)
TRANSITION = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.3, 0.3, 0.4]], dtype=torch.float64)
INITIAL = torch.tensor([0.6, 0.4, 0.0], dtype=torch.float64)
TRAIN = torch.tensor([[0, 1, 2], [0, 1, 1], [2, 1, 1], [2, 1, 1]])


def states(vocab: int, length: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(vocab), repeat=length)))


def channel(alpha: float, vocab: int) -> Tensor:
    return alpha * torch.eye(vocab, dtype=torch.float64) + (1 - alpha) / vocab


def enumerated(law: Tensor, x_t: Tensor, alpha: float, vocab: int, own: bool) -> Tensor:
    """P(x_0[l] = v | x_t at all positions but l), or with the position's own evidence: sums over
    all sequences."""
    clean = states(vocab, x_t.shape[1])
    q = channel(alpha, vocab)
    out = torch.zeros(*x_t.shape, vocab, dtype=torch.float64)
    for b, noisy in enumerate(x_t):
        seen = q[clean, noisy]  # (V**L, L)
        for position in range(x_t.shape[1]):
            factors = seen.clone()
            if not own:
                factors[:, position] = 1
            weight = law * factors.prod(1)
            out[b, position].index_add_(0, clean[:, position], weight / weight.sum())
    return out


def markov_law(length: int) -> Tensor:
    x = states(3, length)
    return INITIAL[x[:, 0]] * TRANSITION[x[:, :-1], x[:, 1:]].prod(1)


def empirical_law() -> Tensor:
    return torch.tensor(
        [(x == TRAIN).all(1).double().mean() for x in states(3, 3)], dtype=torch.float64
    )


def boltzmann() -> tuple[Tensor, Tensor]:
    """Symmetric couplings of four spins, and their law over the 16 states."""
    j = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 4)))
    j = (j + j.T) / 2
    j.fill_diagonal_(0)
    s = 2.0 * states(2, 4).double() - 1
    return j, (0.5 * torch.einsum("ni,ij,nj->n", s, j, s)).softmax(0)


CASES: dict[str, Callable[[], tuple[Denoiser, Tensor, int, int]]] = {
    "empirical": lambda: (EmpiricalDenoiser(TRAIN, 3), empirical_law(), 3, 3),
    "markov, L = 2": lambda: (MarkovDenoiser(TRANSITION, INITIAL), markov_law(2), 3, 2),
    "markov, L = 3": lambda: (MarkovDenoiser(TRANSITION, INITIAL), markov_law(3), 3, 3),
    "weighted": lambda: (EmpiricalDenoiser(states(2, 4), 2, boltzmann()[1]), boltzmann()[1], 2, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_log_probs_are_the_leave_one_out_law(case: str) -> None:
    denoiser, law, vocab, length = CASES[case]()
    x_t = states(vocab, length)
    for t in T:
        alpha = denoiser.process.schedule.alpha(t).item()
        log_r = denoiser.log_probs(x_t, t.expand(len(x_t)))
        assert log_r.isfinite().all()
        torch.testing.assert_close(
            log_r.exp(), enumerated(law, x_t, alpha, vocab, own=False), rtol=1e-9, atol=1e-12
        )
        posterior = ordinary_posterior(
            log_r, x_t, torch.full((len(x_t),), alpha, dtype=torch.float64)
        )
        exact = enumerated(law, x_t, alpha, vocab, own=True)
        torch.testing.assert_close(posterior.exp(), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_time_may_differ_from_row_to_row_and_where_picks_positions(case: str) -> None:
    denoiser, _, vocab, length = CASES[case]()
    x_t = states(vocab, length)[:5]
    full = denoiser.log_probs(x_t, T)
    alone = torch.cat([denoiser.log_probs(x_t[i : i + 1], T[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(full, alone, rtol=0, atol=1e-12)
    where = torch.rand(5, length, generator=torch.Generator().manual_seed(0)) < 0.5
    torch.testing.assert_close(denoiser.log_probs(x_t, T, where), full[where], rtol=0, atol=1e-12)
    assert denoiser.log_probs(x_t, T, torch.zeros_like(where)).shape == (0, vocab)


def integrated_nelbo(denoiser: Denoiser, vocab: int, length: int, nodes: int = 120) -> Tensor:
    """NELBO of every sequence in nats: Gauss-Legendre in u with t = u**2, exact sum over x_t."""
    clean, schedule = states(vocab, length), denoiser.process.schedule
    n = len(clean)
    x_0, x_t = clean.repeat_interleave(n, 0), clean.repeat(n, 1)  # every pair
    u, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(nodes))
    u, weights = (u + 1) / 2, weights / 2
    total = torch.zeros(n, dtype=torch.float64)
    for u_k, weight in zip(u, weights, strict=True):
        t = (u_k**2).expand(n * n)
        alpha, dalpha = schedule.alpha(t), schedule.dalpha(t)
        log_p = denoiser.log_probs(clean, t[:n]).repeat(n, 1, 1)
        chance = channel(alpha[0].item(), vocab)[x_0, x_t].prod(1)
        rate = nelbo(log_p, x_t, x_0, alpha, dalpha).sum(1)
        total += weight * 2 * u_k * (chance * rate).view(n, n).sum(1)
    return total


@pytest.mark.parametrize("case", CASES)
def test_nelbo_integrates_to_the_exact_likelihood(case: str) -> None:
    """Of every sequence the law can produce; what is left at t = 1, where alpha = 1e-3, is worth
    less than 1e-4."""
    denoiser, law, vocab, length = CASES[case]()
    possible = law > 0
    found = integrated_nelbo(denoiser, vocab, length)
    assert found.isfinite().all()
    torch.testing.assert_close(found[possible], -law[possible].log(), rtol=0, atol=2e-4)
    torch.testing.assert_close(
        denoiser.nll(states(vocab, length)[possible]), -law[possible].log(), rtol=0, atol=1e-9
    )  # type: ignore[attr-defined]


def test_spin_conditionals_are_what_a_diffusion_model_holds_as_t_goes_to_zero() -> None:
    """The exact denoiser of a Boltzmann law tends to sigmoid(2h), linearly in t; at finite t it is
    something else."""
    j, law = boltzmann()
    x = states(2, 4)
    bridge = SpinDenoiser(j).log_probs(x, torch.zeros(16)).exp()
    exact = EmpiricalDenoiser(x, 2, law)
    distance = [
        (exact.log_probs(x, torch.full((16,), t)).exp() - bridge).abs().max().item()
        for t in (1e-6, 1e-4, 0.5)
    ]
    assert distance[0] < 5e-6
    assert distance[1] == pytest.approx(100 * distance[0], rel=0.05)
    assert distance[2] > 0.1


def test_the_nelbo_of_spin_conditionals_bounds_the_likelihood() -> None:
    """Exact at t -> 0 only: the bound holds in the mean, and is tight for independent spins."""
    j, law = boltzmann()
    entropy = torch.special.entr(law).sum()
    assert law @ integrated_nelbo(SpinDenoiser(j), 2, 4) > entropy + 0.01
    free = integrated_nelbo(SpinDenoiser(torch.zeros(4, 4)), 2, 4)
    torch.testing.assert_close(
        free, torch.full((16,), 4 * np.log(2), dtype=torch.float64), rtol=0, atol=1e-4
    )


def test_closed_forms_of_the_source() -> None:
    """Entropies by summation over sequences of the stationary source."""
    pi = stationary_law(TRANSITION)
    torch.testing.assert_close(pi @ TRANSITION, pi)
    source = MarkovDenoiser(TRANSITION, pi)
    x = states(3, 3)
    nll = source.nll(x[nonzero := (pi[x[:, 0]] * TRANSITION[x[:, :-1], x[:, 1:]].prod(1)) > 0])
    triple = (nll.neg().exp() * nll).sum()
    pair = torch.special.entr(pi[:, None] * TRANSITION).sum()
    assert int(nonzero.sum()) < 27
    assert source.entropy_rate() == pytest.approx((triple - pair).item(), abs=1e-12)
    law = nll.neg().exp()
    inner = source.log_probs(x[nonzero], torch.zeros(len(law)))[:, 1]
    assert source.token_entropy() == pytest.approx(
        (law @ torch.special.entr(inner.exp()).sum(1)).item(), abs=1e-9
    )


def test_samples_follow_the_source() -> None:
    """Chi-square over the 27 sequences of length 3: false alarm rate 1e-4; seeds differ, rows are
    stable."""
    source = MarkovDenoiser(TRANSITION, INITIAL)
    n, law = 20_000, markov_law(3)
    x = source.sample(n, 3, seed=1)
    count = torch.bincount(x @ torch.tensor([9, 3, 1]), minlength=27).numpy()
    possible = law.numpy() > 0
    assert count[~possible].sum() == 0
    assert stats.chisquare(count[possible], n * law.numpy()[possible]).pvalue > 1e-4
    assert torch.equal(source.sample(10, 3, seed=1), x[:10])
    assert not torch.equal(source.sample(n, 3, seed=2), x)


def test_long_contradictory_rows_stay_finite() -> None:
    """Two sources in one row, nothing corrupted: the weights differ by far more than float64 can
    hold."""
    source = MarkovDenoiser(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([0.5, 0.5]))
    x = torch.cat([torch.zeros(1, 100), torch.ones(1, 100)], 1).long()
    memorizer = EmpiricalDenoiser(torch.cat([torch.zeros(1, 200), torch.ones(1, 200)]).long(), 3)
    for t in (torch.zeros(1), torch.full((1,), 1e-5)):
        for denoiser in (source, memorizer):
            log_r = denoiser.log_probs(x, t)
            assert log_r.isfinite().all()
            torch.testing.assert_close(log_r.exp().sum(-1), torch.ones(1, 200, dtype=torch.float64))
            rate = nelbo(
                log_r, x, 1 - x, denoiser.process.schedule.alpha(t.double() + 1e-7), -torch.ones(1)
            )
            assert rate.isfinite().all()


def test_patterns_without_weight_count_for_nothing() -> None:
    """Even where one of them is the noisy row itself and the others are so far away that float64
    cannot tell."""
    far = torch.cat([torch.zeros(1, 100), torch.ones(1, 100)]).long()
    log_r = EmpiricalDenoiser(far, 3, torch.tensor([0.0, 2.0])).log_probs(
        far[:1], torch.full((1,), 1e-5)
    )
    assert torch.equal(log_r.argmax(-1), far[1:])
    assert log_r.isfinite().all()


def test_many_patterns_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, x_t = EmpiricalDenoiser(TRAIN, 3), states(3, 3)
    where = torch.rand(27, 3, generator=torch.Generator().manual_seed(1)) < 0.4
    whole = denoiser.log_probs(x_t, torch.full((27,), 0.3), where), denoiser.nll(TRAIN)
    monkeypatch.setattr(solvable, "PAIRS", 2 * len(TRAIN))
    parts = denoiser.log_probs(x_t, torch.full((27,), 0.3), where), denoiser.nll(TRAIN)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_tokens_may_be_of_any_integer_type(kind: torch.dtype) -> None:
    """Pairs of 200 tokens are more than the narrow types can number."""
    source = random_source(200, seed=4)
    x = source.sample(3, 4, seed=1)
    narrow, t = x.to(kind), torch.full((3,), 0.3)
    for denoiser in (source, EmpiricalDenoiser(narrow, 200), bigram_source(narrow, 200)):
        assert torch.equal(denoiser.log_probs(narrow, t), denoiser.log_probs(x, t))
        assert torch.equal(denoiser.nll(narrow), denoiser.nll(x))
    assert torch.equal(bigram_source(narrow, 200).transition, bigram_source(x, 200).transition)


def test_longer_rows_than_a_byte_can_count() -> None:
    x = random_source(5, seed=2).sample(4, 300)
    assert torch.equal(EmpiricalDenoiser(x, 5).log_probs(x, torch.full((4,), 0.2)).argmax(-1), x)


def test_everything_is_made_on_the_device_of_the_input() -> None:
    """Where the default device is another one, a tensor that forgot its device meets one of the
    input and fails."""
    couplings = torch.zeros(3, 3)
    with torch.device("meta"):
        for denoiser in (
            EmpiricalDenoiser(TRAIN, 3),
            MarkovDenoiser(TRANSITION, INITIAL),
            SpinDenoiser(couplings),
        ):
            log_r = denoiser.log_probs(TRAIN.clamp(max=1), T[:4], TRAIN == 1)
            assert log_r.device == denoiser.device == TRAIN.device
        source = bigram_source(TRAIN, 3)
        assert source.nll(source.sample(5, 4)).device == TRAIN.device
        assert source.token_entropy() > 0
        assert EmpiricalDenoiser(TRAIN, 3).nll(TRAIN).device == TRAIN.device


def test_bigram_source_has_the_pair_counts_of_its_text() -> None:
    """Of a known source, each probability within five binomial standard errors: false alarm rate
    1e-5."""
    x = MarkovDenoiser(TRANSITION, INITIAL).sample(4000, 6, seed=5)
    found = bigram_source(x, 3, smoothing=1e-6)
    seen = torch.bincount(x[:, :-1].flatten(), minlength=3)[:, None]
    assert (
        (found.transition - TRANSITION).abs()
        <= 5 * (TRANSITION * (1 - TRANSITION) / seen).sqrt() + 1e-6
    ).all()
    assert (
        (found.initial - INITIAL).abs() <= 5 * (INITIAL * (1 - INITIAL) / 4000).sqrt() + 1e-6
    ).all()
    unseen = bigram_source(TRAIN, 4)
    torch.testing.assert_close(unseen.transition[3], torch.full((4,), 0.25).double())
    assert unseen.nll(torch.tensor([[3, 3, 0]])).isfinite()


@pytest.mark.parametrize("vocab", [3, 40])
def test_messages_are_exact_however_far_apart(vocab: int) -> None:
    """The matrix product of the messages against sums of logarithms, where float64 holds it and
    where it does not."""
    source = random_source(vocab, 0.05, seed=1)
    transition = source.transition.clone()
    transition[0] = torch.nn.functional.one_hot(
        torch.tensor(0), vocab
    )  # a state that is never left
    for scale in (1.0, 300.0, 3000.0):
        log_row = (
            scale * torch.randn(50, vocab, generator=torch.Generator().manual_seed(0)).double()
        )
        log_row[:, 0] = log_row.amax(1) + scale
        exact = (log_row[:, :, None] + transition.log()).logsumexp(1)
        torch.testing.assert_close(
            solvable._log_matmul(log_row, transition), exact, rtol=1e-12, atol=1e-12
        )


def test_random_sources_are_stationary_and_reproducible() -> None:
    source = random_source(6, seed=3)
    torch.testing.assert_close(source.initial @ source.transition, source.initial)
    torch.testing.assert_close(random_source(6, seed=3).transition, source.transition)
    assert 0 < source.token_entropy() < source.entropy_rate() < np.log(6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MarkovDenoiser(torch.tensor([[0.5, 0.6], [0.5, 0.5]]), torch.tensor([0.5, 0.5])),
        "row 0 .* 1.1"),
        (lambda: MarkovDenoiser(torch.tensor([[1.5, -0.5], [0.5, 0.5]]), torch.tensor([0.5, 0.5])),
        "-0.5"),
        (lambda: MarkovDenoiser(torch.eye(2), torch.tensor([0.5, 0.4])), "initial sums to 0.9"),
        (lambda: MarkovDenoiser(torch.eye(3), torch.tensor([0.5, 0.5])), r"\(3, 3\)"),
        (lambda: MarkovDenoiser(torch.full((2, 2), torch.nan), torch.tensor([0.5, 0.5])), "nan"),
        (lambda: MarkovDenoiser(torch.eye(2), torch.tensor([0.5, 0.5])).entropy_rate(),
        "2 stationary"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).nll(torch.tensor([[0, 1], [1, 0]])),
        r"row 1 .*zero.*\[1, 0\]"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).nll(torch.tensor([[0, 3]])), "token id 3"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).sample(0, 3), "n = 0"),
        (lambda: EmpiricalDenoiser(TRAIN, 3).nll(torch.tensor([[0, 0, 0]])), "zero"),
        (lambda: EmpiricalDenoiser(TRAIN, 2), "token id 2"),
        (lambda: EmpiricalDenoiser(TRAIN[:0], 3), r"\(0, 3\)"),
        (lambda: EmpiricalDenoiser(TRAIN, 3, torch.tensor([1.0, -1, 1, 1])), "weights"),
        (lambda: EmpiricalDenoiser(TRAIN, 3).log_probs(torch.zeros(1, 4).long(), torch.ones(1)),
        "4 tokens"),
        (lambda: SpinDenoiser(torch.eye(3)), "diagonal"),
        (lambda: SpinDenoiser(torch.full((3, 3), torch.nan)), "finite"),
        (lambda: SpinDenoiser(torch.zeros(2, 3)), r"\(2, 3\)"),
        (lambda: SpinDenoiser(torch.zeros(3, 3)).log_probs(torch.tensor([[0, 1, 2]]),
        torch.ones(1)), "token id 2"),
        (lambda: EmpiricalDenoiser(TRAIN, 3, torch.ones(3)), r"\(3,\).* 4 rows"),
        (lambda: EmpiricalDenoiser(TRAIN, 3, torch.zeros(4)), "weights sums to 0"),
        (lambda: EmpiricalDenoiser(TRAIN, 3, torch.full((4,), math.nan)), "nan"),
        (lambda: EmpiricalDenoiser(TRAIN[0], 3), r"\(3,\)"),
        (lambda: EmpiricalDenoiser(TRAIN, 3).log_probs(TRAIN - 1, torch.ones(4)), "token id -1"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).log_probs(TRAIN + 1, torch.ones(4)),
        "token id 3"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).sample(3, 0), "length = 0"),
        (lambda: MarkovDenoiser(TRANSITION, torch.zeros(3)), "initial sums to 0"),
        (lambda: MarkovDenoiser(torch.ones(1, 1), torch.ones(1)), "vocab_size = 1"),
        (lambda: random_source(4, concentration=0.0), "0.0"),
        (lambda: random_source(4, concentration=math.inf), "inf"),
        (lambda: random_source(1), "vocab_size = 1"),
        (lambda: bigram_source(TRAIN, 3, smoothing=0.0), "smoothing = 0.0"),
        (lambda: bigram_source(TRAIN, 2), "token id 2"),
        (lambda: random_source(4, seed=-1), "seed = -1"),
        (lambda: MarkovDenoiser(TRANSITION, torch.tensor(1.0)), r"\(3, 3\)"),
        (lambda: MarkovDenoiser(torch.zeros(0, 0), torch.zeros(0)), "vocab_size = 0"),
        (lambda: stationary_law(2 * TRANSITION), "row 0 .* 2"),
        (lambda: solvable.check_tokens(TRAIN.float(), 3), "torch.float32"),
        (lambda: solvable.check_tokens(TRAIN == 1, 3), "torch.bool"),
        (lambda: solvable._check_each_row("t", T[:1], 4), r"t is \(1,\).* 4 rows"),
        (lambda: EmpiricalDenoiser(TRAIN, 3).log_probs(TRAIN, 2 * T[1:]), "t = 1.8"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).log_probs(TRAIN, -T[1:]), "t = -0.03"),
        (lambda: MarkovDenoiser(TRANSITION, INITIAL).log_probs(TRAIN, T[1:] * math.nan), "t = nan"),
        (lambda: solvable._check_question(EmpiricalDenoiser(TRAIN, 3), TRAIN, T[1:], TRAIN),
        "where .*torch.int64"),
        (lambda: SpinDenoiser(1e308 - 1e308 * torch.eye(3).double()), "inf"),
        (lambda: ordinary_posterior(torch.zeros(4, 3, 3), TRAIN, T[1:] + 1), "alpha = 1.03"),
        (lambda: ordinary_posterior(torch.zeros(4, 3, 2), TRAIN, T[1:]), "token id 2"),
    ],
)  # fmt: skip
def test_bad_input_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        make()

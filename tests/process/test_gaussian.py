from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.special import log_ndtr
from torch import Tensor

from attractor.process.gaussian import (
    GAMMA,
    TAU,
    distinct_tokens,
    gamma_at,
    gaussian_latent,
    largest_normals,
    noise_width,
    signal,
)

SIZES = [2, 3, 512, 30_522, 50_258]
ERROR_RATE = 1e-4
"""Chance of each statistical test to fail although all is right."""


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def integral(m: float, vocab: int, moment: int) -> float:
    """E[x^moment Phi(m + x)^(V-1)] over a standard normal x, adaptively."""

    def integrand(x: float) -> float:
        return (
            x**moment
            * math.exp(-x * x / 2 + (vocab - 1) * log_ndtr(m + x))
            / math.sqrt(2 * math.pi)
        )

    return quad(integrand, -12, 12, points=[4 - m, 0], epsabs=1e-14, epsrel=1e-13, limit=500)[0]


@pytest.mark.parametrize("vocab", SIZES)
def test_alpha_and_its_slope_agree_with_direct_integration(vocab: int) -> None:
    gamma = torch.linspace(*GAMMA, 5, dtype=torch.float64)
    found = signal(gamma, vocab)
    for g, alpha, slope in zip(gamma.tolist(), *(x.tolist() for x in found), strict=True):
        m = math.exp(-g / 2)
        assert alpha == pytest.approx((vocab * integral(m, vocab, 0) - 1) / (vocab - 1), abs=1e-11)
        assert slope == pytest.approx(
            -m / 2 * vocab / (vocab - 1) * integral(m, vocab, 1), abs=1e-11
        )


@pytest.mark.parametrize("vocab", SIZES)
def test_the_slope_is_the_derivative(vocab: int) -> None:
    gamma, h = torch.linspace(*GAMMA, 9, dtype=torch.float64), 1e-4
    difference = (signal(gamma + h, vocab).alpha - signal(gamma - h, vocab).alpha) / (2 * h)
    torch.testing.assert_close(signal(gamma, vocab).slope, difference, rtol=1e-5, atol=1e-9)


def test_two_tokens_are_solved_by_one_error_function() -> None:
    """V = 2: the clean token is largest if a normal of variance 2 s^2 is below a."""
    gamma = torch.linspace(*GAMMA, 5, dtype=torch.float64)
    exact = 2 * torch.special.ndtr(torch.exp(-gamma / 2) / math.sqrt(2)) - 1
    torch.testing.assert_close(signal(gamma, 2).alpha, exact, rtol=0, atol=1e-14)


def test_time_runs_from_less_to_more_noise() -> None:
    assert gamma_at(torch.tensor([0.0, 1.0])).tolist() == list(GAMMA)
    assert (signal(gamma_at(torch.linspace(0, 1, 50)), 30_522).slope < 0).all()


def test_distinct_tokens_count_every_ordered_choice_once() -> None:
    """Exhaustive: the 4 * 3 * 2 cells of the unit cube give the 24 ordered choices of 3 of the 4
    other tokens."""
    cells = [range(4), range(3), range(2)]
    noise = torch.tensor(
        [
            [(i + 0.5) / len(c) for i, c in zip(p, cells, strict=True)]
            for p in itertools.product(*cells)
        ]
    )
    for first in range(5):
        tokens = distinct_tokens(torch.full((24,), first), noise, 5).tolist()
        others = [v for v in range(5) if v != first]
        assert sorted(tokens) == [[first, *p] for p in sorted(itertools.permutations(others, 3))]


def test_largest_normals_have_the_law_of_order_statistics() -> None:
    """The i-th of n normals, through Phi, is Beta(n - i, i + 1) for i = 0, 1, ...:
    Kolmogorov-Smirnov of each."""
    for n, k in ((30_521, 16), (6, 6)):
        found = largest_normals(uniform(20_000, k), n)
        assert (found.diff(dim=-1) <= 0).all()
        for i in range(k):
            p = stats.kstest(
                torch.special.ndtr(found[:, i]).numpy(), stats.beta(n - i, i + 1).cdf
            ).pvalue
            assert p > ERROR_RATE / k


def dense(x_0: Tensor, gamma: Tensor, vocab: int, seed: int) -> Tensor:
    """softmax(w / tau) with noise on every token, (n, V)."""
    eps = torch.randn(
        len(x_0), vocab, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    clean = torch.nn.functional.one_hot(x_0, vocab)
    w = torch.sigmoid(-gamma).sqrt()[:, None] * clean + torch.sigmoid(gamma).sqrt()[:, None] * eps
    return torch.softmax(w / TAU, -1)


def spread(tokens: Tensor, shares: Tensor, vocab: int) -> Tensor:
    return torch.zeros(len(tokens), vocab, dtype=torch.float64).scatter_add_(
        -1, tokens, shares.double()
    )


def visible(shares: Tensor) -> Tensor:
    """Shares without what is lost in float32, so that both forms round alike."""
    return torch.where(shares > 1e-6, shares, 0).float()


@pytest.mark.parametrize("kept", [2, 6], ids=["two largest", "all"])
def test_drawing_only_the_largest_is_the_dense_law(kept: int) -> None:
    """V = 7 and the noisiest gamma: two-sample tests of the token by chi-square, of every share by
    Kolmogorov-Smirnov.

    Two values are enough here: a third within 14 tau of the largest is rarer than 1e-3, far below
    what is resolved.
    """
    n, vocab = 60_000, 7
    x_0, gamma = torch.full((n,), 2), torch.full((n,), GAMMA[1], dtype=torch.float64)
    mixture, x_t = gaussian_latent(x_0, gamma, vocab, uniform(n, 1 + 2 * kept))
    ours, theirs = visible(spread(*mixture, vocab)), visible(dense(x_0, gamma, vocab, seed=1))
    counts = torch.stack(
        [x_t.bincount(minlength=vocab), theirs.argmax(-1).bincount(minlength=vocab)]
    )
    assert stats.chi2_contingency(counts.numpy()).pvalue > ERROR_RATE
    torch.testing.assert_close(ours.argmax(-1), x_t)
    softened = [(x.max(-1).values < 0.99).double().sum().item() for x in (ours, theirs)]
    assert min(softened) > 100  # there is something to compare
    for v in range(vocab):
        assert stats.ks_2samp(ours[:, v].numpy(), theirs[:, v].numpy()).pvalue > ERROR_RATE / vocab
    top = [x.max(-1).values[x.max(-1).values < 0.99].numpy() for x in (ours, theirs)]
    assert stats.ks_2samp(*top).pvalue > ERROR_RATE


@pytest.mark.parametrize(("vocab", "t"), [(3, 1.0), (30_522, 0.0), (30_522, 0.5), (30_522, 1.0)])
def test_the_argmax_is_a_uniform_state_sample(vocab: int, t: float) -> None:
    """The share of clean tokens by the exact binomial test; the others uniform by
    Kolmogorov-Smirnov."""
    n = 20_000
    gamma = gamma_at(torch.full((n,), t, dtype=torch.float64))
    x_0 = torch.full((n,), vocab // 2)
    _, x_t = gaussian_latent(x_0, gamma, vocab, uniform(n, noise_width(vocab), seed=3))
    alpha = signal(gamma[0], vocab).alpha.item()
    stays = alpha + (1 - alpha) / vocab
    assert stats.binomtest(int((x_t == x_0).sum()), n, stays).pvalue > ERROR_RATE
    others = x_t[x_t != x_0]
    if vocab > 1000:
        assert stats.kstest(others.numpy() / vocab, "uniform").pvalue > ERROR_RATE
    else:
        assert stats.binomtest(int((others == 0).sum()), len(others), 0.5).pvalue > ERROR_RATE


def test_what_is_not_drawn_has_no_share() -> None:
    """Least noise and a large vocabulary, where values are closest: all but the 16 drawn weigh less
    than one ulp.

    About 7e-8 of tokens are expected to break this, so 5,000 of them do with a chance of 4e-4.
    """
    n, vocab = 5_000, 30_522
    gamma = torch.full((n,), GAMMA[0], dtype=torch.float64)
    x_0 = torch.zeros(n, dtype=torch.long)
    shares = gaussian_latent(x_0, gamma, vocab, uniform(n, 1 + 2 * 64, seed=5)).mixture.shares
    assert shares[:, 17:].sum(-1).max() < 2.0**-23
    assert torch.allclose(shares.sum(-1), torch.ones(n))

"""Next tokens without noise: the loss and its gradient, the exact likelihood, what is refused."""

from __future__ import annotations

import pytest
import torch
from chain import LENGTH, Chain, V

from attractor import AttractorError
from attractor.probes import calibration, likelihood, prefix_extraction, recovery, sample
from attractor.process.autoregressive import AutoregressiveProcess
from attractor.process.chunked import Tokens
from attractor.process.registry import make_process, process_from_settings, process_settings


def test_the_loss_is_the_weighted_surprisal_and_its_gradient_that_of_autograd() -> None:
    process, m, h = AutoregressiveProcess(V + 1, text_ids=[0, 1, 2, 4]), 13, 3
    source = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        torch.randn(shape, generator=source).requires_grad_()
        for shape in ((m, h), (V + 1, h), V + 1)
    )
    x_0 = torch.tensor([0, 1, 2, 4])[torch.randint(4, (m,), generator=source)]
    per_token = torch.rand(m, generator=source)
    one = torch.ones(m)
    loss = process.loss(hidden, weight, bias, Tokens(x_0, x_0, one, one, per_token))
    logits = hidden @ weight.T + bias
    log_p = logits[:, [0, 1, 2, 4]].log_softmax(-1)
    chosen = log_p[torch.arange(m), torch.searchsorted(torch.tensor([0, 1, 2, 4]), x_0)]
    expected = -(per_token * chosen).sum()
    torch.testing.assert_close(loss, expected)
    leaves = (hidden, weight, bias)
    for ours, theirs in zip(
        torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_likelihood_of_a_markov_chain_is_exact() -> None:
    chain = Chain()
    rows = chain.rows(50)
    found = likelihood(chain, rows, draws=3, seed=9)
    before = torch.nn.functional.pad(rows[:, :-1], (1, 0), value=V)
    exact = -chain.law[before, rows].log()
    torch.testing.assert_close(found.per_token, exact.float())
    torch.testing.assert_close(found.per_draw[:, 0].float(), exact.mean(1).float())


def test_kappa_of_the_exact_law_is_one_and_of_another_law_is_above() -> None:
    """Within 4 standard errors over 3,000 rows: a true kappa of 1 fails once in 16,000 tries."""
    chain = Chain()
    rows = chain.rows(3000)
    found = calibration(chain, rows)
    excess = (found.nll - found.entropy).mean(1)
    assert excess.mean().abs() < 4 * excess.std() / len(rows) ** 0.5
    assert abs(found.kappa - 1) < 0.05
    assert calibration(Chain(seed=5), rows).kappa > 1.5


def test_generations_have_the_law_and_are_a_function_of_seed_and_row() -> None:
    """Each of 30 frequencies of pairs within 5 standard errors: by chance once in 50,000 tries."""
    chain, n = Chain(), 2000
    found = sample(chain, n, seed=3)
    before = torch.nn.functional.pad(found[:, :-1], (1, 0), value=V).flatten()
    counts = torch.zeros(V + 1, V, dtype=torch.float64)
    counts.index_put_((before, found.flatten()), torch.ones(n * LENGTH).double(), accumulate=True)
    met, law = counts.sum(1, keepdim=True), chain.law[:, :V]
    error = (law * (1 - law) / met).sqrt()
    assert ((counts / met - law).abs() <= 5 * error + 1e-12).all()
    assert torch.equal(sample(chain, 5, seed=3, first=2), found[2:7])


def test_a_greedy_continuation_is_that_of_the_law() -> None:
    chain = Chain()
    rows = chain.rows(20)
    found = prefix_extraction(chain, rows)
    half = LENGTH // 2
    assert found.prefix[:, :half].all()
    assert not found.prefix[:, half:].any()
    expected = rows[:, :half]
    for _ in range(half):
        expected = torch.cat([expected, chain.law[expected[:, -1:]].argmax(-1)], 1)
    assert torch.equal(found.written, expected)
    assert torch.equal(found.correct[:, half:] == 1, expected[:, half:] == rows[:, half:])
    assert found.correct[:, :half].isnan().all()


def test_what_needs_noise_is_refused_in_one_line() -> None:
    chain = Chain()
    with pytest.raises(
        AttractorError, match=r"no noise to corrupt.*prefix_extraction instead"
    ) as e:
        recovery(chain, chain.rows(3), t=0.3)
    assert "\n" not in str(e.value)


def test_settings_make_the_same_process_again() -> None:
    process = make_process("autoregressive", 7, 0.2, pad_id=3)
    settings = process_settings(process)
    again = process_from_settings(settings, 8)
    assert settings["name"] == "autoregressive"
    assert process_settings(again) == settings
    assert again.text == process.text
    assert again.text_size == 7
    assert not again.corrupts

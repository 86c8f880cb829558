from __future__ import annotations

import math

import pytest
import torch
from exact import STATES, Exact, joint_law
from mocks import Certain, Ignorant, V

from attractor import AttractorError
from attractor.probes import conditional_entropy, likelihood, random_tokens, sample


def test_entropy_of_known_distributions() -> None:
    tokens = random_tokens(300, 12, V)
    ignorant = conditional_entropy(Ignorant(), tokens)
    assert ignorant.mean == pytest.approx(math.log(V), abs=1e-6)
    assert ignorant.vanishing_share == 0.0
    certain = conditional_entropy(Certain([0] * 12), tokens)
    assert certain.mean < 1e-6
    assert certain.vanishing_share == 1.0
    q = 0.9
    graded = conditional_entropy(Certain([0] * 12, q), tokens)
    assert graded.mean == pytest.approx(
        -q * math.log(q) - (1 - q) * math.log((1 - q) / (V - 1)), abs=1e-6
    )


def test_entropy_near_t_0_is_that_of_a_token_given_its_context() -> None:
    law = joint_law().view(3, 3)
    found = conditional_entropy(Exact(law.flatten()), STATES).per_token
    for i, (x, y) in enumerate(STATES.tolist()):
        given_y, given_x = law[:, y] / law[:, y].sum(), law[x] / law[x].sum()
        expected = [torch.special.entr(p).sum().item() for p in (given_y, given_x)]
        assert found[i].tolist() == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_likelihood_of_an_exact_denoiser_is_the_entropy_of_its_law() -> None:
    """Five standard errors over 4,000 draws from the law."""
    law = joint_law()
    draws = torch.multinomial(
        law, 4000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    found = likelihood(Exact(law), STATES[draws], draws=32)
    per_sequence = found.per_token.double().sum(1) + law[draws].log()  # minus what it should be
    assert abs(per_sequence.mean().item()) < 5 * per_sequence.std().item() / math.sqrt(4000)
    assert found.perplexity == pytest.approx(math.exp(found.mean))


def test_likelihood_of_an_ignorant_denoiser_is_log_v() -> None:
    """What is left at t = 1 and below t = 1e-4 is within the tolerance, for uniform p exactly
    V-independent."""
    found = likelihood(Ignorant(), random_tokens(2000, 12, V), draws=32)
    per_sequence = found.per_sequence()
    error = per_sequence.std().item() / math.sqrt(len(per_sequence))
    assert abs(found.mean - math.log(V)) < 5 * error + 1e-3


def test_generation_writes_what_the_denoiser_knows() -> None:
    known = [0, 1, 2, 3, 4, 5]
    for noise_removal in ("greedy", "ancestral"):
        found = sample(Certain(known), 4, steps=20, noise_removal=noise_removal)
        assert found.tolist() == [known] * 4
    assert sample(Ignorant(), 3, seq_len=5, steps=5).shape == (3, 5)
    first, more = (
        sample(Ignorant(), 3, seq_len=5, steps=5),
        sample(Ignorant(), 7, seq_len=5, steps=5),
    )
    assert torch.equal(more[:3], first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conditional_entropy(Ignorant(), random_tokens(2, 4, V), t=0.0),
            r"t = 0.0 is outside \(0, 1\]",
        ),
        (lambda: likelihood(Ignorant(), random_tokens(2, 4, V), draws=0), "draws = 0"),
        (lambda: sample(Ignorant(), 0, seq_len=4), "n = 0"),
        (lambda: sample(Ignorant(), 2), "seq_len = None"),
        (lambda: sample(Ignorant(), 2, seq_len=4, steps=0), "steps = 0"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AttractorError, match=message):
        call()


def test_tokens_of_probability_zero_count_for_nothing() -> None:
    denoiser = Certain([0] * 12)
    denoiser.table = torch.where(denoiser.table < -1, -torch.inf, 0.0)
    assert conditional_entropy(denoiser, random_tokens(3, 12, V)).per_token.abs().max() == 0

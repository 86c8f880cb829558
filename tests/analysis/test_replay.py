"""A learner on a Markov source, over the paper's 54 sizes: the adaptive search finds the transition
of all with few."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ngram import NGramDenoiser

from attractor.analysis.adaptive import decide
from attractor.analysis.transition import recovery_transition
from attractor.config.presets import paper_fractions
from attractor.data.subsets import nested_sizes
from attractor.model.denoiser import Denoiser
from attractor.probes import recovery
from attractor.theory import EmpiricalDenoiser, random_source

VOCAB, LENGTH, ORDER, STRENGTH = 16, 16, 3, 0.1
SOURCE = random_source(VOCAB, concentration=1.0, seed=1)
SIZES = nested_sizes(paper_fractions(), 320_000)
ROWS = SIZES[0]
"""sequences of either kind, all of them in the smallest training set"""
OF_ALL = 681.6
"""n* of all 54 sizes, [457, 956], as the slow test finds it"""


@pytest.fixture(scope="module")
def text() -> tuple[torch.Tensor, torch.Tensor]:
    """Training rows, and unseen ones."""
    return SOURCE.sample(max(SIZES), LENGTH, seed=1), SOURCE.sample(ROWS, LENGTH, seed=2)


def recovered(model: Denoiser, tokens: torch.Tensor) -> np.ndarray:
    """Recovery of each sequence from t = 0.2, by the library's probe."""
    return recovery(model, tokens, t=0.2, steps=20, repeats=2).rate_per_sequence().double().numpy()


def measured(rows: torch.Tensor, unseen: torch.Tensor, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Recovery of training and of unseen sequences by the model of the first n rows."""
    model = NGramDenoiser(rows[:n], VOCAB, ORDER, STRENGTH)
    return recovered(model, rows[:ROWS]), recovered(model, unseen)


def test_the_learner_is_exact() -> None:
    """Against the enumeration of all 81 rows of 4 of 3 tokens, with their probabilities as
    weights."""
    model = NGramDenoiser(
        torch.randint(3, (5, 4), generator=torch.Generator().manual_seed(0)), 3, 2, 0.5
    )
    states = torch.tensor(list(itertools.product(range(3), repeat=4)))
    laws = [law.view(*[3] * (length + 1)) for length, law in enumerate(model.laws)]
    steps = [laws[min(i, 2)][tuple(states.T[max(0, i - 2) : i + 1])] for i in range(4)]
    exact = EmpiricalDenoiser(states, 3, torch.stack(steps).prod(0))
    t = torch.linspace(1e-5, 1, len(states))
    torch.testing.assert_close(
        model.log_probs(states, t).exp().double(),
        exact.log_probs(states, t).exp(),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.slow
def test_a_fifth_of_the_models_finds_n_star_of_the_dense_sweep(
    text: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Six do. All 54 know it to a factor of 2.1, which is what 32 sequences of either kind
    allow."""
    done: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    candidates = np.array(SIZES, dtype=float)
    while True:
        sizes = sorted(done)
        train, test = (np.array([done[n][side] for n in sizes]).T for side in (0, 1))
        decision = decide(np.array(sizes, dtype=float), train, test, candidates, precision=2.5)
        if not decision.sizes:
            break
        done |= {n: measured(*text, n) for n in decision.sizes}
    assert "n* is known to a factor of" in decision.reason
    assert decision.found.ci is not None
    assert decision.found.ci[0] <= OF_ALL <= decision.found.ci[1]
    assert len(done) <= len(SIZES) / 5


@pytest.mark.slow
def test_the_dense_sweep_goes_from_memorizing_to_the_source(
    text: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """At both ends the answer is known: training rows by heart, and any row as well as the source
    itself has it."""
    train, test = (
        np.array(side).T for side in zip(*(measured(*text, n) for n in SIZES), strict=True)
    )
    found = recovery_transition(np.array(SIZES, dtype=float), train, test)
    assert found.n_star == pytest.approx(OF_ALL, rel=0.02)
    assert found.ci is not None
    assert found.ci[0] < OF_ALL < found.ci[1]
    assert np.nanmean(train[:, 0]) > 0.9
    assert np.nanmean(test[:, 0]) < 0.1
    for side, tokens in zip((train, test), text, strict=True):
        assert np.nanmean(side[:, -1]) == pytest.approx(
            np.nanmean(recovered(SOURCE, tokens[:ROWS])), abs=0.02
        )

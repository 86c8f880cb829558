"""Membership beside a base model: nothing where there is nothing, much where rows are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from attractor.analysis.detection import auroc
from attractor.audits.base import require_base
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.probes import sama
from attractor.probes.calibrated import time_of
from attractor.process.registry import make_process
from attractor.process.schedule import LogLinear
from attractor.theory import EmpiricalDenoiser, MixtureDenoiser, random_source
from attractor.types import AttractorError

V, LENGTH, N = 8, 24, 40


@pytest.mark.parametrize("masks", [False, True])
def test_a_model_beside_itself_says_nothing(masks: bool) -> None:
    source = random_source(V, 0.5, seed=1, masks=masks)
    score = sama(source, source, source.sample(20, LENGTH, seed=1)).numpy()
    assert score == pytest.approx(0.5)
    assert auroc(score[:10], score[10:]).value == 0.5


def test_a_model_of_hybrid_noise_beside_itself_says_nothing() -> None:
    process = make_process("hybrid", V, 0.2)
    torch.manual_seed(0)
    network = DDiT(process.vocab_size, 16, n_blocks=1, n_heads=2, cond_dim=8, dropout=0.0)
    model = NetworkDenoiser(network, process, LENGTH)
    assert sama(model, model, torch.randint(V, (4, LENGTH))).numpy() == pytest.approx(0.5)


@pytest.mark.parametrize("masks", [False, True])
def test_stored_rows_stand_out_beside_a_base_that_has_not_stored_them(masks: bool) -> None:
    source = random_source(V, 0.5, seed=1, masks=masks)
    rows = source.sample(2 * N, LENGTH, seed=1)
    heart = EmpiricalDenoiser(rows[:N], V, masks=masks)
    model = MixtureDenoiser([source, heart], [0.5, 0.5])
    score = sama(model, source, rows).numpy()
    assert auroc(score[:N], score[N:]).value > 0.95
    assert score[:N].mean() > 0.9


@pytest.mark.parametrize("masks", [False, True])
def test_a_base_of_other_noise_says_less(masks: bool) -> None:
    """Masks tell a model which tokens are noise, and uniform noise does not: one of the two wins
    most votes on every row, which leaves less to tell rows by."""
    source = random_source(V, 0.5, seed=1, masks=masks)
    rows = source.sample(2 * N, LENGTH, seed=1)
    heart = EmpiricalDenoiser(rows[:N], V, masks=masks)
    model = MixtureDenoiser([source, heart], [0.5, 0.5])
    score = sama(model, random_source(V, 0.5, seed=1, masks=not masks), rows).numpy()
    low, _ = auroc(score[:N], score[N:]).ends()
    assert low > 0.5


@pytest.mark.parametrize("masks", [False, True])
def test_the_null_of_another_language_as_base(masks: bool) -> None:
    """Rows of one law on both sides: their AUROC is a coin's; 2 cases at 5%, of a fixed seed."""
    source = random_source(V, 0.5, seed=1, masks=masks)
    rows = source.sample(2 * N, LENGTH, seed=3)
    score = sama(source, random_source(V, 0.5, seed=2, masks=masks), rows).numpy()
    low, high = auroc(score[:N], score[N:]).ends()
    assert low < 0.5 < high


class Fixed(Denoiser):
    """Takes every token for drawn from one law, whatever stands beside it."""

    def __init__(self, law: tuple[float, ...], masks: bool) -> None:
        self.process = make_process("absorbing" if masks else "uniform", len(law), 0.0)
        self.seq_len = LENGTH
        self.law = torch.tensor(law).log()

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        full = self.law.expand(*x_t.shape, len(self.law))
        return full if where is None else full[where]


LAWS = ((0.5, 0.2, 0.3), (0.3, 0.4, 0.3))
"""Of a model and its base: token 0 is known better by the one, 1 by the other, 2 is a tie."""
KINDS = np.array([1.0, 0.0, 0.5])
"""The score of a row of nothing but that token."""


@pytest.mark.parametrize("masks", [False, True])
def test_the_score_of_rows_of_which_every_vote_is_known(masks: bool) -> None:
    model, base = (Fixed(law, masks) for law in LAWS)
    rows = torch.arange(3)[:, None].expand(3, LENGTH)
    assert sama(model, base, rows).numpy() == pytest.approx(KINDS, abs=1e-12)


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ((0.4, 0.4, 0.2), (0.4, 0.4, 0.2)),  # a coin, most of it without ties
        ((0.1, 0.1, 0.8), (0.1, 0.1, 0.8)),  # a coin, most of it ties
        ((0.6, 0.2, 0.2), (0.2, 0.6, 0.2)),
        ((0.97, 0.01, 0.02), (0.1, 0.8, 0.1)),
    ],
)
def test_the_interval_of_its_auroc_covers(
    train: tuple[float, ...], test: tuple[float, ...], n: int
) -> None:
    """Rows of these three kinds, in known shares, have an area that is known exactly; 95% of the
    intervals are to hold it. All 8 cases together fail once in 1,000 times if they do."""
    likely = np.outer(train, test)
    area = float((likely * (KINDS[:, None] > KINDS)).sum() + np.trace(likely) / 2)
    rng, draws = np.random.default_rng(0), 500
    held = 0
    for _ in range(draws):
        low, high = auroc(*(rng.choice(KINDS, n, p=share) for share in (train, test))).ends()
        held += low <= area <= high
    assert held >= binom.ppf(0.001 / 8, draws, 0.95)


def test_the_share_that_is_noise_gives_the_time() -> None:
    assert time_of(LogLinear(1e-3), 0.5) == pytest.approx(0.5 / 0.999, abs=1e-9)


def test_a_base_of_another_vocabulary_is_refused_in_one_line() -> None:
    a, b = random_source(V, 0.5, seed=1), random_source(V + 1, 0.5, seed=1)
    with pytest.raises(AttractorError, match="knows 9 tokens of text and the audited one 8") as e:
        require_base(a, b, LENGTH, (None, None))
    assert "\n" not in str(e.value)
    store = EmpiricalDenoiser(torch.zeros(2, 5, dtype=torch.long), V)
    with pytest.raises(AttractorError, match=r"rows of 5 tokens and the audited one 24"):
        require_base(a, store, LENGTH, (None, None))
    require_base(a, random_source(V, 0.5, seed=1, masks=True), LENGTH, (None, None))

"""The exact Denoisers as controls of every probe: their answers are known before the probe runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from attractor.analysis.statistics import difference_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements import measure, rows_of
from attractor.measurements.texts import Texts
from attractor.probes import (
    conditional_entropy,
    fixed_points,
    likelihood,
    random_tokens,
    recovery,
    sample,
)
from attractor.results.tables import read_arrays, write_tokens
from attractor.theory.solvable import EmpiricalDenoiser, MarkovDenoiser, ordinary_posterior
from attractor.theory.sources import random_source

V, L, N = 8, 16, 200


@pytest.fixture(scope="module")
def source() -> MarkovDenoiser:
    return random_source(V, seed=1)


@pytest.fixture(scope="module")
def train(source: MarkovDenoiser) -> Tensor:
    return source.sample(N, L, seed=1).unique(dim=0)


@pytest.fixture(scope="module")
def unseen(source: MarkovDenoiser, train: Tensor) -> Tensor:
    rows = source.sample(2 * N, L, seed=2).unique(dim=0)
    return rows[~(rows[:, None] == train).all(-1).any(1)][:N]


@pytest.fixture(scope="module")
def memorizer(train: Tensor) -> EmpiricalDenoiser:
    return EmpiricalDenoiser(train, V)


def test_memorizer_recovers_training_rows_and_no_others(
    memorizer: EmpiricalDenoiser, train: Tensor, unseen: Tensor
) -> None:
    """With one or two of 16 tokens changed it puts every training row back; an unseen row is no row
    it can return.

    Rows that lie within two tokens of another training row are left out: there even the exact
    answer is a guess.
    """
    apart = (train[:, None] != train).sum(-1).fill_diagonal_(L).amin(1) > 6
    found = recovery(memorizer, train, 0.05, steps=200, repeats=4, batch_size=N)
    touched = found.perturbed.sum(-1)
    easy = (touched > 0) & (touched <= 2) & apart
    assert easy.sum() > 50
    assert found.restored.all(-1)[easy].all()
    failed = recovery(memorizer, unseen, 0.05, steps=200, batch_size=N)
    assert not failed.restored.all(-1).any()
    assert failed.rate < found.rate - 0.4
    assert failed.unstable_rate > 0.1


def test_memorizer_has_vanishing_entropy_and_fixed_points_exactly_on_its_training_set(
    memorizer: EmpiricalDenoiser, train: Tensor, unseen: Tensor
) -> None:
    """A training token is certain unless another training row differs in it alone."""
    differ = (train[:, None] != train).sum(-1)
    twin = (differ == 1).any(1)
    entropy = conditional_entropy(memorizer, train).per_token[~twin]
    assert (entropy < 0.01).all()
    assert fixed_points(memorizer, train, steps=100).stays[~twin].all()
    assert fixed_points(memorizer, unseen, steps=100).sequences == 0
    assert fixed_points(memorizer, random_tokens(50, L, V), steps=100).sequences == 0


def test_memorizer_writes_its_training_set(memorizer: EmpiricalDenoiser, train: Tensor) -> None:
    written = sample(memorizer, 100, steps=300)
    assert (written[:, None] == train).all(-1).any(1).float().mean() > 0.95


@pytest.mark.parametrize("t", [0.1, 0.5])
def test_generalizer_treats_train_and_test_alike(source: MarkovDenoiser, t: float) -> None:
    """Difference of recovery within 4 standard errors of zero: false alarm rate 6e-5."""
    a, b = (
        recovery(
            source, source.sample(400, L, seed), t, steps=200, batch_size=400
        ).rate_per_sequence()
        for seed in (1, 2)
    )
    a, b = a[~a.isnan()], b[~b.isnan()]
    error = (a.var() / len(a) + b.var() / len(b)).sqrt()
    assert (a.mean() - b.mean()).abs() < 4 * error
    interval = difference_interval(a.numpy(), b.numpy())
    assert interval.high - interval.low < 0.2


def test_generalizer_recovers_what_an_exact_posterior_can(source: MarkovDenoiser) -> None:
    """One changed token, nearly all noise gone: it returns with the probability the source gives
    it.

    Mean over sequences within 4 standard errors of the mean of r at the true token; false alarm
    rate 6e-5.
    """
    t = 0.02
    x = source.sample(3000, L, seed=3)
    found = recovery(source, x, t, steps=1000, batch_size=3000)
    single = found.perturbed[0].sum(1) == 1
    place = found.perturbed[0][single]
    x_t, clean = found.corrupted[0][single], x[single]
    log_r = source.log_probs(x_t, torch.full((len(x_t),), t))
    # The reverse process started at t draws from the law of x_0 given all of x_t.
    alpha = source.process.schedule.alpha(torch.full((len(x_t),), t, dtype=torch.float64))
    p = ordinary_posterior(log_r, x_t, alpha).exp().gather(-1, clean[..., None])[..., 0][place]
    returned = found.restored[0][single][place].double()
    error = (p * (1 - p)).sum().sqrt()
    assert len(p) > 500
    assert (returned - p).sum().abs() < 4 * error + 0.01 * len(p)  # the grid has steps


def test_generalizer_entropy_meets_the_closed_form(source: MarkovDenoiser) -> None:
    """Inner tokens at t = 1e-5 against H(x_l | neighbours), over sequences: within 4 standard
    errors, rate 6e-5."""
    x = source.sample(2000, L, seed=4)
    inner = conditional_entropy(source, x).per_token[:, 1:-1].mean(1)
    assert (inner.mean() - source.token_entropy()).abs() < 4 * inner.std() / len(inner) ** 0.5
    assert 4 * inner.std() / len(inner) ** 0.5 < 0.02


@pytest.mark.parametrize("which", ["memorizer", "generalizer"])
def test_likelihood_probe_meets_the_exact_likelihood(
    which: str, source: MarkovDenoiser, memorizer: EmpiricalDenoiser, train: Tensor
) -> None:
    """Monte-Carlo NELBO against -log P in nats per token: within 4 standard errors and the 1e-3
    left at the ends."""
    denoiser = memorizer if which == "memorizer" else source
    found = likelihood(denoiser, train, draws=32).per_sequence().double() - denoiser.nll(train) / L
    error = found.std() / len(found) ** 0.5
    assert found.mean().abs() < 4 * error + 1e-3
    assert error < 0.05


@pytest.mark.slow
def test_generated_text_has_the_likelihood_of_the_source(source: MarkovDenoiser) -> None:
    """Ancestral samples are draws from the source: mean -log P within 4.5 standard errors, false
    alarm rate 1e-5."""
    written = sample(source, 600, L, steps=300, noise_removal="ancestral")
    a, b = source.nll(written).numpy() / L, source.nll(source.sample(2000, L, seed=5)).numpy() / L
    error = np.sqrt(a.var() / len(a) + b.var() / len(b))
    assert abs(a.mean() - b.mean()) < 4.5 * error + 0.01
    assert stats.ks_2samp(a, b).pvalue > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("which", ["memorizer", "generalizer"])
def test_controls_go_through_the_whole_pipeline(
    which: str,
    source: MarkovDenoiser,
    memorizer: EmpiricalDenoiser,
    train: Tensor,
    unseen: Tensor,
    tmp_path: Path,
) -> None:
    """Every number is finite, an interval is missing where none is meant, and where the answer is
    known it is found."""
    denoiser = memorizer if which == "memorizer" else source
    config = ProbeConfig(t=(0.2,), rows=40, test_rows=40, steps=100, generated=40)
    seen, new = train.numpy(), unseen.numpy()
    texts = Texts(seen[:40], new[:40], seen, seen[40:], new[40:], str)
    write_tokens(tmp_path, measure(denoiser, texts, config))
    rows = {(r.measurement, r.split): r for r in rows_of(read_arrays(tmp_path))}
    numbers = [x for r in rows.values() for x in (r.value, r.low, r.high) if x is not None]
    assert np.isfinite(numbers).all()
    bare = {r.measurement.removesuffix("_chance") for r in rows.values() if r.low is None}
    distances = {
        f"gap_{name}" for name in ("ks", "wasserstein", "energy", "hedges_g", "cliffs_delta")
    }
    assert bare == distances | {
        "nelbo_time_error",
        "bin_confidence",
        *(f"distinct_{k}" for k in (1, 2, 3)),
    }
    likely = rows["nelbo_per_token", "train"]
    exact = denoiser.nll(train[:40]).mean().item() / L
    assert abs(likely.value - exact) < (likely.high - likely.low) + 1e-3
    gap = rows["recovery_rate", "train"].value - rows["recovery_rate", "test"].value
    assert gap > 0.3 if which == "memorizer" else abs(gap) < 0.15
    for sense in ("fixed_sequences", "posterior_fixed_sequences"):
        assert (rows[sense, "test"].value == 0) == (which == "memorizer")
    assert (rows["kappa", "test"].value > 20) == (which == "memorizer")
    if which == "generalizer":
        assert rows["posterior_fixed_sequences", "test"].value == 1
        assert 0.8 < rows["kappa", "test"].value < 1.25

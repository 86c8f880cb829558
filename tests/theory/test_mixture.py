"""Exact laws behind masks, and mixtures, against enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from attractor import AttractorError, Denoiser
from attractor.probes import sample
from attractor.theory import EmpiricalDenoiser, MarkovDenoiser, MixtureDenoiser, random_source

V, LENGTH = 3, 3
ALL = torch.tensor(list(itertools.product(range(V), repeat=LENGTH)))


def law_of(source: MarkovDenoiser) -> Tensor:
    return (-source.nll(ALL)).exp()


def leave_one_out(law: Tensor, model: Denoiser, x_t: Tensor, t: float) -> Tensor:
    """r_l(v) by summing over all texts, (L, V)."""
    alpha = model.process.schedule.alpha(torch.tensor(t).double())
    if model.process.mask_id is None:
        given = torch.where(x_t == ALL, alpha + (1 - alpha) / V, (1 - alpha) / V)
    else:
        given = torch.where(x_t == V, 1 - alpha, torch.where(x_t == ALL, alpha, 0.0))
    found = torch.zeros(LENGTH, V, dtype=torch.float64)
    for position in range(LENGTH):
        others = torch.arange(LENGTH) != position
        weight = law * given[:, others].prod(1)
        found[position].index_add_(0, ALL[:, position], weight)
    return found / found.sum(1, keepdim=True)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_mixture_is_the_law_by_enumeration(masks: bool, share: float) -> None:
    source = random_source(V, 0.5, seed=1, masks=masks)
    rows = torch.tensor([[0, 1, 2], [2, 2, 0], [2, 2, 0]])
    store = EmpiricalDenoiser(rows, V, masks=masks)
    stored = torch.zeros(len(ALL), dtype=torch.float64)
    for row in rows:
        stored[(row == ALL).all(1)] += 1 / len(rows)
    law = share * stored + (1 - share) * law_of(source)
    model = MixtureDenoiser([store, source], [share, 1 - share])
    asked = [[0, 1, 2], [2, 0, 0], [1, 1, 1]]
    if masks:
        asked = [[0, V, V], [V, V, V], [2, 2, V]]
    for x_t in map(torch.tensor, asked):
        for t in (0.25, 0.875):  # which single precision has too
            wanted = leave_one_out(law, model, x_t, t)
            found = model.log_probs(x_t[None], torch.tensor([t]))[0].exp()
            where = x_t == V if masks else torch.ones(LENGTH, dtype=torch.bool)
            torch.testing.assert_close(found[where][:, :V], wanted[where], rtol=1e-9, atol=1e-12)
            some = model.log_probs(x_t[None], torch.tensor([t]), where[None]).exp()
            torch.testing.assert_close(some, found[where])


@pytest.mark.slow
@pytest.mark.parametrize("masks", [False, True])
def test_a_mixture_writes_stored_rows_as_often_as_its_share(masks: bool) -> None:
    """400 generations at 30%; 5 standard errors are 11%."""
    source = random_source(20, 1.0, seed=1, masks=masks)
    rows = source.sample(5, 12, seed=3)
    store = EmpiricalDenoiser(rows, 20, masks=masks)
    model = MixtureDenoiser([store, source], [0.3, 0.7])
    made = sample(model, 400, 12, steps=64)
    share = (made[:, None] == rows).all(-1).any(1).double().mean()
    assert share == pytest.approx(0.3, abs=0.115)


def test_only_laws_of_one_kind_are_mixed() -> None:
    plain, masked = (random_source(V, 0.5, seed=1, masks=masks) for masks in (False, True))
    with pytest.raises(AttractorError, match="the laws differ"):
        MixtureDenoiser([plain, masked], [0.5, 0.5])
    with pytest.raises(AttractorError, match="positive weight"):
        MixtureDenoiser([plain], [0.0])

"""Settling and recombination of texts of exact models."""

from __future__ import annotations

import pytest
import torch

from attractor import AttractorError
from attractor.analysis.collisions import collisions
from attractor.audits.measure import same_text
from attractor.probes import calibration, recombined, recovery, settled, some_positions
from attractor.theory import EmpiricalDenoiser, MarkovDenoiser, random_source

LENGTH = 24


@pytest.fixture(scope="module")
def source() -> MarkovDenoiser:
    return random_source(12, 0.3, seed=1)


def test_a_store_falls_into_its_patterns_and_is_a_store_then(source: MarkovDenoiser) -> None:
    """Whatever a store is started from ends in a stored row, and stays there."""
    rows = source.sample(8, LENGTH, seed=1)
    store = EmpiricalDenoiser(rows, 12)
    ends = settled(store, source.sample(20, LENGTH, seed=2), rounds=3)
    among = (ends[:, None] == rows).all(-1).any(1)
    assert among.all()


def test_the_law_of_a_source_is_not_changed(source: MarkovDenoiser) -> None:
    """Mean nats per token before and after; 4 standard errors, so that it fails once in 16,000."""
    start = source.sample(128, LENGTH, seed=3)
    nats = [source.nll(x) / LENGTH for x in (start, settled(source, start, rounds=1, steps=64))]
    error = (sum(x.var() for x in nats) / 128).sqrt()
    assert abs(nats[0].mean() - nats[1].mean()) < 4 * error


def test_rows_do_not_depend_on_their_neighbours(source: MarkovDenoiser) -> None:
    start = source.sample(6, LENGTH, seed=4)
    whole = settled(source, start, rounds=2)
    assert torch.equal(whole[4:], settled(source, start[4:], rounds=2, first=4))
    assert torch.equal(settled(source, start, rounds=0), start)
    with pytest.raises(AttractorError, match="rounds = -1"):
        settled(source, start, rounds=-1)


def test_halves_of_different_texts_are_joined() -> None:
    tokens = torch.tensor([[0] * 12, [0] * 12, [1] * 12, [2] * 12])
    apart = torch.tensor(~same_text(tokens.numpy()))
    found = recombined(tokens, apart, reach=3)
    assert found.first.tolist() == [0, 1, 2, 3]
    assert found.second.tolist() == [2, 2, 3, 0]  # the next one that is another text
    assert found.tokens[1].tolist() == [0] * 6 + [1] * 6
    assert found.inner.tolist() == [True] * 3 + [False] * 6 + [True] * 3
    with pytest.raises(AttractorError, match="0 pairs of them different"):
        recombined(tokens[:2], apart[:2, :2])


@pytest.mark.parametrize("masks", [False, True])
def test_a_language_is_closed_under_recombination_and_a_store_is_not(masks: bool) -> None:
    """kappa of recombined text is 1 for the source and far above it for a store of its rows."""
    source = random_source(12, 0.3, seed=1, masks=masks)
    rows = source.sample(120, LENGTH, seed=5)
    made = recombined(rows, ~torch.eye(len(rows), dtype=torch.bool))
    store = EmpiricalDenoiser(rows, 12, masks=masks)
    at = some_positions(made.inner, 6)
    assert int(at.sum()) == 6
    assert not (at & ~made.inner).any()
    assert calibration(source, made.tokens, frozen=~at).kappa == pytest.approx(1, abs=0.15)
    assert calibration(store, made.tokens, frozen=~at).kappa > 10
    back = [recovery(store, x, 0.15, 32).rate for x in (rows, made.tokens)]
    assert back[0] > 0.95
    assert back[1] < 0.7


def test_the_effective_number_of_texts_is_the_size_of_a_store(source: MarkovDenoiser) -> None:
    rows = source.sample(20, LENGTH, seed=7)
    ends = settled(EmpiricalDenoiser(rows, 12), source.sample(60, LENGTH, seed=8), rounds=2)
    found = collisions(same_text(ends.numpy())).texts
    assert found.low is not None
    assert found.high is not None
    # Basins are not of one size, so that the number is at most that of the rows.
    assert found.low < 20
    assert found.value < 30

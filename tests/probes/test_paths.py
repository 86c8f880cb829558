"""Trajectories, basin radii, twins, Min-K%++ and the prior term on denoisers whose answers are
known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mocks import Certain, Ignorant, V

from attractor import AttractorError, UniformProcess
from attractor.probes import (
    Trajectory,
    Twins,
    basin_radii,
    conditionals,
    random_tokens,
    sample,
    twins,
)
from attractor.probes.trajectory import shape_of
from attractor.results.thresholds import PATH_TIMES
from attractor.theory.solvable import EmpiricalDenoiser
from attractor.theory.sources import random_source

SEQUENCE = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_shape_of_a_distribution_by_hand() -> None:
    shape = shape_of(torch.tensor([[0.5, 0.3, 0.2, 0.0]]).log())
    entropy = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    expected = (entropy, 1 - 0.25 - 0.09 - 0.04, 0.2, 0.5)
    assert [x.item() for x in shape] == pytest.approx(expected, abs=1e-6)


def test_trajectory_of_known_denoisers() -> None:
    watch = Trajectory(30)
    sample(Ignorant(), 30, seq_len=12, steps=100, callback=watch)
    means = watch.means()
    assert means["entropy"].shape == (30, len(PATH_TIMES))
    for name, value in (
        ("entropy", math.log(V)),
        ("uncertainty", 1 - 1 / V),
        ("gap", 0),
        ("top", 1 / V),
    ):
        seen = means[name][~means[name].isnan()]
        assert len(seen) > 300
        assert seen.numpy() == pytest.approx(np.full(len(seen), value), abs=1e-5)
    watch = Trajectory(5)
    plain = sample(Certain(SEQUENCE), 5, steps=50)
    assert torch.equal(sample(Certain(SEQUENCE), 5, steps=50, callback=watch), plain)
    assert watch.means()["top"].nanmean() == pytest.approx(1, abs=1e-6)
    assert (
        watch.count.view(5, -1)[:, 0].tolist() == [12] * 5
    )  # every token is looked at in the last step


def test_a_sequence_that_is_known_returns_from_everywhere_and_another_from_nowhere() -> None:
    tokens = torch.tensor([SEQUENCE, [(v + 1) % V for v in SEQUENCE]])
    found = basin_radii(Certain(SEQUENCE), tokens, rounds=4, steps=40)
    assert found.resolution == 1 / 16
    assert found.per_sequence[0] > 0.5
    assert found.per_sequence[1] == 0


@pytest.mark.slow
def test_radius_of_the_exact_memorizer() -> None:
    """Two sequences that differ at every token: the true one wins while it explains more of the
    corrupted tokens."""
    patterns = torch.stack([torch.zeros(40), torch.ones(40)]).long()
    found = basin_radii(EmpiricalDenoiser(patterns, 6), patterns.repeat(8, 1), rounds=5, steps=60)
    assert (found.per_sequence > 0.4).all()
    foreign = basin_radii(
        EmpiricalDenoiser(patterns, 6), torch.full((4, 40), 3), rounds=4, steps=60
    )
    assert (foreign.per_sequence == 0).all()


def test_twins_agree_beyond_chance_only_where_the_noise_decides() -> None:
    source = random_source(12, 0.3, seed=0)
    same = twins(source, source, 20, seq_len=12, steps=20)
    assert same.agreement().tolist() == [1] * 20
    assert same.chance().mean() < 0.5
    by_chance = Twins(random_tokens(200, 12, V), random_tokens(200, 12, V))
    assert by_chance.chance().mean() == pytest.approx(1 / V, abs=0.02)  # five standard errors
    other = twins(Certain(SEQUENCE), Certain([(v + 1) % V for v in SEQUENCE]), 4, steps=20)
    assert other.agreement().tolist() == [0] * 4
    with pytest.raises(AttractorError, match="n = 1"):
        twins(Ignorant(), Ignorant(), 1, seq_len=4)


def test_conditionals_by_hand() -> None:
    denoiser = Certain([0] * 4, 0.9)
    found = conditionals(denoiser, torch.tensor([[0, 0, 1, 0]]), seed=0)
    p = np.array([0.9] + [0.02] * 5)
    mean, spread = (
        (p * np.log(p)).sum(),
        math.sqrt((p * np.log(p) ** 2).sum() - (p * np.log(p)).sum() ** 2),
    )
    assert found.entropy[0].tolist() == pytest.approx([-mean] * 4, abs=1e-5)
    assert found.log_prob[0].tolist() == pytest.approx(
        [math.log(0.9), math.log(0.9), math.log(0.02), math.log(0.9)], abs=1e-5
    )
    assert found.log_spread[0].tolist() == pytest.approx([spread] * 4, abs=1e-5)
    assert found.min_k(0.25).item() == pytest.approx((math.log(0.02) - mean) / spread, abs=1e-3)


def test_what_is_left_at_the_end_is_counted() -> None:
    process = UniformProcess(7)
    law = np.full(7, (1 - 1e-3) / 7)
    law[0] += 1e-3
    assert process.prior_cost() == pytest.approx((law * np.log(7 * law)).sum(), rel=1e-6)


def test_random_tokens_have_no_basin() -> None:
    radii = basin_radii(Ignorant(), random_tokens(20, 12, V), rounds=3, steps=20).per_sequence
    assert radii.mean() < 0.2

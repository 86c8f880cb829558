"""Spin memories against what is known of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from attractor.theory import capacities, spins
from attractor.theory.solvable import SpinDenoiser
from attractor.theory_page import experiments
from attractor.types import AttractorError


@pytest.mark.parametrize("load", [0.1, 0.14])
def test_hebb_error_meets_the_theory(load: float) -> None:
    """Spins of stored patterns flipped in one step, N = 1500, four seeds; finite P counted exactly.

    Errors of one pattern are nearly independent; five binomial standard errors plus 2% for finite
    N: false alarm rate below 1e-5.
    """
    n, p = 1500, round(1500 * load)
    x = torch.stack([spins.random_patterns(p, n, seed) for seed in range(4)])
    wrong = (1 - spins.stable_share(spins.Couplings(spins.hebb(x)), x)).sum().item() * n
    expected = capacities.hebb_error((p - 1) / n) * x.numel()
    assert expected > 500
    assert abs(wrong - expected) < 5 * math.sqrt(expected) + 0.02 * expected


def test_pseudo_inverse_margins_are_exact() -> None:
    x = spins.random_patterns(60, 200).double()
    p = spins.projector(x)
    diagonal = p.diagonal()
    assert diagonal.mean().item() == pytest.approx(0.3, abs=1e-9)
    expected = ((1 - diagonal) / diagonal).sqrt().expand(60, -1)
    torch.testing.assert_close(
        spins.margins(spins.pseudo_inverse(x), x), expected, rtol=1e-8, atol=1e-8
    )
    assert expected.mean().item() == pytest.approx(capacities.pseudo_inverse_margin(0.3), rel=0.02)


def test_the_first_step_of_pseudo_likelihood_is_hebbian_storage() -> None:
    x = spins.random_patterns(20, 100)
    first, hebb = spins.pseudo_likelihood(x, steps=1), spins.hebb(x)
    torch.testing.assert_close(first / first.norm(), hebb / hebb.norm())


def test_the_gradient_is_hebbian_storage_weighted_by_the_margin() -> None:
    x = spins.random_patterns(7, 20).double()
    j = spins.without_diagonal(
        torch.randn(20, 20, generator=torch.Generator().manual_seed(0)).double()
    )
    j.requires_grad_()
    (gradient,) = torch.autograd.grad(spins.pseudo_likelihood_loss(j, x), j)
    margin = x * (x @ j.mT)
    storage = -((x * (1 - margin.tanh())).mT @ x) / x.numel()
    torch.testing.assert_close(gradient, storage)
    h = x @ j.mT
    torch.testing.assert_close(
        spins.pseudo_likelihood_loss(j, x), (-x * h + (2 * h.cosh()).log()).mean()
    )


def test_the_loss_is_the_cross_entropy_of_the_denoiser_that_wraps_it() -> None:
    """What a diffusion model holds as t -> 0 is what the spin network is trained on: nats per spin,
    to 1e-12."""
    x = spins.random_patterns(30, 40).double()
    j = spins.pseudo_likelihood(x, steps=5)
    tokens = (x > 0).long()
    log_r = SpinDenoiser(j).log_probs(tokens, torch.full((30,), 1e-5))
    held = -log_r.gather(-1, tokens[..., None]).mean()
    assert held.item() == pytest.approx(spins.pseudo_likelihood_loss(j, x).item(), abs=1e-12)


def test_training_lowers_the_loss_and_never_passes_gardners_margin() -> None:
    """At N = 400 the bound holds up to fluctuations of order 1/sqrt(N); without training it would
    be passed by none."""
    x = spins.random_patterns(80, 400, seed=2)
    losses, lowest = [], []

    def look(step: int, j: torch.Tensor) -> None:
        losses.append(spins.pseudo_likelihood_loss(j, x).item())
        lowest.append(spins.margins(j, x).amin(0).mean().item())

    spins.pseudo_likelihood(x, steps=200, on_step=look)
    assert all(b < a for a, b in itertools.pairwise(losses))
    bound = capacities.max_margin(0.2)
    assert 0.93 * bound < lowest[-1] < 1.05 * bound


def test_symmetric_couplings_stay_symmetric_and_store() -> None:
    x = spins.random_patterns(20, 100)
    j = spins.pseudo_likelihood(x, steps=50, symmetric=True)
    assert torch.equal(j, j.mT)
    assert spins.asymmetry(j) == 0
    assert (spins.margins(j, x) > 0).all()
    upper = torch.triu(torch.ones(5, 5), 1)
    assert spins.asymmetry(upper - upper.T).item() == pytest.approx(1)


def test_no_corruption_below_the_floor_survives_one_step() -> None:
    """The worst flips for each spin, found greedily, below (kappa/2)^2 n in number: the spin still
    comes out right."""
    x = spins.random_patterns(10, 400)
    j = spins.pseudo_likelihood(x, steps=100)
    lowest = spins.margins(j, x).amin().item()
    flips = math.ceil(capacities.basin_floor(lowest, 400) * 400) - 1
    assert flips >= 5
    for pattern in x:
        support = (
            j * pattern * pattern[:, None]
        )  # what each spin adds to the field on each other, in its favour
        worst = support.topk(flips, 1).values.sum(1)
        assert (support.sum(1) - 2 * worst > 0).all()


@pytest.mark.parametrize("rule", ["Hebb", "pseudo-inverse", "pseudo-likelihood"])
def test_measured_basins_are_never_below_the_floor(rule: str) -> None:
    """Random flips of every number up to half of 100 spins, against the floor of each pattern's own
    lowest margin."""
    for p in (1, 2, 5, 20):
        x = torch.stack([spins.random_patterns(p, 100, seed) for seed in range(3)])
        j = {"Hebb": spins.hebb, "pseudo-inverse": spins.pseudo_inverse}.get(
            rule, spins.pseudo_likelihood
        )(x)
        shares = [k / 100 for k in range(51)]
        radius = spins.basin_radius(spins.retrieval_curve(spins.Couplings(j), x, shares), shares)
        lowest = spins.margins(j, x).amin(-1).clamp(min=0)
        floor = lowest.clone().apply_(lambda kappa: capacities.basin_floor(kappa, 100))
        assert (radius >= (100 * floor).ceil().sub(1) / 100 - 1e-6).all()
        assert p > 2 or (floor > 0.05).all()


def test_ties_keep_the_spin_and_do_not_touch_the_patterns() -> None:
    state = spins.random_patterns(5, 20)
    silent = spins.Couplings(torch.zeros(20, 20))
    assert torch.equal(spins.retrieve(silent, state), state)
    assert torch.equal(spins.retrieve(silent, state, asynchronous=True), state)


@pytest.mark.parametrize("degree", [2, 3, None])
def test_dense_field_is_the_energy_difference_of_a_flip(degree: int | None) -> None:
    x = spins.random_patterns(6, 12, seed=1).double()
    state = spins.random_patterns(3, 12, seed=2).double()

    def energy(s: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
        m = s @ x.T
        return -((m - top).exp() if degree is None else (m.clamp(min=0) / (top + 2)) ** degree).sum(
            1
        )

    top = (state @ x.T).amax(1, keepdim=True)
    field = spins.DenseMemory(x, degree).field(state)
    for i in range(12):
        up, down = state.clone(), state.clone()
        up[:, i], down[:, i] = 1, -1
        torch.testing.assert_close(field[:, i], (energy(down, top) - energy(up, top)))


def memories(x: torch.Tensor) -> dict[str, spins.Memory]:
    return {
        "hebb": spins.Couplings(spins.hebb(x)),
        "pseudo-likelihood": spins.Couplings(spins.pseudo_likelihood(x, 50)),
        "dense": spins.DenseMemory(x, 3),
        "exponential": spins.DenseMemory(x),
        "modern": spins.ModernHopfield(x),
    }


@pytest.mark.parametrize("name", ["hebb", "pseudo-likelihood", "dense", "exponential", "modern"])
def test_every_memory_retrieves_at_low_load_both_ways_and_in_batches(name: str) -> None:
    x = torch.stack([spins.random_patterns(4, 120, seed) for seed in range(2)])
    start = spins.flip(x, 0.2, seed=3)
    torch.testing.assert_close(spins.overlap(start, x), torch.full((2, 4), 0.6))
    both = memories(x)[name]
    for asynchronous in (False, True):
        end = spins.retrieve(both, start, asynchronous=asynchronous)
        assert (spins.overlap(end, x) > 0.97).all()
        alone = spins.retrieve(memories(x[1])[name], start[1], asynchronous=asynchronous)
        assert torch.equal(end[1], alone)


def test_asynchronous_hopfield_ends_in_a_minimum_near_the_predicted_overlap() -> None:
    """Load 0.1, N = 1000: mean overlap within 0.01 of the replica value, spread over patterns being
    larger."""
    x = spins.random_patterns(100, 1000, seed=5)
    memory = spins.Couplings(spins.hebb(x))
    end = spins.retrieve(memory, x[:40], asynchronous=True)
    assert torch.equal(end, spins.retrieve(memory, end))
    assert spins.overlap(end, x[:40]).mean().item() == pytest.approx(
        capacities.hopfield_overlap(0.1), abs=0.01
    )


def test_basin_radius_counts_only_an_unbroken_run() -> None:
    curve = torch.tensor([[1.0, 0.95, 0.5, 0.99], [0.2, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert spins.basin_radius(curve, (0.0, 0.1, 0.2, 0.3)).tolist() == pytest.approx(
        [0.1, 0.0, 0.3]
    )


def test_flips_are_exact_and_nested() -> None:
    x = spins.random_patterns(9, 50)
    few, many = spins.flip(x, 0.1, seed=1) != x, spins.flip(x, 0.3, seed=1) != x
    assert (few.sum(1) == 5).all()
    assert (many.sum(1) == 15).all()
    assert (many | ~few).all()


def test_hidden_manifold_is_nested_and_shares_its_features() -> None:
    small, large = (spins.hidden_manifold(p, 60, 12, test=5, seed=4) for p in (3, 30))
    assert torch.equal(small.features, large.features)
    assert torch.equal(small.test, large.test)
    assert set(large.train.unique().tolist()) == {-1.0, 1.0}
    # An unseen pattern overlaps 1/2 in the mean with each of its three features, whatever their
    # signs.
    top = spins.hidden_manifold(1, 2000, 12, test=40, seed=1)
    strongest = (top.test @ top.features.T / 2000).abs().topk(3, 1).values
    assert strongest.mean().item() == pytest.approx(0.5, abs=0.05)


def test_generalization_in_the_random_features_model() -> None:
    """Few patterns: the network holds them and little else. Many: train and unseen overlap meet,
    features are held."""
    few, many = experiments.measure_generalization(100, seeds=(0, 1, 2), per_feature=(0.5, 32.0))
    assert few.train.value > 0.99
    assert few.train.value - few.test.value > 0.4
    assert many.train.value - many.test.value < 0.06
    assert many.test.value > few.test.value + 0.1
    assert many.features.value > 0.95


def test_no_couplings_have_no_asymmetry_and_no_margin() -> None:
    nothing = torch.zeros(12, 12)
    assert spins.asymmetry(nothing) == 0
    assert not spins.margins(nothing, spins.random_patterns(3, 12)).any()


def test_everything_is_made_on_the_device_of_the_input() -> None:
    """Where the default device is another one, a tensor that forgot its device meets one of the
    input and fails."""
    with torch.device("meta"):
        found = experiments.measure_load(20, 0.1, seeds=(0, 1), device="cpu")
        points = experiments.measure_generalization(
            20, seeds=(0, 1), per_feature=(1.0,), device="cpu"
        )
    assert found.rules[0].radius.value > 0
    assert points[0].train.value > 0


def test_loads_are_those_of_whole_patterns_and_none_twice() -> None:
    found = experiments.measure_loads(10, (0.33, 0.3, 0.1), (0,))
    assert [load.load for load in found] == [0.1, 0.3]


def test_experiments_bring_intervals_over_seeds() -> None:
    found = experiments.measure_load(60, 0.1, seeds=(0, 1, 2))
    assert [rule.name for rule in found.rules][:3] == [
        "Hebb",
        "pseudo-inverse",
        "pseudo-likelihood",
    ]
    for rule in found.rules:
        assert len(rule.overlaps) == len(experiments.SHARES)
        for e in (*rule.overlaps, rule.radius, rule.stable):
            assert e.low is not None
            assert e.high is not None
            assert e.low <= e.value + 1e-6
            assert e.value <= e.high + 1e-6
    assert len(found.training.lowest) == len(experiments.STEPS)
    assert experiments.measure_load(60, 1.5, seeds=(0,)).rules[0].radius.low is None
    assert experiments.one_step_radius(2.0) == pytest.approx(0.1825, abs=5e-4)
    assert capacities.one_step_error(2.0, experiments.one_step_radius(2.0)) == pytest.approx(
        0.05, rel=1e-9
    )
    assert experiments.one_step_radius(0.0) == 0


def test_the_fewest_spins_are_enough() -> None:
    assert len(experiments.measure_generalization(10, (0,))) == 8


def test_a_power_that_no_float_holds_still_retrieves() -> None:
    x = spins.random_patterns(4, 120)
    end = spins.retrieve(spins.DenseMemory(x, 10**6), spins.flip(x, 0.2))
    assert (spins.overlap(end, x) > 0.97).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spins.random_patterns(3, 9), "n = 9"),
        (lambda: spins.random_patterns(0, 20), "p = 0"),
        (lambda: spins.random_patterns(3, 20, seed=-1), "seed = -1"),
        (lambda: spins.hebb(torch.full((2, 20), math.nan)), "found nan"),
        (lambda: spins.hebb(torch.zeros(2, 20)), "found 0"),
        (lambda: spins.hebb(torch.ones(0, 20)), r"\(0, 20\)"),
        (lambda: spins.pseudo_inverse(torch.full((2, 20), 2.0)), "found 2"),
        (lambda: spins.pseudo_likelihood(torch.full((2, 20), math.inf)), "found inf"),
        (lambda: spins.pseudo_likelihood(spins.random_patterns(2, 20), steps=0), "steps = 0"),
        (lambda: spins.DenseMemory(torch.full((2, 20), math.nan)), "found nan"),
        (lambda: spins.ModernHopfield(torch.full((2, 20), math.nan)), "found nan"),
        (lambda: spins.ModernHopfield(spins.random_patterns(2, 20), math.nan), "beta = nan"),
        (lambda: spins.ModernHopfield(spins.random_patterns(2, 20), 1e300), "1e[+]300"),
        (lambda: spins.Couplings(torch.full((20, 20), math.nan)), "finite"),
        (lambda: spins.Couplings(torch.full((20, 20), 1e38)), "finite.*inf"),
        (lambda: spins.Couplings(torch.zeros(20)), r"\(20,\)"),
        (
            lambda: spins.retrieve(spins.Couplings(torch.eye(20)), torch.full((2, 20), math.nan)),
            "found nan",
        ),
        (lambda: spins._check_spin_values(torch.ones(20)), r"\(20,\)"),
        (lambda: spins._check_spin_values(torch.ones(2, 20).long()), "torch.int64"),
        (lambda: spins.flip(torch.full((2, 20), math.nan), 0.1), "found nan"),
        (lambda: spins.flip(spins.random_patterns(2, 20), math.nan), "share = nan"),
        (lambda: spins.hidden_manifold(3, 20, 2, test=1), "active = 3"),
        (lambda: spins.hidden_manifold(3, 20, 8, test=1, active=2), "active = 2"),
        (lambda: spins.flip(spins.random_patterns(2, 20), 0.6), "0.6"),
        (lambda: spins.pseudo_inverse(spins.random_patterns(20, 20)), "load = 1"),
        (lambda: spins.DenseMemory(spins.random_patterns(2, 20), 1), "degree = 1"),
        (lambda: spins.ModernHopfield(spins.random_patterns(2, 20), 0.0), "beta = 0.0"),
        (lambda: experiments.measure_load(9, 0.1, (0,)), "n = 9"),
        (lambda: experiments.measure_load(10**12, 0.1, (0,)), "n = 1000000000000"),
        (lambda: experiments.measure_load(50, 0.1, (2**60,)), "seed = 1152921504606846976"),
        (lambda: experiments.measure_loads(50, (0.1, 2.5), (0,)), "load = 2.5"),
        (lambda: experiments.one_step_radius(math.nan), "kappa = nan"),
        (lambda: experiments.measure_load(50, 0.0, (0,)), "load = 0.0"),
        (lambda: experiments.measure_load(50, math.nan, (0,)), "load = nan"),
        (lambda: experiments.measure_load(50, 3.0, (0,)), "load = 3.0"),
        (lambda: experiments.measure_load(50, 0.019, (0,)), "load = 0.019"),
        (lambda: experiments.measure_load(50, 0.1, ()), "seeds"),
        (lambda: experiments.measure_load(50, 0.1, (3, 3)), "none twice"),
        (lambda: experiments.measure_loads(50, (), (0,)), "no loads"),
        (lambda: experiments.measure_generalization(50, ()), "seeds"),
        (
            lambda: experiments.measure_generalization(50, (0,), per_feature=(0.0,)),
            "per_feature = 0.0",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        call()

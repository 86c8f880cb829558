"""The measurements of the theory report: spin memories at several loads, over several seeds at
once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from attractor.analysis.training_runs import seed_reach
from attractor.results.estimate import Estimate
from attractor.theory import spins
from attractor.theory.capacities import basin_floor, check_spins
from attractor.theory.spins import Couplings, DenseMemory, Memory, ModernHopfield
from attractor.types import AttractorError

SHARES = tuple(round(0.025 * k, 3) for k in range(21))
"""Flipped shares, 0 to 1/2."""
STEPS = (1, 2, 4, 7, 12, 20, 35, 60, 100, 170, 300)
"""Steps of pseudo-likelihood training at which margins are looked at; the last one is where it
ends."""
PROBED = 100
"""Patterns of each seed whose basins are measured, at most."""
LARGEST = 2**15
"""Spins of a memory, at most."""
BINS = tuple(round(-6 + 0.15 * k, 3) for k in range(81))
"""Centres of the bins of a margin density."""


class Rule(NamedTuple):
    """One memory at one load."""

    name: str
    overlaps: tuple[Estimate, ...]
    """after retrieval, at each of `SHARES`"""
    radius: Estimate
    """mean basin radius, share of flipped spins"""
    stable: Estimate
    """share of spins of a stored pattern that stay"""
    fixed: Estimate
    """share of stored patterns that stay as a whole"""
    asymmetry: Estimate | None
    """of the couplings; None where there are none"""
    lowest_margin: Estimate | None
    floor: Estimate | None
    """share of flips, any flips, that every pattern surely survives: `basin_floor` of the lowest
    margin"""


class Training(NamedTuple):
    """Margins of the pseudo-likelihood couplings while they are trained."""

    lowest: tuple[Estimate, ...]
    """at each of `STEPS`"""
    median: tuple[Estimate, ...]
    density: tuple[tuple[float, ...], ...]
    """of the margins of the first seed on `BINS`, at each of `STEPS`"""


class Generalization(NamedTuple):
    """Overlap after retrieval in the random-features model, at one number of training patterns."""

    per_feature: float
    """training patterns per feature, P/D"""
    train: Estimate
    test: Estimate
    features: Estimate


class Load(NamedTuple):
    """Everything measured at one load."""

    load: float
    """patterns per spin, after rounding to whole patterns"""
    rules: tuple[Rule, ...]
    training: Training


def mean_over_seeds(
    values: Float[Tensor, "S"], low: float = -np.inf, high: float = np.inf
) -> Estimate:
    """Mean over seeds with Student's 95% interval, cut at the ends of what is possible.

    A single seed has no interval: it says nothing of the spread between seeds.
    """
    mean, n = values.double().mean().item(), len(values)
    if n < 2:
        return Estimate(mean)
    half = seed_reach(values.tolist())
    return Estimate(mean, max(low, mean - half), min(high, mean + half))


def check_inputs(n: int, loads: Sequence[float], seeds: Sequence[int]) -> None:
    """Raise AttractorError for anything that `measure_loads` would refuse, before it has measured
    for minutes."""
    check_spins(n)
    if n > LARGEST:
        raise AttractorError(
            f"n = {n} spins are too many: allowed are {LARGEST}, whose couplings take 4 GB a seed"
        )
    if not loads:
        raise AttractorError("no loads are given: at least one is needed")
    for load in loads:
        if not 1 / n <= load <= 2:
            raise AttractorError(
                f"load = {load} is outside [{1 / n:g}, 2]: at least one pattern, at most 2 for "
                "each spin"
            )
    _check_seeds(seeds)


def measure_load(
    n: int, load: float, seeds: Sequence[int], device: torch.device | str = "cpu"
) -> Load:
    """All memories at one load, each on the same patterns and the same flips.

    Raises:
        AttractorError: for what `check_inputs` refuses.
    """
    check_inputs(n, (load,), seeds)
    patterns = torch.stack(
        [spins.random_patterns(round(load * n), n, seed, device) for seed in seeds]
    )
    learned = {"Hebb": spins.hebb(patterns)}
    # With as many patterns as spins the projector is the identity, and its couplings are zero.
    if patterns.shape[1] < n:
        learned["pseudo-inverse"] = spins.pseudo_inverse(patterns)
    learned["pseudo-likelihood"], training = _train(patterns)
    memories: dict[str, Memory] = {name: Couplings(j) for name, j in learned.items()}
    memories |= {
        "dense, cubic": DenseMemory(patterns, degree=3),
        "dense, exponential": DenseMemory(patterns),
        "modern Hopfield": ModernHopfield(patterns),
    }
    rules = tuple(
        _rule(name, memory, patterns, learned.get(name)) for name, memory in memories.items()
    )
    return Load(patterns.shape[1] / n, rules, training)


def measure_loads(
    n: int,
    loads: Sequence[float],
    seeds: Sequence[int],
    device: torch.device | str = "cpu",
    on_progress: Callable[[str], None] = lambda done: None,
) -> tuple[Load, ...]:
    """`measure_load` at each load in ascending order; loads that come to the same number of
    patterns are one.

    Raises:
        AttractorError: for what `check_inputs` refuses.
    """
    check_inputs(n, loads, seeds)
    found: dict[float, Load] = {}
    for load in sorted(loads):
        if round(load * n) / n not in found:
            measured = measure_load(n, load, seeds, device)
            found[measured.load] = measured
            on_progress(f"spins at load {measured.load:g}")
    return tuple(found.values())


def measure_generalization(
    n: int,
    seeds: Sequence[int],
    per_feature: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    flipped: float = 0.1,
    device: torch.device | str = "cpu",
) -> tuple[Generalization, ...]:
    """Retrieval in the random-features model as the number of patterns grows.

    There are D = 0.3 n features, at least 4, of which 3 are mixed in a pattern; the couplings are
    those of pseudo-likelihood.

    Args:
        n: spins.
        seeds: of patterns and flips.
        per_feature: training patterns per feature, P/D.
        flipped: share of the spins that are flipped before retrieval.
        device: where to compute.

    Raises:
        AttractorError: for n < 10, no seeds or one twice, or a number of patterns per feature that
            leaves none.
    """
    check_spins(n)
    _check_seeds(seeds)
    d = max(4, round(0.3 * n))
    points = []
    for ratio in per_feature:
        if not 1 / d <= ratio < math.inf:
            raise AttractorError(
                f"per_feature = {ratio} leaves no pattern: with {d} features at least {1 / d:.2g}"
            )
        found = torch.stack(
            [_generalize(round(ratio * d), n, d, flipped, seed, device) for seed in seeds]
        )
        points.append(Generalization(ratio, *(mean_over_seeds(x, -1.0, 1.0) for x in found.T)))
    return tuple(points)


def one_step_radius(kappa: float) -> float:
    """Random flips after which one step leaves 5% of the spins wrong, if every margin is kappa.

    Raises:
        AttractorError: for kappa below zero.
    """
    if not 0 <= kappa < math.inf:
        raise AttractorError(f"kappa = {kappa} is outside [0, inf)")
    # With a share rho flipped, the field of a spin has mean kappa u and variance 1 - u^2, where
    # u = 1 - 2 rho. The share of spins that come out right is that wanted where
    # kappa u / sqrt(1 - u^2) is its normal quantile z.
    z = float(special.ndtri(spins.RETURNED))
    return (1 - z / math.hypot(z, kappa)) / 2


def _rule(name: str, memory: Memory, patterns: Tensor, couplings: Tensor | None) -> Rule:
    """Measure one memory; what is said of margins is for those that have couplings."""
    probed = patterns[:, :PROBED]
    curve = spins.retrieval_curve(memory, probed, SHARES)
    stable = spins.stable_share(memory, probed)
    asymmetry = lowest_margin = floor = None
    if couplings is not None:
        lowest = spins.margins(couplings, patterns).amin((1, 2))
        asymmetry = mean_over_seeds(spins.asymmetry(couplings), 0.0, 1.0)
        lowest_margin = mean_over_seeds(lowest)
        floor = mean_over_seeds(_floors(lowest, patterns.shape[-1]), 0.0, 1.0)
    return Rule(
        name=name,
        overlaps=tuple(mean_over_seeds(m, -1.0, 1.0) for m in curve.mean(1).T),
        radius=mean_over_seeds(spins.basin_radius(curve, SHARES).mean(1), 0.0, 0.5),
        stable=mean_over_seeds(stable.mean(1), 0.0, 1.0),
        fixed=mean_over_seeds((stable == 1).float().mean(1), 0.0, 1.0),
        asymmetry=asymmetry,
        lowest_margin=lowest_margin,
        floor=floor,
    )


def _floors(lowest: Float[Tensor, "S"], n: int) -> Float[Tensor, "S"]:
    return lowest.new_tensor([basin_floor(max(kappa, 0.0), n) for kappa in lowest.tolist()])


def _train(patterns: Float[Tensor, "S P N"]) -> tuple[Tensor, Training]:
    """Pseudo-likelihood couplings, and their margins on the way."""
    lowest, median, density = [], [], []

    def look(step: int, couplings: Tensor) -> None:
        if step in STEPS:
            margins = spins.margins(couplings, patterns).flatten(1)
            lowest.append(mean_over_seeds(margins.amin(1)))
            median.append(mean_over_seeds(margins.median(1).values))
            density.append(_density(margins[0].cpu().numpy()))

    couplings = spins.pseudo_likelihood(patterns, STEPS[-1], on_step=look)
    return couplings, Training(tuple(lowest), tuple(median), tuple(density))


def _density(margins: NDArray[np.float32]) -> tuple[float, ...]:
    width = BINS[1] - BINS[0]
    edges = np.append(np.array(BINS) - width / 2, BINS[-1] + width / 2)
    return tuple((np.histogram(margins, edges)[0] / (len(margins) * width)).tolist())


def _generalize(
    p: int, n: int, d: int, flipped: float, seed: int, device: torch.device | str
) -> Float[Tensor, "3"]:
    data = spins.hidden_manifold(p, n, d, test=PROBED, seed=seed, device=device)
    memory = Couplings(spins.pseudo_likelihood(data.train, steps=100))
    return torch.stack(
        [
            spins.overlap(spins.retrieve(memory, spins.flip(x, flipped, seed)), x).mean()
            for x in (data.train[:PROBED], data.test, data.features)
        ]
    )


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds or len(set(seeds)) < len(seeds):
        raise AttractorError(f"seeds = {tuple(seeds)}: at least one is needed, and none twice")
    for seed in seeds:
        spins.check_seed(seed)

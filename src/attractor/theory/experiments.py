"""The measurements of the theory report: spin memories at several loads, over several seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import optimize, stats
from torch import Tensor

from attractor.theory import spins
from attractor.theory.capacities import check_spins, one_step_error
from attractor.theory.spins import Couplings, DenseMemory, Memory, ModernHopfield
from attractor.types import AttractorError

SHARES = tuple(round(0.025 * k, 3) for k in range(21))
"""Flipped shares, 0 to 1/2."""
STEPS = (1, 2, 4, 7, 12, 20, 35, 60, 100, 170, 300)
"""Steps of pseudo-likelihood training at which margins are looked at; the last one is where it ends."""
PROBED = 100
"""Patterns of each seed whose basins are measured, at most."""


class Interval(NamedTuple):
    """Mean over seeds with its 95% interval; the ends are None for a single seed."""

    value: float
    low: float | None
    high: float | None


class Rule(NamedTuple):
    """One memory at one load."""

    name: str
    overlaps: tuple[Interval, ...]
    """after retrieval, at each of `SHARES`"""
    radius: Interval
    """mean basin radius, share of flipped spins"""
    stable: Interval
    """share of spins of a stored pattern that stay"""
    fixed: Interval
    """share of stored patterns that stay as a whole"""
    asymmetry: Interval | None
    """of the couplings; None where there are none"""
    lowest_margin: Interval | None


class Training(NamedTuple):
    """Margins of the pseudo-likelihood couplings while they are trained."""

    lowest: tuple[Interval, ...]
    """at each of `STEPS`"""
    median: tuple[Interval, ...]
    density: tuple[tuple[float, ...], ...]
    """of the margins of the first seed on `BINS`, at each of `STEPS`"""


class Generalization(NamedTuple):
    """Overlap after retrieval in the random-features model, at one number of training patterns."""

    per_feature: float
    """training patterns per feature, P/D"""
    train: Interval
    test: Interval
    features: Interval


class Load(NamedTuple):
    """Everything measured at one load."""

    load: float
    rules: tuple[Rule, ...]
    training: Training


BINS = tuple(round(-6 + 0.15 * k, 3) for k in range(81))
"""Centres of the bins of a margin density."""


def over_seeds(values: Float[Tensor, "S"], low: float = -np.inf, high: float = np.inf) -> Interval:
    """Mean over seeds with Student's 95% interval, cut at the ends of what is possible."""
    mean, n = values.double().mean().item(), len(values)
    if n < 2:
        return Interval(mean, None, None)
    half = float(stats.t.ppf(0.975, n - 1)) * values.double().std().item() / n**0.5
    return Interval(mean, max(low, mean - half), min(high, mean + half))


def measure_load(n: int, load: float, seeds: Sequence[int]) -> Load:
    """All memories at one load, each on the same patterns and the same flips.

    Raises:
        AttractorError: for n < 10, no seeds, or a load that leaves no pattern.
    """
    check_spins(n)
    if not seeds:
        raise AttractorError("no seeds are given: at least one is needed")
    if not (0 < load <= 2 and round(load * n) >= 1):
        raise AttractorError(f"load = {load} is outside [{1 / n:g}, 2]: at least one pattern, at most 2 for each spin")
    patterns = torch.stack([spins.random_patterns(round(load * n), n, seed) for seed in seeds])
    learned = {"Hebb": spins.hebb(patterns)}
    if patterns.shape[1] < n:
        learned["pseudo-inverse"] = spins.pseudo_inverse(patterns)
    learned["pseudo-likelihood"], training = _train(patterns)
    memories: dict[str, Memory] = {name: Couplings(j) for name, j in learned.items()}
    memories |= {
        "dense, cubic": DenseMemory(patterns, degree=3),
        "dense, exponential": DenseMemory(patterns),
        "modern Hopfield": ModernHopfield(patterns),
    }
    rules = tuple(_rule(name, memory, patterns, learned.get(name)) for name, memory in memories.items())
    return Load(load, rules, training)


def measure_generalization(
    n: int,
    seeds: Sequence[int],
    per_feature: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    flipped: float = 0.1,
) -> tuple[Generalization, ...]:
    """Random-features model with D = 0.3 n features, 3 in a pattern: pseudo-likelihood couplings as P/D grows."""
    check_spins(n)
    d = max(3, round(0.3 * n))
    points = []
    for ratio in per_feature:
        found = torch.stack([_generalize(max(1, round(ratio * d)), n, d, flipped, seed) for seed in seeds])
        points.append(Generalization(ratio, *(over_seeds(x, -1.0, 1.0) for x in found.T)))
    return tuple(points)


def one_step_radius(kappa: float) -> float:
    """Random flips after which one step leaves 5% of the spins wrong, if every margin is kappa."""
    wrong = 1 - spins.RETURNED
    return float(optimize.brentq(lambda rho: one_step_error(kappa, rho) - wrong, 1e-9, 0.5)) if kappa > 0 else 0.0


def _rule(name: str, memory: Memory, patterns: Tensor, couplings: Tensor | None) -> Rule:
    probed = patterns[:, :PROBED]
    curve = spins.retrieval_curve(memory, probed, SHARES)
    stable = spins.stable_share(memory, probed)
    return Rule(
        name=name,
        overlaps=tuple(over_seeds(m, -1.0, 1.0) for m in curve.mean(1).T),
        radius=over_seeds(spins.basin_radius(curve, SHARES).mean(1), 0.0, 0.5),
        stable=over_seeds(stable.mean(1), 0.0, 1.0),
        fixed=over_seeds((stable == 1).float().mean(1), 0.0, 1.0),
        asymmetry=None if couplings is None else over_seeds(spins.asymmetry(couplings), 0.0, 1.0),
        lowest_margin=None if couplings is None else over_seeds(spins.margins(couplings, patterns).amin((1, 2))),
    )


def _train(patterns: Float[Tensor, "S P N"]) -> tuple[Tensor, Training]:
    lowest, median, density = [], [], []

    def look(step: int, couplings: Tensor) -> None:
        if step in STEPS:
            margins = spins.margins(couplings, patterns).flatten(1)
            lowest.append(over_seeds(margins.amin(1)))
            median.append(over_seeds(margins.median(1).values))
            density.append(_density(margins[0].numpy()))

    couplings = spins.pseudo_likelihood(patterns, STEPS[-1], on_step=look)
    return couplings, Training(tuple(lowest), tuple(median), tuple(density))


def _density(margins: NDArray[np.float32]) -> tuple[float, ...]:
    width = BINS[1] - BINS[0]
    edges = np.append(np.array(BINS) - width / 2, BINS[-1] + width / 2)
    return tuple((np.histogram(margins, edges)[0] / (len(margins) * width)).tolist())


def _generalize(p: int, n: int, d: int, flipped: float, seed: int) -> Float[Tensor, "3"]:
    data = spins.hidden_manifold(p, n, d, test=PROBED, seed=seed)
    memory = Couplings(spins.pseudo_likelihood(data.train, steps=100))
    return torch.stack(
        [
            spins.overlap(spins.retrieve(memory, spins.flip(x, flipped, seed)), x).mean()
            for x in (data.train[:PROBED], data.test, data.features)
        ]
    )

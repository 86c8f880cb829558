"""Do the intervals of n* cover what they claim? Sweeps are simulated whose places are known.

Run `python -m benchmarks.transition`; its table is in docs/measurements/transition.md.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from attractor.analysis.crossing import crossings
from attractor.analysis.transition import recovery_transition

Values = NDArray[np.float64]
GRIDS = {
    "demo": np.array([32.0, 64, 128, 256, 1024, 32768]),
    "sqrt 2": np.round(32 * np.sqrt(2) ** np.arange(21)),
}
SHAPES: dict[str, Callable[[Values], Values]] = {
    # Of x = log n - log n*, where each is 1/2: as in the demo, with a long tail, and all in a step.
    "logistic": lambda x: special.expit(-x / 0.45),
    "skewed": lambda x: 1 - np.exp(-np.log(2) * np.exp(-x / 0.8)),
    "steep": lambda x: special.expit(-x / 0.12),
}
SPREADS, SEEDS = (0.0, 0.1, 0.25), (1, 3, 5)
TRAIN_ROWS, TEST_ROWS = 32, 96
TRAIN_BETA, TEST_BETA, SHARED = 3.8, 6.5, 0.6
"""The demo at t = 0.15: rows spread around a mean m as Beta(c m, c (1 - m)) does, with c of
training and of unseen rows; and the correlation of a row at one size with itself at another."""
UNSEEN = 0.22, 0.36
"""Recovery of unseen rows where the basin advantage is 1, and where it is 0, as in the demo."""
PLACES = np.log([75.0, 150.0])
"""Between which log n* is drawn, so that it may lie anywhere in a step of the sizes, and on one."""
FURTHER = 400
"""Further training runs, from which the mean of all is known."""

_MEANS, _LEVELS = np.linspace(0, 1, 129)[1:-1, None], np.linspace(0, 1, 513)
_TABLES = {
    c: special.betaincinv(c * _MEANS, c * (1 - _MEANS), _LEVELS) for c in (TRAIN_BETA, TEST_BETA)
}


_SCORES = np.linspace(-5, 5, 101)


def _given_score(c: float) -> tuple[Values, Values]:
    """Mean and variance of the recovery of a row over training runs, given the score it has in all
    of them: for each tabulated mean of all rows, and each of `_SCORES`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    level = special.ndtr(np.sqrt(SHARED) * _SCORES[:, None] + np.sqrt(1 - SHARED) * nodes)
    values = np.stack([np.interp(level, _LEVELS, quantiles) for quantiles in _TABLES[c]])
    weights = weights / weights.sum()
    mean = values @ weights
    return mean, values**2 @ weights - mean**2


_GIVEN = {c: _given_score(c) for c in _TABLES}


class World(NamedTuple):
    """The mean recovery of training runs, (K, S)."""

    train: Values
    test: Values


class Rows(NamedTuple):
    """What two samples of rows have of their own in every training run, as normal scores."""

    train: Values
    test: Values


def runs(
    rng: np.random.Generator, shape: str, place: float, spread: float, k: int, sizes: Values
) -> World:
    """K training runs whose log n* are drawn around a place."""
    x = np.log(sizes) - rng.normal(place, spread, (k, 1))
    advantage = SHAPES[shape](x)
    test = UNSEEN[1] + (UNSEEN[0] - UNSEEN[1]) * advantage
    return World(test + advantage * (1 - test), test)


def measured(rng: np.random.Generator, mean: Values, rows: Values, c: float) -> Values:
    """Recovery of each row in each run, (K, N, S), whose mean over all rows there might be is
    `mean`."""
    k, s = mean.shape
    own = rng.standard_normal((k, len(rows), s))
    level = special.ndtr(np.sqrt(SHARED) * rows + np.sqrt(1 - SHARED) * own)
    # Quantiles of the Beta law between tabulated means and levels: linear in the mean, so that the
    # mean of what is drawn is the one asked for.
    i = np.clip((mean * 128).astype(int), 1, 126)[:, None]
    j = np.clip((level * 512).astype(int), 0, 511)
    a, b = mean[:, None] * 128 - i, level * 512 - j
    table = _TABLES[c]
    first, second = (table[at, j] * (1 - b) + table[at, j + 1] * b for at in (i - 1, i))
    return first + a * (second - first)


def place_of(sizes: Values, world: World) -> float:
    """Where the mean curve of runs crosses 1/2 when all rows there might be are measured."""
    train, test = world.train.mean(0), world.test.mean(0)
    return float(crossings(sizes, ((train - test) / (1 - test))[None], 0.5)[0])


class Cell(NamedTuple):
    """What became of the sweeps of one kind, shares of them."""

    missing: float
    """without a place"""
    covered: float
    """of those with one: the place of these runs is in the interval over sequences"""
    seeds_covered: float
    """the mean over all training runs is in Student's interval over seeds; NaN for one seed"""
    without_seeds: float
    """of several seeds: without an interval over them"""
    between: float
    """n* itself is in the interval over sequences stretched to the sizes that bracket it"""
    width: float
    """median ratio of the ends of the interval over sequences"""
    seeds_width: float


def simulate(shape: str, grid: str, spread: float, k: int, sweeps: int, seed: int = 0) -> Cell:
    """Simulate sweeps of one kind."""
    kind = [list(SHAPES).index(shape), list(GRIDS).index(grid), round(100 * spread), k]
    sizes, rng, found = GRIDS[grid], np.random.default_rng([seed, *kind]), []
    for _ in range(sweeps):
        place = rng.uniform(*PLACES)
        world = runs(rng, shape, place, spread, k, sizes)
        rows = Rows(*(rng.standard_normal((n, 1)) for n in (TRAIN_ROWS, TEST_ROWS)))
        tables = _tables(rng, world, rows)
        at = recovery_transition(sizes, *tables)
        if at.ci is None or at.sizes is None:
            found.append([1.0, *[np.nan] * 6])
            continue
        low, high = np.log(at.ci)
        below, above = np.log(at.sizes)
        line = [0.0, float(low <= place_of(sizes, world) <= high), np.nan, np.nan]
        line += [float(min(low, below) <= place <= max(high, above)), np.exp(high - low), np.nan]
        if k > 1:
            line[3] = float(at.seed_ci is None)
            if at.seed_ci is not None:
                mean = _mean_of_runs(rng, shape, place, spread, sizes, rows)
                line[2] = float(at.seed_ci[0] <= np.exp(mean) <= at.seed_ci[1])
                line[6] = at.seed_ci[1] / at.seed_ci[0]
        found.append(line)
    values = np.array(found)
    with np.errstate(all="ignore"):
        means = [
            np.nanmean(column) if not np.isnan(column).all() else np.nan for column in values.T
        ]
        widths = [np.nanmedian(c) if not np.isnan(c).all() else np.nan for c in values[:, 5:].T]
    return Cell(means[0], means[1], means[2], means[3], means[4], *widths)


def _tables(rng: np.random.Generator, world: World, rows: Rows) -> tuple[Values, Values]:
    train = measured(rng, world.train, rows.train, TRAIN_BETA)
    return train, measured(rng, world.test, rows.test, TEST_BETA)


def _mean_of_runs(
    rng: np.random.Generator, shape: str, place: float, spread: float, sizes: Values, rows: Rows
) -> float:
    """The mean log n* of training runs that are measured on these same rows."""
    world = runs(rng, shape, place, spread, FURTHER, sizes)
    train = _mean_over(rng, world.train, rows.train, TRAIN_BETA)
    test = _mean_over(rng, world.test, rows.test, TEST_BETA)
    places = crossings(sizes, (train - test) / (1 - test), 0.5)
    return float(places[np.isfinite(places)].mean())


def _mean_over(rng: np.random.Generator, mean: Values, rows: Values, c: float) -> Values:
    """What `measured` gives on the average over these rows, up to the normal limit of that: it
    spares drawing the rows of hundreds of runs."""
    scores = np.clip((rows[:, 0] + 5) * 10, 0, 99.999)
    i, part = scores.astype(int), scores % 1
    over = [(table[:, i] * (1 - part) + table[:, i + 1] * part).mean(1) for table in _GIVEN[c]]
    centre, variance = (np.interp(mean, _MEANS[:, 0], values) for values in over)
    return centre + np.sqrt(variance / len(rows)) * rng.standard_normal(mean.shape)


def table(sweeps: int) -> Iterator[str]:
    """The table of the documentation, line by line."""
    yield (
        "| shape | sizes | spread of ln n\\* | seeds | none | over sequences | over seeds | "
        "n\\* itself | ratio of ends |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for shape, grid, spread, k in itertools.product(SHAPES, GRIDS, SPREADS, SEEDS):
        cell = simulate(shape, grid, spread, k, sweeps)
        seeds = "" if k == 1 else f"{100 * cell.seeds_covered:.1f}"
        widths = f"{cell.width:.2f}" + ("" if k == 1 else f"; {cell.seeds_width:.2f}")
        none = f"{100 * cell.missing:.1f}"
        if k > 1:
            none += f"; {100 * cell.without_seeds:.1f}"
        yield (
            f"| {shape} | {grid} | {spread:g} | {k} | {none} | {100 * cell.covered:.1f} | "
            f"{seeds} | {100 * cell.between:.1f} | {widths} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=600, help="simulated for each line")
    for line in table(parser.parse_args().sweeps):
        print(line, flush=True)


if __name__ == "__main__":
    main()

"""What an audit measures, with data and without, as arrays, and how it keeps to its time.

What needs no data is measured in parts until its share of the time is used up. What needs data is
measured on a number of rows that is fixed beforehand, since training and unseen text must be probed
alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from attractor.config.settings import ProbeConfig
from attractor.measurements import measure
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.probes import Recovery, conditionals, novelty, own_distances, recovery, sample
from attractor.results.tables import Block
from attractor.results.thresholds import NEAR
from attractor.types import AttractorError

STEPS = 32
"""Reverse steps of an audit unless it says otherwise: few, so that a large model on two cores is
done in minutes."""
NOISE = 0.5
"""Time t of the two corruptions of one text whose ends are compared."""
TIMES = (0.15, 0.3)
"""Corruption times at which training and unseen text are compared."""
EXTRACTION = (0.5, 0.75, 0.9)
"""Corruption times from which it is tried whether training text comes back verbatim."""
FIRST = 8
"""Sequences that are measured before the first look at the clock."""
PAIRS = 200
"""Texts at most for the two noises, and for extraction."""
Part = TypeVar("Part")


class Effort(NamedTuple):
    """How much an audit measures."""

    n: int = 2000
    """generations at most"""
    minutes: float = 4.0
    """for what needs no data, and once more for what needs them; 0 is no limit"""
    steps: int = STEPS
    """of the reverse process from t = 1"""
    rows: int = 1000
    """training and unseen sequences at most"""
    seed: int = 0
    positions: int | None = None
    """tokens of each generation whose entropy is measured; all unless given"""


def check_effort(effort: Effort) -> None:
    """Raise AttractorError for numbers that make no audit."""
    if effort.n < 2 or effort.rows < 2:
        raise AttractorError(
            f"n = {effort.n} and rows = {effort.rows}: an interval needs at least 2 sequences"
        )
    if not 0 <= effort.minutes < float("inf"):
        raise AttractorError(f"minutes = {effort.minutes} must be at least 0, where 0 is no limit")
    if effort.steps < 2:
        raise AttractorError(
            f"steps = {effort.steps}: at least 2 are needed to start from half-corrupted text"
        )
    if effort.positions is not None and effort.positions < 1:
        raise AttractorError(f"positions = {effort.positions} must be at least 1")
    if not 0 <= effort.seed < 2**63:
        raise AttractorError(f"seed = {effort.seed} must be at least 0 and below 2^63")


def measure_alone(
    denoiser: Denoiser, length: int, effort: Effort, watch: Callable[[str], None]
) -> Iterator[Block]:
    """Generations, their entropy, their repeats, and the ends of two corruptions of each; as many
    as time allows.

    Half of the time goes to the generations, an eighth to their entropies, the rest to the
    corruptions; what a part leaves is the next one's. The noise of sequence i depends on i alone,
    so that a longer audit adds sequences and changes none.
    """
    whole = 60 * effort.minutes or float("inf")
    start = time.monotonic()

    def generate(part: slice) -> Tensor:
        return sample(
            denoiser,
            part.stop - part.start,
            length,
            effort.steps,
            seed=effort.seed,
            first=part.start,
        )

    watch("generating")
    own = torch.cat(list(_parts(generate, effort.n, start + whole / 2)))
    watch(f"entropy of {len(own):,} generations")
    found = _parts(
        lambda part: conditionals(denoiser, own[part], positions=effort.positions).entropy,
        len(own),
        start + whole * 5 / 8,
    )
    entropy = torch.cat(list(found))
    yield _block("entropy", own[: len(entropy)], entropy.numpy())
    distances = own_distances(own.numpy())
    yield _block("echoes", own, (distances <= NEAR * length).sum(1))

    def twice(part: slice) -> Recovery:
        return recovery(denoiser, own[part], NOISE, effort.steps, effort.seed, 2, first=part.start)

    watch("two noises")
    runs = list(_parts(twice, min(len(own), PAIRS), start + whole))
    yield Block(
        measurement="two_noises",
        split="generated",
        t=NOISE,
        original=np.concatenate([run.original for run in runs]),
        corrupted=np.concatenate([run.corrupted for run in runs], 1),
        recovered=np.concatenate([run.recovered for run in runs], 1),
    )


def measure_against(
    denoiser: Denoiser, own: np.ndarray, texts: Texts, effort: Effort, watch: Callable[[str], None]
) -> Iterator[Block]:
    """Copies among the generations, basins of training and unseen text, membership, and extraction.

    As many rows are measured as are expected to take the time that the part without data had: see
    `_affordable`.
    """
    watch("copies of training text")
    for name, values in novelty(own, np.asarray(texts.corpus))._asdict().items():
        yield _block(f"novelty_{name}", torch.from_numpy(own), values)
    rows, extracted = _affordable(denoiser, texts, effort)
    texts = texts._replace(train=texts.train[:rows], test=texts.test[:rows])
    watch(
        f"basins and membership of {len(texts.train):,} training and {len(texts.test):,} unseen "
        "rows"
    )
    yield from measure(
        denoiser, texts, _config(texts, effort, "entropy", "likelihood", "membership")
    )
    yield from measure_basins(denoiser, texts, effort)
    for t in EXTRACTION:
        watch(f"extraction from {1 - t:.0%} of {extracted:,} rows")
        for split, some in (("train", texts.train[:extracted]), ("test", texts.test[:extracted])):
            found = recovery(denoiser, np.array(some), t, effort.steps, effort.seed)
            yield Block(
                measurement="extraction",
                split=split,
                t=t,
                original=found.original.numpy(),
                corrupted=found.corrupted.numpy(),
                recovered=found.recovered.numpy(),
            )


def measure_basins(denoiser: Denoiser, texts: Texts, effort: Effort) -> Iterator[Block]:
    """Recovery of training and unseen text."""
    yield from measure(denoiser, texts, _config(texts, effort, "recovery"))


def _config(texts: Texts, effort: Effort, *measures: str) -> ProbeConfig:
    return ProbeConfig(
        measure=measures,
        t=TIMES,
        rows=len(texts.train),
        test_rows=len(texts.test),
        steps=effort.steps,
        nelbo_draws=4,
        seed=effort.seed,
    )


def _affordable(denoiser: Denoiser, texts: Texts, effort: Effort) -> tuple[int, int]:
    """Rows of each kind to measure, and to extract from, judged by the time that the first few
    take. A third of the time is for extraction."""
    if not effort.minutes:
        return effort.rows, min(effort.rows, PAIRS)
    few = np.array(texts.train[:FIRST])
    start = time.monotonic()
    recovery(denoiser, few, TIMES[-1], effort.steps, effort.seed)
    basins = (time.monotonic() - start) / len(few)
    conditionals(denoiser, few)
    both = (time.monotonic() - start) / len(few)
    whole = 60 * effort.minutes
    # A recovery takes a time in proportion to its t. At both `TIMES`, for a row of each kind, that
    # is three of the one timed here; what is added stands for entropies and likelihoods.
    measured = int(whole * 2 / 3 / (3 * both + 2 * basins))
    # The times of `EXTRACTION` add up to about seven of the one timed here, for a row of each kind.
    extracted = int(whole / 3 / (14 * basins))
    return (
        max(FIRST, min(effort.rows, measured)),
        max(FIRST, min(effort.rows, PAIRS, extracted)),
    )


def _parts(work: Callable[[slice], Part], n: int, deadline: float) -> Iterator[Part]:
    """The work on n rows, in growing parts, for as long as the next part is expected to end in
    time.

    The first part is always done, or there would be nothing to judge by.
    """
    done, size = 0, FIRST
    while done < n and size:
        size = min(size, n - done)
        began = time.monotonic()
        yield work(slice(done, done + size))
        done += size
        left, each = deadline - time.monotonic(), (time.monotonic() - began) / size
        # A quarter of what fits: others may start to compute meanwhile and make a row slower.
        fits = max(left, 0) / max(each, 1e-9)
        size = int(min(2 * size, fits / 4))


def _block(measurement: str, tokens: Tensor, values: np.ndarray) -> Block:
    columns = values[:, None] if values.ndim == 1 else values
    return Block(measurement=measurement, split="generated", original=tokens.numpy(), value=columns)

"""What an audit measures of a model's own text, as arrays, and how it keeps to its time.

What needs no data is measured in parts until its share of the time is used up. Chains are settled
for a number of rounds that never changes, since what they show depends on it: where time is short,
there are fewer of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from attractor.measurements.measurement import corruption_block
from attractor.measurements.subject import padding_of
from attractor.model.denoiser import Denoiser
from attractor.probes import (
    Recovery,
    calibration,
    conditionals,
    recombined,
    recovery,
    sample,
    settled,
    some_positions,
)
from attractor.probes.novelty import lengths, own_distances
from attractor.results.tables import Block
from attractor.results.thresholds import NEAR
from attractor.types import AttractorError

STEPS = 32
"""Reverse steps of an audit unless it says otherwise: few, so that a large model on two cores is
done in minutes."""
NOISE = 0.5
"""Time t of the two corruptions of one text whose ends are compared."""
SETTLING = 0.15
"""Time t from which chains are restored again and again, and settled texts restored at last."""
ROUNDS = 12
"""Rounds in which chains settle."""
CHAINS = 96
"""Chains at most."""
REPEATS = 2
"""Corruptions of each settled text, and of each recombined one."""
MASKED = 16
"""Positions at which a row is read where each is a pass of its own, behind a mask."""
FIRST = 8
"""Sequences that are measured before the first look at the clock."""
PAIRS = 200
"""Texts at most for the two noises."""
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
    """training and unseen sequences at most, and of each fresh text"""
    seed: int = 0
    positions: int | None = None
    """at how many positions rows are read behind masks, where each is a pass of its own; `MASKED`
    unless given"""


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


def measure_own(
    denoiser: Denoiser,
    length: int,
    effort: Effort,
    watch: Callable[[str], None],
    like: Int[np.ndarray, "N L"] | None = None,
) -> Iterator[Block]:
    """Generations, their entropy, their repeats, and the ends of two corruptions of each; as many
    as time allows, which is two fifths of all. They are framed and padded as `like` is, in turn,
    where that is given."""
    start, whole = time.monotonic(), 60 * effort.minutes or float("inf")

    def generate(part: slice) -> Tensor:
        return sample(
            denoiser,
            part.stop - part.start,
            length,
            effort.steps,
            seed=effort.seed,
            first=part.start,
            given=None if like is None else like[np.arange(part.start, part.stop) % len(like)],
        )

    watch("generating")
    own = torch.cat(list(parts_of(generate, effort.n, start + whole * 0.2)))
    watch(f"entropy of {len(own):,} generations")
    at = read_at(denoiser, length, effort)
    found = parts_of(
        lambda part: conditionals(denoiser, own[part], frozen=~at).entropy[:, at],
        len(own),
        start + whole * 0.3,
    )
    entropy = torch.cat(list(found))
    yield block("entropy", own[: len(entropy)], entropy.numpy())
    near = same_text(own.numpy(), padding_of(denoiser.process))
    yield block("echoes", own, near.sum(1) - 1)

    def twice(part: slice) -> Recovery:
        return recovery(denoiser, own[part], NOISE, effort.steps, effort.seed, 2, first=part.start)

    watch("two noises")
    runs = list(parts_of(twice, min(len(own), PAIRS), start + whole * 0.4))
    yield Block(
        measurement="two_noises",
        split="generated",
        t=NOISE,
        original=np.concatenate([run.original for run in runs]),
        corrupted=np.concatenate([run.corrupted for run in runs], 1),
        recovered=np.concatenate([run.recovered for run in runs], 1),
        frozen=None
        if runs[0].frozen is None
        else np.concatenate([run.frozen for run in runs if run.frozen is not None]),
    )


def measure_settled(
    denoiser: Denoiser, own: np.ndarray, effort: Effort, watch: Callable[[str], None]
) -> Iterator[Block]:
    """Generations that have settled, how they are restored and judged, and the same of texts that
    are recombined from them. Nothing is recombined where all settle into one text."""
    chains = _chains(denoiser, own, effort)
    start = torch.from_numpy(np.array(own[:chains]))
    watch(f"settling {chains} chains for {ROUNDS} rounds")
    texts = settled(denoiser, start, ROUNDS, SETTLING, max(effort.steps, STEPS), effort.seed)
    apart = torch.from_numpy(~same_text(texts.numpy(), padding_of(denoiser.process)))
    yield block("settled", texts, np.zeros(len(texts)))
    if texts.shape[1] < 4 or not apart.any():
        return
    made = recombined(texts, apart)
    inner = made.inner
    if denoiser.process.mask_id is not None:
        inner = some_positions(inner, MASKED, effort.seed)
    # Only what is part of a recombined text, so that both kinds hold the same tokens.
    kinds = {"settled": texts[made.first], "recombined": made.tokens}
    for kind, tokens in kinds.items():
        watch(f"calibration and recovery of {len(tokens)} {kind} texts")
        found = calibration(denoiser, tokens, seed=effort.seed, frozen=~inner)
        yield block(f"{kind}_nll", tokens, found.nll[:, inner].numpy())
        yield block(f"{kind}_entropy", tokens, found.entropy[:, inner].numpy())
        steps = max(effort.steps, STEPS)
        back = recovery(denoiser, tokens, SETTLING, steps, effort.seed, REPEATS)
        yield corruption_block(f"{kind}_recovery", "generated", back)


def measure_fresh(
    denoiser: Denoiser,
    fresh: Mapping[str, np.ndarray],
    effort: Effort,
    watch: Callable[[str], None],
) -> Iterator[Block]:
    """Surprise and expected surprise on texts that the model has not seen, by their names."""
    start, whole = time.monotonic(), 60 * effort.minutes or float("inf")
    for i, (name, rows) in enumerate(fresh.items()):
        watch(f"calibration on {name}")
        tokens = torch.from_numpy(np.array(rows[: effort.rows]).astype(np.int64))
        at = read_at(denoiser, tokens.shape[1], effort)

        def judged(part: slice, tokens: Tensor = tokens, at: Tensor = at) -> Tensor:
            found = calibration(denoiser, tokens[part], seed=effort.seed, frozen=~at)
            return torch.stack([found.nll, found.entropy])[..., at]

        parts = parts_of(judged, len(tokens), start + whole * 0.2 * (i + 1) / len(fresh))
        nll, entropy = torch.cat(list(parts), 1)
        done = tokens[: len(nll)]
        yield block("fresh_nll", done, nll.numpy(), name)
        yield block("fresh_entropy", done, entropy.numpy(), name)


def read_at(denoiser: Denoiser, length: int, effort: Effort) -> Tensor:
    """The positions at which rows are read: all, or, where each would be a pass behind a mask of
    its own, some of them."""
    every = torch.ones(length, dtype=torch.bool)
    if denoiser.process.mask_id is None:
        return every
    return some_positions(every, min(effort.positions or MASKED, length))


def read_positions(columns: int, length: int) -> NDArray[np.int64]:
    """Which positions the columns of what was read are of."""
    if columns == length:
        return np.arange(length)
    return np.flatnonzero(some_positions(torch.ones(length, dtype=torch.bool), columns).numpy())


def away_from_joint(length: int) -> NDArray[np.bool_]:
    """The positions of recombined text that are looked at, (L,)."""
    two = torch.zeros(2, length, dtype=torch.long)
    inner: NDArray[np.bool_] = recombined(two, ~torch.eye(2, dtype=torch.bool)).inner.numpy()
    return inner


def same_text(
    tokens: Int[np.ndarray, "N L"], padding: np.ndarray | None = None
) -> NDArray[np.bool_]:
    """Which texts are the same: within an edit distance of a quarter of the longer one's length,
    (N, N). Ids of `padding` are no part of a text."""
    length = lengths(tokens, padding)
    longer = np.maximum(length[:, None], length)
    same: NDArray[np.bool_] = own_distances(tokens, padding) <= NEAR * longer
    np.fill_diagonal(same, True)
    return same


def _chains(denoiser: Denoiser, own: np.ndarray, effort: Effort) -> int:
    """How many generations can settle in half of the time, judged by one round of the first few."""
    most = min(len(own), CHAINS)
    if not effort.minutes:
        return most
    few, start = own[:FIRST], time.monotonic()
    recovery(denoiser, np.array(few), SETTLING, max(effort.steps, STEPS), effort.seed)
    each = (time.monotonic() - start) / len(few)
    # Two kinds of text are restored at last, and read once, which behind masks takes longest.
    rounds = ROUNDS + 2 * REPEATS + 2 * (1 if denoiser.process.mask_id is None else 4)
    return max(min(FIRST, most), min(most, int(30 * effort.minutes / (each * rounds))))


def parts_of(
    work: Callable[[slice], Part], n: int, deadline: float, first: int = FIRST
) -> Iterator[Part]:
    """The work on n rows, in growing parts, for as long as the next part is expected to end in
    time.

    The first part, of so many rows, is always done, or there would be nothing to judge by.
    """
    done, size = 0, first
    while done < n and size:
        size = min(size, n - done)
        began = time.monotonic()
        yield work(slice(done, done + size))
        done += size
        left, each = deadline - time.monotonic(), (time.monotonic() - began) / size
        # A quarter of what fits: others may start to compute meanwhile and make a row slower.
        fits = max(left, 0) / max(each, 1e-9)
        size = int(min(2 * size, fits / 4))


def block(measurement: str, tokens: Tensor, values: np.ndarray, split: str = "generated") -> Block:
    """Values of some tokens, or one for each sequence."""
    columns = values[:, None] if values.ndim == 1 else values
    return Block(measurement=measurement, split=split, original=tokens.numpy(), value=columns)

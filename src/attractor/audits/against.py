"""What an audit measures against training text: copies, basins, membership, extraction, and one
cheap look at every training row there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from attractor.audits.attack import Prey, aims, in_audit, measure_extraction, prey
from attractor.audits.base import DRAWS, measure_beside
from attractor.audits.measure import FIRST, Effort, block, parts_of, read_at, same_text
from attractor.audits.thresholds import FEWEST
from attractor.config.settings import ProbeConfig
from attractor.data.multiplicity import Multiplicity
from attractor.measurements import measure
from attractor.measurements.measurement import corruption_block
from attractor.measurements.subject import padding_of
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.probes import conditionals, novelty, recovery
from attractor.probes.novelty import near_counts, nearest_distances
from attractor.results.tables import Block

TIMES = (0.15, 0.3)
"""Corruption times at which training and unseen text are compared."""
COMPARED = 2**23
"""Pairs of rows at most whose edit distance is taken to count near copies in a training file."""
UNSEEN = 20_000
"""Unseen rows at most that every training row is compared with."""


def measure_against(
    denoiser: Denoiser,
    own: np.ndarray,
    texts: Texts,
    copies: Multiplicity,
    effort: Effort,
    watch: Callable[[str], None],
    base: Denoiser | None = None,
) -> Iterator[Block]:
    """Everything that needs training and unseen text.

    As many rows are measured as are expected to take the time that the part without data had; the
    pass over all training rows has what is left of it, and at least a third.
    """
    start, whole = time.monotonic(), 60 * effort.minutes or float("inf")
    watch("copies of training text")
    yield from _copies(own, texts, padding_of(denoiser.process))
    rows = _affordable(denoiser, texts, effort)
    some = texts._replace(train=texts.train[:rows], test=texts.test[:rows])
    watch(
        f"basins and membership of {len(some.train):,} training and {len(some.test):,} unseen rows"
    )
    yield from measure(denoiser, some, _config(some, effort, "entropy", "likelihood", "membership"))
    if base is not None:
        yield from measure_beside(denoiser, base, some, effort, watch)
    yield from measure_basins(denoiser, some, effort)
    yield from measure_falls(denoiser, copies, rows, effort)
    attack = in_audit(effort)
    tried = aims(denoiser, prey_of(texts, copies, attack.rows), attack)
    yield from measure_extraction(denoiser, tried, attack, watch)
    yield from measure_every_row(denoiser, texts, copies, effort, start + whole, watch)


def prey_of(texts: Texts, copies: Multiplicity, rows: int) -> Prey:
    """The rows from parts of which an audit tries to bring back the rest, so many of each kind at
    most, and no more than are probed."""
    unseen = np.concatenate([texts.test, texts.other_test])
    return prey(copies, unseen, min(rows, len(texts.train)))


def measure_basins(denoiser: Denoiser, texts: Texts, effort: Effort) -> Iterator[Block]:
    """Recovery of training and unseen text."""
    yield from measure(denoiser, texts, _config(texts, effort, "recovery"))


def measure_falls(
    denoiser: Denoiser, copies: Multiplicity, rows: int, effort: Effort
) -> Iterator[Block]:
    """Many falls of each training row, together as many as rows would be measured, where there are
    so few that no number could rest on as many sequences: then they are all there are."""
    falls = rows // len(copies.rows)
    if len(copies.rows) >= FEWEST or falls < 2:
        return
    for t in TIMES:
        found = recovery(denoiser, copies.rows, t, effort.steps, effort.seed, falls)
        yield corruption_block("falls", "train", found)
    yield block("falls_copies", torch.from_numpy(copies.rows), copies.exact, "train")


def measure_every_row(
    denoiser: Denoiser,
    texts: Texts,
    copies: Multiplicity,
    effort: Effort,
    deadline: float,
    watch: Callable[[str], None],
) -> Iterator[Block]:
    """Log-probability and Min-K%++ of every different training row, and of as many unseen ones as
    there are, in one pass of the network.

    Rows that occur often come first, and the others in an order drawn beforehand, so that what is
    left out where time ends is a random part of the rows that occur once.
    """
    at = read_at(denoiser, texts.train.shape[1], effort)
    unseen = np.concatenate([texts.test, texts.other_test])[:UNSEEN]
    order = np.lexsort((np.random.default_rng(0).permutation(len(copies.rows)), -copies.exact))
    kinds = {"test": unseen, "train": copies.rows[order]}
    near = max(1, COMPARED // max(1, len(copies.rows)))
    begun = time.monotonic()
    for i, (split, rows) in enumerate(kinds.items()):
        watch(f"each of {len(rows):,} {'training' if split == 'train' else 'unseen'} rows once")
        tokens = torch.from_numpy(np.array(rows).astype(np.int64))

        def judged(part: slice, tokens: Tensor = tokens) -> Tensor:
            found = conditionals(denoiser, tokens[part], seed=effort.seed, frozen=~at)
            return torch.stack([found.log_prob.nanmean(1), found.min_k()], 1)

        # Unseen rows, of which fewer are needed, have a quarter of the time.
        left = max(deadline - begun, 20 * effort.minutes) if effort.minutes else float("inf")
        scores = torch.cat(list(parts_of(judged, len(tokens), begun + left * (0.25, 1.0)[i])))
        done = tokens[: len(scores)]
        yield block("every_row", done, scores.numpy(), split)
        if split == "train":
            yield block("copies_exact", done, copies.exact[order][: len(done)], split)
            watch("near copies in the training file")
            looked = done[:near].numpy()
            padding = padding_of(denoiser.process)
            found = near_counts(looked, copies.rows, copies.exact, padding=padding)
            yield block("copies_near", done[: len(found)], found, split)


def _copies(own: np.ndarray, texts: Texts, padding: np.ndarray | None) -> Iterator[Block]:
    """How near generations, and as many unseen rows, are to training rows and to each other."""
    for name, values in novelty(own, np.asarray(texts.corpus), padding)._asdict().items():
        yield block(f"novelty_{name}", torch.from_numpy(own), values)
    unseen = np.array(np.concatenate([texts.test, texts.other_test])[: len(own)], dtype=np.int64)
    nearest = nearest_distances(unseen, np.asarray(texts.corpus), padding)
    yield block("novelty_nearest", torch.from_numpy(unseen), nearest, "test")
    if len(unseen) > 1:
        echoes = same_text(unseen, padding).sum(1) - 1
        yield block("echoes", torch.from_numpy(unseen), echoes, "test")


def _config(texts: Texts, effort: Effort, *measures: str) -> ProbeConfig:
    return ProbeConfig(
        measure=measures,
        t=TIMES,
        rows=len(texts.train),
        test_rows=len(texts.test),
        steps=effort.steps,
        nelbo_draws=DRAWS,
        seed=effort.seed,
    )


def _affordable(denoiser: Denoiser, texts: Texts, effort: Effort) -> int:
    """Rows of each kind to measure in two fifths of the time, judged by what the first few take."""
    if not effort.minutes:
        return effort.rows
    few = np.array(texts.train[:FIRST])
    start = time.monotonic()
    recovery(denoiser, few, TIMES[-1], effort.steps, effort.seed)
    basins = (time.monotonic() - start) / len(few)
    conditionals(denoiser, few)
    both = (time.monotonic() - start) / len(few)
    whole = 60 * effort.minutes
    # A recovery takes a time in proportion to its t. At both `TIMES`, for a row of each kind, that
    # is three of the one timed here; what is added stands for entropies and likelihoods.
    measured = int(whole * 0.4 / (3 * both + 2 * basins))
    return max(FIRST, min(effort.rows, measured))

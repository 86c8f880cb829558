"""Novelty: is what the model writes a copy of its training text, of itself, or new?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import clopper_pearson, mean_interval, share_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import GENERATION
from attractor.measurements.measurement import Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.thresholds import NEAR
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject

GRAMS = (1, 2, 3)
"""Lengths of the n-grams whose share of distinct ones is counted."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import novelty
    from attractor.probes.novelty import nearest_distances

    tokens, corpus = subject.own.tokens, np.asarray(subject.texts.corpus)
    padding = subject.padding
    found = novelty(tokens.numpy(), corpus, padding)
    for name, values in found._asdict().items():
        yield block(f"novelty_{name}", "generated", tokens, values)
    # Unseen text is near a training row by chance, of some kinds of text nearly always.
    unseen = subject.rows("test")
    yield block(
        "novelty_nearest", "test", unseen, nearest_distances(unseen.numpy(), corpus, padding)
    )


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("novelty_nearest", "generated"):
        return
    tokens = arrays.array("original", "novelty_nearest", "generated")[0]
    n, frozen = len(tokens), arrays.frozen("novelty_nearest", "generated")
    length = arrays.lengths("novelty_nearest", "generated")
    # Edit distances to the nearest training sequence, and to the nearest other generation.
    nearest, own = (
        arrays.values(f"novelty_{name}", "generated")[:, 0] / length for name in ("nearest", "own")
    )
    copied = nearest <= NEAR
    echoed = ~copied & (own <= NEAR)
    kinds_of_text = {"memorized": copied, "spurious": echoed, "novel": ~copied & ~echoed}
    for name, kind in kinds_of_text.items():
        yield row("generated", f"share_{name}", clopper_pearson(int(kind.sum()), n))
    if arrays.has("novelty_nearest", "test"):  # earlier versions did not look
        length = arrays.lengths("novelty_nearest", "test")
        unseen = arrays.values("novelty_nearest", "test")[:, 0] / length
        by_chance = share_interval(unseen <= NEAR, arrays.groups("novelty_nearest", "test"))
        yield row("test", "share_memorized", by_chance)
    overlap = arrays.values("novelty_overlap", "generated")[:, 0]
    overlap /= arrays.lengths("novelty_nearest", "generated")
    yield row("generated", "overlap", mean_interval(overlap, share=True, seed=seed))
    for k in GRAMS:
        # Of these n generations, and without an interval: resampling them would make repeats.
        yield Row(
            split="generated",
            t=None,
            measurement=f"distinct_{k}",
            value=_distinct(tokens, k, frozen),
            sequences=n,
        )


def _distinct(tokens: np.ndarray, k: int, frozen: np.ndarray | None) -> float:
    """Distinct k-grams of all rows, a share of the k-grams that there are."""
    grams = np.lib.stride_tricks.sliding_window_view(tokens, k, axis=1).reshape(-1, k)
    if frozen is not None:
        outside = np.lib.stride_tricks.sliding_window_view(frozen, k, axis=1).reshape(-1, k)
        grams = grams[~outside.any(1)]
    return len({*map(tuple, grams.tolist())}) / max(1, len(grams))


NOVELTY = Measurement(
    name="novelty",
    question="are the model's generations near a training sequence, near one another, or neither?",
    page="novelty",
    fold=GENERATION,
    quantities=(
        Quantity("share_memorized", "generations near a training sequence", SHARE),
        Quantity("share_spurious", "generations near another generation only", SHARE),
        Quantity("share_novel", "generations near neither", SHARE),
        Quantity("overlap", "longest copied run", SHARE),
        *(Quantity(f"distinct_{k}", f"distinct {k}-grams of generations", SHARE) for k in GRAMS),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    mark=("novelty_nearest", "test"),  # earlier versions did not look at unseen rows
    on_generations=True,
    sections=(
        Section(
            id="novelty",
            title="Are generations copies?",
            axis="share of generated sequences",
            traces=(
                Trace("share_memorized", "generated", "copies"),
                Trace("share_spurious", "generated", "spurious"),
                Trace("share_novel", "generated", "novel"),
                Trace("share_memorized", "test", "unseen rows near a training row", is_chance=True),
            ),
            read="Copies: near a training sequence, as by chance are as many unseen rows as the "
            "dotted line says. Spurious: no copy, but near another generation. Novel: neither. The "
            "spurious share is expected to peak between the other two.",
            assumed="Near means an edit distance of at most a quarter of the length; exact "
            "binomial intervals.",
        ),
        Section(
            id="overlap",
            title="Longest copied run",
            axis="longest training n-gram, share of the length",
            traces=kinds("overlap", "generated"),
            read="The longest run of tokens of a generation that stands in the training set word "
            "for word: 100% is a copy.",
            assumed="Exact, by suffix array; larger training sets hold longer chance matches.",
        ),
    ),
)

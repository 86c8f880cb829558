"""Conditional entropy: how unsure the model is of a token given all others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import Values, clustered_share, mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import (
    TEXTS,
    Measurement,
    Quantity,
    block,
    mean_rows,
    row,
)
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row, counted_mean
from attractor.results.thresholds import VANISHING
from attractor.results.units import NATS, SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 10, 17)])
"""Bins of the token-level densities of entropy, nats; the last one also holds what is above it."""
SPLITS = (*TEXTS, "generated")
"""Own generations are measured by `entropy_gap`; their rows are of the same quantities."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    for split in TEXTS:
        yield from entropy_blocks(subject, config, split)


def entropy_blocks(subject: Subject, config: ProbeConfig, split: str) -> Iterator[Block]:
    """Entropy of every token of one kind of text, and Min-K%++ of every sequence, which takes the
    same pass of the network."""
    from attractor.probes import conditionals

    tokens = subject.rows(split)
    found = conditionals(subject.denoiser, tokens, config.entropy_t, config.seed)
    yield block("entropy", split, tokens, found.entropy)
    yield block("min_k", split, tokens, found.min_k())


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in SPLITS:
        yield from mean_rows(arrays, "entropy", "conditional_entropy", seed, split)
        if arrays.has("entropy", split):
            entropy = arrays.per_token("entropy", split)
            vanishing = counted_mean(entropy < VANISHING)
            groups = arrays.groups("entropy", split)
            e = mean_interval(vanishing, share=True, seed=seed, groups=groups)
            yield row(split, "vanishing_share", e)
            every = ~np.ma.getmaskarray(entropy)[None]
            entropy = np.ma.getdata(entropy)[None]
            yield from density_rows(split, "entropy_density", entropy, every)


def density_rows(
    split: str, quantity: str, entropy: Values, chosen: NDArray[np.bool_], t: float | None = None
) -> Iterator[Row]:
    """Share of the chosen tokens whose entropy lies in each bin of `EDGES`.

    Args:
        split: kind of text.
        quantity: what the shares are called.
        entropy: in nats, (R, N, L).
        chosen: which tokens, (R, N, L).
        t: corruption time, where there is one.
    """
    bins = np.clip(np.searchsorted(EDGES, entropy, "right") - 1, 0, len(EDGES) - 2)
    count = chosen.sum((0, 2)).astype(float)
    for i, (low, high) in enumerate(itertools.pairwise(EDGES)):
        inside = (chosen & (bins == i)).sum((0, 2))
        # The middle of a bin on a logarithmic axis, on which zero has no place.
        at = float(np.sqrt(max(low, 5e-4) * high))
        yield row(split, quantity, clustered_share(inside, count), t, at)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    return Calls(dense=1.0) * (config.rows + config.test_rows)


ENTROPY = Measurement(
    name="entropy",
    question="how unsure is the model of a token given all others, and of which tokens is it "
    "certain?",
    page="conditional-entropy",
    fold=UNCERTAINTY,
    quantities=(
        Quantity("conditional_entropy", "conditional entropy (nats)", NATS),
        Quantity("vanishing_share", "tokens below 0.01 nats", SHARE),
        Quantity("entropy_density", "tokens with this entropy", SHARE),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("entropy_t",),
    sections=(
        Section(
            id="vanishing",
            title="Tokens the model is certain of",
            axis="tokens below 0.01 nats",
            traces=kinds("vanishing_share", *SPLITS),
            read="Nearly all tokens where a model replays its training text; what is left at large "
            "n are micro-attractors, listed in a table below.",
            assumed="Conditional entropy at nearly no corruption.",
        ),
        Section(
            id="entropy-histograms",
            title="Entropy of single tokens, training and generated text",
            axis="share of tokens",
            traces=kinds("entropy_density", "train", "generated"),
            read="Where on the entropy axis the tokens of each kind of text lie, a plot for each "
            "n. A model that memorizes has both at the left end.",
            assumed="Bins equal in log entropy, the first holds all below 0.001 nats; exact "
            "intervals, for as many independent tokens as would know the share as well.",
            x_title="conditional entropy, nats (log scale)",
            x_log=True,
            every_size=True,
        ),
    ),
)

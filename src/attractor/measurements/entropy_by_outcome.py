"""Entropy by outcome: was the model sure of the tokens that came back?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from attractor.analysis.statistics import ratio_interval
from attractor.measurements.entropy import density_rows
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, row
from attractor.measurements.section import Section, Trace
from attractor.results.outcomes import OUTCOME_NAMES, OUTCOMES
from attractor.results.tables import Arrays, Row
from attractor.results.units import NATS, SHARE


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for (t, _), split in itertools.product(arrays.places("recovery"), TEXTS):
        if arrays.has("entropy", split):
            yield from _rows_at(arrays, split, t, seed)


def _rows_at(arrays: Arrays, split: str, t: float, seed: int) -> Iterator[Row]:
    """Entropy of a token, given its original context, by what became of it when corrupted at t."""
    # (R, N, L): what became of each token in each repeat, beside its entropy, which is the same in
    # all of them since it is that of the clean text.
    found = arrays.outcomes(split, t)
    index = found.index()
    entropy = np.broadcast_to(arrays.values("entropy", split), index.shape)
    groups = arrays.groups("recovery", split, t)
    for outcome, name in enumerate(OUTCOMES):
        chosen = (index == outcome) & found.counted
        count = chosen.sum((0, 2)).astype(float)
        if np.count_nonzero(count) < 2:  # an interval needs two sequences
            continue
        total = np.where(chosen, entropy, 0).sum((0, 2))
        yield row(split, f"entropy_{name}", ratio_interval(total, count, seed, groups), t)
        yield from density_rows(split, f"density_{name}", entropy, chosen, t)


def _traces(kind: str) -> tuple[Trace, ...]:
    return tuple(Trace(f"{kind}_{name}", "test", title) for name, title in OUTCOME_NAMES.items())


ENTROPY_BY_OUTCOME = Measurement(
    name="entropy_by_outcome",
    question="does entropy tell which tokens are recovered, fail, stay or break?",
    page="entropy-by-outcome",
    fold=UNCERTAINTY,
    quantities=tuple(
        quantity
        for name, title in OUTCOME_NAMES.items()
        for quantity in (
            Quantity(f"entropy_{name}", f"entropy of {title} tokens", NATS),
            Quantity(f"density_{name}", f"{title} tokens with this entropy", SHARE),
        )
    ),
    rows=_rows,
    needs=("entropy", "recovery"),
    sections=(
        Section(
            id="outcomes",
            title="Entropy by outcome, unseen text",
            axis="conditional entropy, nats per token",
            traces=_traces("entropy"),
            read="Tokens that came back should be those the model was sure of; a distance between "
            "the lines says that entropy predicts the outcome.",
            assumed="Entropy of the original token in its original context, at the smallest t; "
            "resampled by sequence.",
        ),
        Section(
            id="density",
            title="Entropy of single tokens by outcome, unseen text",
            axis="share of the tokens of that outcome",
            traces=_traces("density"),
            read="Where on the entropy axis the tokens of each outcome lie; each curve sums to one "
            "over its bins.",
            assumed="Bins equal in log entropy, the first holds all below 0.001 nats; smallest t; "
            "exact intervals, for as many independent tokens as would know the share as well.",
            x_title="conditional entropy, nats (log scale)",
            x_log=True,
            every_size=True,
        ),
    ),
)

"""Exact match: which corrupted sequences come back without one wrong token?"""

from __future__ import annotations

from collections.abc import Iterator

from attractor.analysis.statistics import clustered_share
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Row
from attractor.results.units import SHARE

SPLITS = (*TEXTS, "random")


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, _ in arrays.places("recovery"):
        for split in SPLITS:
            found = arrays.outcomes(split, t)
            # (R, N): sequences in which the noise changed something, and those of them that are
            # whole again. Repeats of a sequence are no independent trials, so the interval is that
            # of clusters; with one repeat it is the exact binomial one.
            changed = found.perturbed.any(2)
            whole = found.restored.all(2) & changed
            if changed.any():
                share = clustered_share(
                    whole.sum(0), changed.sum(0), arrays.groups("recovery", split, t)
                )
                yield row(split, "exact_match", share, t)


EXACT_MATCH = Measurement(
    name="exact_match",
    question="how many corrupted sequences come back without one wrong token?",
    page="exact-match",
    fold=BASINS,
    quantities=(Quantity("exact_match", "sequences that come back whole", SHARE),),
    rows=_rows,
    needs=("recovery",),
    sections=(
        Section(
            id="exact",
            title="Sequences that come back whole",
            axis="sequences without one wrong token",
            traces=kinds("exact_match"),
            every_t=True,
            read="A point is the share of corrupted sequences that end without one wrong token, "
            "be it one that was corrupted or one that was left alone. Training text that does so "
            "while unseen text does not is replayed.",
            assumed="Sequences in which the noise changed nothing are left out. Exact binomial "
            "intervals, for as many independent sequences as would know the share as well.",
        ),
    ),
)

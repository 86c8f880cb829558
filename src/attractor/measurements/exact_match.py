"""Exact match: which corrupted sequences come back without one wrong token?"""

from __future__ import annotations

from collections.abc import Iterator

from attractor.analysis.statistics import mean_interval
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Row
from attractor.results.units import SHARE

SPLITS = (*TEXTS, "random")


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, _ in arrays.places("recovery"):
        for split in SPLITS:
            # (R, N, L): whole repeats that are right, then their share of each sequence, so that
            # what is resampled is the sequence.
            whole = arrays.outcomes(split, t).restored.all(2).mean(0)
            yield row(split, "exact_match", mean_interval(whole, share=True, seed=seed), t)


EXACT_MATCH = Measurement(
    name="exact_match",
    question="how many corrupted sequences come back without one wrong token?",
    page="exact-match",
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
            "whether it was corrupted or not. Training text that does so while unseen text does "
            "not is replayed.",
            assumed="Repeats of a sequence are averaged before sequences are resampled. A sequence "
            "in which the noise changed nothing counts if it stays.",
        ),
    ),
)

"""Twins: do two models that were trained on disjoint text write the same from the same noise?"""

from __future__ import annotations

from collections.abc import Iterator

from attractor.measurements.fold import GENERATION
from attractor.measurements.measurement import Measurement, Quantity, mean_rows
from attractor.measurements.section import Section, Trace
from attractor.results.tables import Arrays, Row
from attractor.results.units import SHARE


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for name in ("twins", "twins_chance"):
        yield from mean_rows(arrays, name, name, seed, "generated", share=True)


TWINS = Measurement(
    name="twins",
    question="do two models trained on disjoint text write the same from the same noise?",
    page="agreement",
    fold=GENERATION,
    quantities=(
        Quantity("twins", "positions on which two models agree", SHARE),
        Quantity("twins_chance", "positions on which two models agree by chance", SHARE),
    ),
    rows=_rows,
    sections=(
        Section(
            id="twins",
            title="Two models on disjoint text",
            axis="positions on which both agree",
            traces=(
                Trace("twins", "generated", "same noise"),
                Trace("twins_chance", "generated", "by chance", is_chance=True),
            ),
            read="Models that learned the law agree beyond chance though they share no training "
            "text; models that memorize do not.",
            assumed="Chance: the same sequences paired at random.",
        ),
    ),
    default=False,
    command="attractor twins SWEEP trains a second model on disjoint rows at each size",
)

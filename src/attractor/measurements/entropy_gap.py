"""The entropy gap: is the model surer of its own text than of real text?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attractor.analysis.distances import distances
from attractor.analysis.statistics import difference_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.entropy import entropy_blocks
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, row
from attractor.measurements.section import Section, Trace, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import (
    CLIFFS_DELTA,
    DISTANCE,
    NATS,
    NATS_BETWEEN,
    STANDARD_DEVIATIONS,
)

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

DISTANCES = (
    Quantity("gap_ks", "Kolmogorov-Smirnov", DISTANCE),
    Quantity("gap_wasserstein", "Wasserstein-1, nats", NATS),
    Quantity("gap_energy", "energy", NATS),
    Quantity("gap_hedges_g", "Hedges' g", STANDARD_DEVIATIONS),
    Quantity("gap_cliffs_delta", "Cliff's delta", CLIFFS_DELTA),
)
CHANCE = "_chance"
"""Ends the name of what 95% of random splits of the pooled sample stay below."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    yield from entropy_blocks(subject, config, "generated")


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("entropy", "generated"):
        return
    own = arrays.per_sequence("entropy", "generated")
    for split in TEXTS:
        if arrays.has("entropy", split):
            other = arrays.per_sequence("entropy", split)
            groups = None, arrays.groups("entropy", split)  # generations belong to no document
            gap = difference_interval(own, other, seed, groups)
            yield row("generated", f"entropy_gap_{split}", gap)
            for name, distance in distances(own, other, seed).items():
                # Effect sizes have intervals; distances have none and are compared with chance.
                low, high = distance.ci or (None, None)
                found = Row(
                    split=split,
                    t=None,
                    measurement=f"gap_{name}",
                    value=distance.value,
                    sequences=min(len(own), len(other)),
                )
                yield dataclasses.replace(found, low=low, high=high)
                chance = f"gap_{name}{CHANCE}"
                yield dataclasses.replace(found, measurement=chance, value=distance.chance)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    return Calls(dense=1.0) * config.generated


ENTROPY_GAP = Measurement(
    name="entropy_gap",
    question="is the model surer of its own generations than of training and of unseen text?",
    page="entropy-gap",
    fold=UNCERTAINTY,
    quantities=(
        Quantity("entropy_gap_train", "entropy of generated minus training text", NATS_BETWEEN),
        Quantity("entropy_gap_test", "entropy of generated minus unseen text", NATS_BETWEEN),
        *DISTANCES,
        *(q._replace(name=q.name + CHANCE, title=f"{q.title}, by chance") for q in DISTANCES),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    calls=_calls,
    needs=("entropy",),
    settings=("entropy_t",),
    on_generations=True,
    sections=(
        Section(
            id="gap",
            title="Entropy gap against training-set size",
            axis="entropy of generated text minus the other, nats per token",
            traces=(
                Trace("entropy_gap_train", "generated", "generated minus training"),
                Trace("entropy_gap_test", "generated", "generated minus unseen"),
            ),
            zero_line=True,
            read="How much less sure the model is of the text it generates than of training or of "
            "unseen text. An interval that contains zero is compatible with no difference.",
            assumed="Entropy per sequence at nearly no corruption, independent samples.",
        ),
        Section(
            id="distances",
            title="Entropy of generations against real text",
            axis="Kolmogorov-Smirnov distance",
            traces=(
                *kinds("gap_ks"),
                Trace("gap_ks_chance", "train", "95% of equal samples stay below", is_chance=True),
            ),
            read="How differently entropy per sequence is distributed on generations and on real "
            "text; below the dotted line the two cannot be told apart. Wasserstein-1, energy "
            "distance and effect sizes are in the tables.",
            assumed="No interval: a distance is never negative, and resampling only enlarges it; "
            "chance from random splits of the pooled sample.",
        ),
    ),
)

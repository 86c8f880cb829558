"""Ablation of the reverse process: what do more steps buy?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import (
    TEXTS,
    Measurement,
    Quantity,
    corruption_block,
    row,
)
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import recovery

    for steps in config.ablation_steps:
        for split in TEXTS:
            found = recovery(
                subject.denoiser, subject.rows(split), min(config.t), steps, config.seed
            )
            yield corruption_block("ablation", split, found, at=steps)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, steps in arrays.places("ablation"):
        for split in TEXTS:
            rate = arrays.outcomes(split, t, "ablation", steps).rate_per_sequence()
            groups = arrays.groups("ablation", split)
            mean = mean_interval(rate, share=True, missing=True, seed=seed, groups=groups)
            yield row(split, "recovery_steps", mean, t, steps)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls, reverse_calls

    rows = config.rows + config.test_rows
    every = (reverse_calls(process, min(config.t), n, length) for n in config.ablation_steps)
    return sum((calls * rows for calls in every), Calls())


ABLATION = Measurement(
    name="ablation",
    question="how does recovery depend on the number of steps of the reverse process?",
    page="ablation",
    fold=BASINS,
    quantities=(Quantity("recovery_steps", "recovery rate by reverse steps", SHARE),),
    run=_run,
    rows=_rows,
    calls=_calls,
    axis="ablation_steps",
    at_smallest_t=True,
    sections=(
        Section(
            id="ablation",
            title="What more steps buy",
            axis="corrupted tokens that return",
            traces=kinds("recovery_steps"),
            read="Recovery against the number of steps of the reverse grid; where it is flat, "
            "fewer steps do.",
            assumed="Smallest t, one corruption of each sequence, the same at every number of "
            "steps.",
            x_title="steps of the reverse grid (log scale)",
            x_log=True,
        ),
    ),
    default=False,
)

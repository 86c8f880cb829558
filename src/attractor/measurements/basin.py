"""The basin radius: how far a sequence may be corrupted and still come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import share_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import (
    TEXTS,
    Measurement,
    Quantity,
    block,
    mean_rows,
    row,
)
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

RADII = np.linspace(0, 1, 21)
"""Corrupted shares at which the distribution of radii is written down."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import basin_radii

    for split in TEXTS:
        tokens = subject.rows(split)[: config.basin_rows]
        found = basin_radii(
            subject.denoiser, tokens, config.basin_rounds, config.steps, config.seed
        )
        yield block("basin_radius", split, tokens, found.per_sequence)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in TEXTS:
        yield from mean_rows(arrays, "basin_radius", "basin_radius", seed, split, share=True)
        if arrays.has("basin_radius", split):
            radius = arrays.values("basin_radius", split)[:, 0]
            groups = arrays.groups("basin_radius", split)
            for at in RADII:
                # Radii are stored in single precision.
                share = share_interval(radius >= at - 1e-9, groups)
                yield row(split, "basin_survival", share, at=float(at))


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import reverse_calls

    rows = min(config.rows, config.basin_rows) + min(config.test_rows, config.basin_rows)
    # Bisection visits times below and above 1/2, and calls grow nearly linearly with time.
    return reverse_calls(process, 0.5, config.steps, length) * (rows * config.basin_rounds)


BASIN = Measurement(
    name="basin",
    question="what is the largest corrupted share from which a sequence returns with 95% of its "
    "changed tokens?",
    page="basin-radius",
    fold=BASINS,
    quantities=(
        Quantity("basin_radius", "basin radius", SHARE),
        Quantity("basin_survival", "sequences with at least this basin radius", SHARE),
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("basin_rows", "basin_rounds", "steps"),
    sections=(
        Section(
            id="radius",
            title="Basin radius",
            axis="corrupted share from which a text returns",
            traces=kinds("basin_radius"),
            read="A point is the mean over sequences of the largest corrupted share from which 95% "
            "of the changed tokens return.",
            assumed="Found by bisection over t with noise that grows with t; what fails at one t "
            "is taken to fail beyond.",
        ),
        Section(
            id="survival",
            title="Distribution of basin radii",
            axis="sequences with at least this radius",
            traces=kinds("basin_survival"),
            read="Each curve falls where sequences stop returning: a step is one radius for all, a "
            "slope a spread of radii.",
            assumed="Exact binomial intervals, one size at a time.",
            x_title="corrupted share",
        ),
    ),
)

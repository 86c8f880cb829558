"""The trajectory: what the network's distributions look like on the way from noise to text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.measurement import Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace
from attractor.results.tables import Arrays, Block, Row
from attractor.results.thresholds import PATH_TIMES
from attractor.results.units import NATS, PROBABILITY

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject

QUANTITIES = (
    Quantity("path_entropy", "entropy along the way", NATS),
    Quantity("path_uncertainty", "sum p(1-p) along the way", PROBABILITY),
    Quantity("path_gap", "largest minus second probability along the way", PROBABILITY),
    Quantity("path_top", "largest probability along the way", PROBABILITY),
)


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    for name, means in subject.own.path.means().items():
        yield block(f"path_{name}", "generated", subject.own.tokens, means)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for quantity in QUANTITIES:
        if not arrays.has(quantity.name, "generated"):
            continue
        path = arrays.values(quantity.name, "generated")
        for i, time in enumerate(PATH_TIMES):
            if np.isfinite(path[:, i]).sum() >= 2:
                mean = mean_interval(path[:, i], missing=True, seed=seed)
                yield row("generated", quantity.name, mean, at=time)


TRAJECTORY = Measurement(
    name="trajectory",
    question="how sure is the network along the way from noise to text: entropy, sum p(1-p), the "
    "largest probability and its lead?",
    page="trajectory",
    quantities=QUANTITIES,
    run=_run,
    rows=_rows,
    on_generations=True,
    sections=(
        Section(
            id="trajectory",
            title="Along the way from noise to text",
            axis="entropy, nats per token",
            traces=(Trace("path_entropy", "generated", "entropy"),),
            read="Entropy of the network's distributions while it generates, from noise at the "
            "right to text at the left.",
            assumed="Seen at the tokens that may move, which are drawn without looking at the "
            "network.",
            x_title="time t",
        ),
        Section(
            id="sureness",
            title="How sure along the way",
            axis="probability",
            traces=(
                Trace("path_top", "generated", "largest probability"),
                Trace("path_gap", "generated", "largest minus second"),
                Trace("path_uncertainty", "generated", "sum of p(1 - p)"),
            ),
            read="The same path: the largest probability, its distance to the second, and the "
            "chance that two draws differ.",
            assumed="As above.",
            x_title="time t",
        ),
    ),
)

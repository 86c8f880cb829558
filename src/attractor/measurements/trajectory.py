"""The trajectory: what the network's distributions look like on the way from noise to text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.thresholds import PATH_TIMES
from attractor.results.units import NATS, PROBABILITY

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

QUANTITIES = (
    Quantity("path_entropy", "entropy along the way", NATS),
    Quantity("path_uncertainty", "sum p(1-p) along the way", PROBABILITY),
    Quantity("path_gap", "largest minus second probability along the way", PROBABILITY),
    Quantity("path_top", "largest probability along the way", PROBABILITY),
)


CORRUPTED = ("train", "test", "random")
"""Rows of which the way back from a corruption is followed."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import Path, path_shapes, recovery

    for name, means in path_shapes(subject.denoiser, subject.own.path).items():
        yield block(f"path_{name}", "generated", subject.own.tokens, means)
    t = min(config.t)
    for split in CORRUPTED:
        tokens = subject.rows(split)
        path = Path(len(tokens), subject.length, t, config.steps)
        # The same noise as in the first repeat of `recovery`, so these are ways of its sequences.
        found = recovery(subject.denoiser, tokens, t, config.steps, config.seed, callback=path)
        path.end(found.recovered[0])
        for name, means in path_shapes(subject.denoiser, path).items():
            yield block(f"path_{name}", split, tokens, means, t)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for quantity in QUANTITIES:
        if arrays.has(quantity.name, "generated"):
            yield from _rows_of(arrays, quantity.name, "generated", None, seed)
        for t, _ in arrays.places(quantity.name):
            for split in CORRUPTED:
                yield from _rows_of(arrays, quantity.name, split, t, seed)


def _rows_of(arrays: Arrays, name: str, split: str, t: float | None, seed: int) -> Iterator[Row]:
    path = arrays.array("value", name, split, t)[0].astype(np.float64)
    groups = arrays.groups(name, split, t)
    for i, time in enumerate(PATH_TIMES):
        # Earlier versions looked at single tokens, of which a sequence might have none at a time.
        if np.isfinite(path[:, i]).sum() >= 2:
            mean = mean_interval(path[:, i], missing=True, seed=seed, groups=groups)
            yield row(split, name, mean, t, at=time)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls, reverse_calls

    corrupted = 2 * config.rows + config.test_rows  # as many random rows as training rows
    looks = Calls(dense=1.0) * (len(PATH_TIMES) * (corrupted + config.generated))
    return looks + reverse_calls(process, min(config.t), config.steps, length) * corrupted


TRAJECTORY = Measurement(
    name="trajectory",
    question="how sure is the network along the way from noise to text: entropy, sum p(1-p), the "
    "largest probability and its lead?",
    page="trajectory",
    fold=UNCERTAINTY,
    quantities=QUANTITIES,
    run=_run,
    rows=_rows,
    calls=_calls,
    at_smallest_t=True,
    mark=("path_entropy", "train"),  # earlier versions saw single tokens of generations only
    on_generations=True,
    sections=(
        Section(
            id="trajectory",
            title="Along the way from noise to text",
            axis="entropy, nats per token",
            traces=(Trace("path_entropy", "generated", "entropy"),),
            read="Entropy of the network's distributions while it generates, from noise at the "
            "right to text at the left.",
            assumed="Mean over all positions of a sequence, then over sequences, at times of the "
            "grid.",
            x_title="time t",
        ),
        Section(
            id="way-back",
            title="Along the way from corrupted text back",
            axis="entropy, nats per token",
            traces=kinds("path_entropy", *CORRUPTED),
            read="Entropy of the network's distributions on the way from corrupted rows, at the "
            "right, to restored ones. A store is sure early on the way to its training rows; "
            "random tokens are the control.",
            assumed="Mean over all positions, then over sequences; from the smallest corruption "
            "time, which is 1 on this axis.",
            x_title="time t, as a share of the time of the corruption",
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

"""Recovery: corrupt a sequence, run the reverse process, see which tokens come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import clustered_share, mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import Measurement, Quantity, corruption_block, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

SPLITS = ("train", "test", "random")


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    for t in config.t:
        for split in SPLITS:
            yield corruption_block("recovery", split, subject.restored(split, t))


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for t, _ in arrays.places("recovery"):
        for split in SPLITS:
            found = arrays.outcomes(split, t)
            groups = arrays.groups("recovery", split, t)
            rate, unstable = found.rate_per_sequence(), found.unstable_per_sequence()
            # Where the noise has changed no token of a sequence, it has no rate.
            mean = mean_interval(rate, share=True, missing=True, seed=seed, groups=groups)
            yield row(split, "recovery_rate", mean, t)
            # The same share over all tokens: it weighs a sequence by how many were changed.
            changed = found.perturbed.sum((0, 2))
            returned = (found.restored & found.perturbed).sum((0, 2))
            yield row(split, "recovery_micro", clustered_share(returned, changed, groups), t)
            if np.isfinite(unstable).sum() >= 2:  # near t = 1 hardly a token is left alone
                mean = mean_interval(unstable, share=True, missing=True, seed=seed, groups=groups)
                yield row(split, "unstable_rate", mean, t)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls, reverse_calls

    rows = (config.rows + config.test_rows) * config.repeats + config.rows  # the last are random
    return sum((reverse_calls(process, t, config.steps, length) * rows for t in config.t), Calls())


RECOVERY = Measurement(
    name="recovery",
    question="how many corrupted tokens does the reverse process bring back, and how many "
    "untouched ones does it spoil?",
    page="recovery",
    fold=BASINS,
    quantities=(
        Quantity("recovery_rate", "recovery rate", SHARE),
        Quantity("recovery_micro", "recovery rate over all tokens together", SHARE),
        Quantity("unstable_rate", "broken tokens", SHARE),
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("repeats", "steps"),
    axis="t",
    sections=(
        Section(
            id="broken",
            title="Broken tokens against training-set size",
            axis="untouched tokens that end up wrong",
            traces=kinds("unstable_rate"),
            every_t=True,
            read="A point is the share of tokens that were left alone and still come out "
            "different. High values on unseen text mean that the model pulls it towards something "
            "else.",
            assumed="The same rows and the same noise are used at every n.",
        ),
    ),
)

"""Entropy by outcome on the restored text: is the model sure of what it ended at?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace
from attractor.results.outcomes import OUTCOME_NAMES, OUTCOMES, share
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import NATS

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

ARRAY = "restored_entropy"
"""The array of entropies on restored sequences; repeats of a sequence follow one another."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import conditional_entropy

    for t, split in itertools.product(config.t, TEXTS):
        found = subject.restored(split, t)
        repeats, n, length = found.recovered.shape
        # Of the sequence that the reverse process ended at, wrong tokens and all, at t = 1e-5.
        restored = found.recovered.transpose(0, 1).reshape(n * repeats, length)
        entropy = conditional_entropy(subject.denoiser, restored, seed=config.seed).per_token
        yield block(ARRAY, split, found.original, entropy.view(n, repeats * length), t)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for (t, _), split in itertools.product(arrays.places(ARRAY), TEXTS):
        outcomes = arrays.outcomes(split, t)
        index = outcomes.index()
        repeats, n, length = index.shape
        values = arrays.array("value", ARRAY, split, t)[0].astype(np.float64)
        entropy = values.reshape(n, repeats, length).swapaxes(0, 1)
        # That of a frozen token is NaN, and is not chosen.
        entropy = np.where(outcomes.counted, entropy, 0)
        for outcome, name in enumerate(OUTCOMES):
            mean = share(entropy, (index == outcome) & outcomes.counted)
            if np.isfinite(mean).sum() >= 2:  # an interval needs two sequences
                groups = arrays.groups(ARRAY, split, t)
                found = mean_interval(mean, missing=True, seed=seed, groups=groups)
                yield row(split, f"restored_entropy_{name}", found, t)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    rows = (config.rows + config.test_rows) * config.repeats
    return Calls(dense=1.0) * (rows * len(config.t))


RESTORED_ENTROPY = Measurement(
    name="restored_entropy",
    question="in the text that the model restored, is it sure of the tokens that came back, and of "
    "those that did not?",
    page="restored-entropy",
    fold=UNCERTAINTY,
    quantities=tuple(
        Quantity(f"restored_entropy_{name}", f"entropy of {title} tokens of restored text", NATS)
        for name, title in OUTCOME_NAMES.items()
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    needs=("recovery",),
    settings=("repeats", "steps"),
    axis="t",
    sections=(
        Section(
            id="restored-outcomes",
            title="Entropy by outcome on the restored text, unseen rows",
            axis="conditional entropy, nats per token",
            traces=tuple(
                Trace(f"restored_entropy_{name}", "test", title)
                for name, title in OUTCOME_NAMES.items()
            ),
            read="Entropy of tokens in the text that the model ended at, its mistakes included: a "
            "token that failed is then one that the model put there itself.",
            assumed="At t = 1e-5, mean of each sequence, then over sequences, as in the paper; "
            "smallest corruption time.",
        ),
    ),
)

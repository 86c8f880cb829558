"""Likelihood: how many nats a token costs, by the bound that training minimises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, mean_rows, row
from attractor.measurements.section import Section, kinds
from attractor.results.draws import draws_error
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import NATS

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import likelihood

    for split in TEXTS:
        tokens = subject.rows(split)
        found = likelihood(subject.denoiser, tokens, config.nelbo_draws, config.seed)
        yield block("nelbo", split, tokens, found.per_token)
        yield block("nelbo_by_draw", split, tokens, found.per_draw)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    # Every sequence was looked at at times and under noise of its own, so that resampling sequences
    # resamples those too: the interval holds their error, of which the second number tells how much
    # there is.
    yield from mean_rows(arrays, "nelbo", "nelbo_per_token", seed)
    for split in TEXTS:
        if arrays.has("nelbo_by_draw", split):
            per_draw = arrays.values("nelbo_by_draw", split)
            error = draws_error(per_draw)
            if math.isfinite(error):
                yield row(split, "nelbo_time_error", Estimate(error, n=len(per_draw)))


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    return Calls(dense=1.0) * ((config.rows + config.test_rows) * config.nelbo_draws)


LIKELIHOOD = Measurement(
    name="likelihood",
    question="how many nats does a token of training and of unseen text cost at most?",
    page="likelihood",
    fold=UNCERTAINTY,
    quantities=(
        Quantity("nelbo_per_token", "NELBO (nats per token)", NATS),
        Quantity("nelbo_time_error", "standard error of the NELBO from the drawn times", NATS),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("nelbo_draws",),
    mark=("nelbo_by_draw", "test"),  # earlier versions drew all times evenly, none below 1e-4
    sections=(
        Section(
            id="perplexity",
            title="Perplexity against training-set size",
            axis="perplexity per token (log scale)",
            traces=kinds("nelbo_per_token"),
            exponential=True,
            read="Lower is better. The dashed line falls when more training text helps on unseen "
            "text; the distance between the lines is overfitting.",
            assumed="Perplexity is exp of the NELBO per token, an upper bound on the exact one; "
            "half of the times are drawn in log t, from 1e-9 to 0.1; seeds are averaged in nats.",
        ),
    ),
)

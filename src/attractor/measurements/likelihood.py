"""Likelihood: how many nats a token costs, by the bound that training minimises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attractor.config.settings import ProbeConfig
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, mean_rows
from attractor.measurements.section import Section, kinds
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


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    yield from mean_rows(arrays, "nelbo", "nelbo_per_token", seed)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    return Calls(dense=1.0) * ((config.rows + config.test_rows) * config.nelbo_draws)


LIKELIHOOD = Measurement(
    name="likelihood",
    question="how many nats does a token of training and of unseen text cost at most?",
    page="likelihood",
    quantities=(Quantity("nelbo_per_token", "NELBO (nats per token)", NATS),),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("nelbo_draws",),
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
            "seeds are averaged in nats.",
        ),
    ),
)

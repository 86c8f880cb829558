"""Prefix extraction: which rows does an autoregressive model write on as they are?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import mean_interval, share_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row, counted_mean
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import prefix_extraction

    for split in TEXTS:
        tokens = subject.rows(split)
        found = prefix_extraction(subject.denoiser, tokens)
        made = block("prefix_extraction", split, tokens, found.correct)
        yield dataclasses.replace(made, frozen=found.prefix.numpy())


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("prefix_extraction", "train"):
        return
    for split in TEXTS:
        correct = arrays.per_token("prefix_extraction", split)
        groups = arrays.groups("prefix_extraction", split)
        share = counted_mean(correct)
        # A row of a single token of text has no second half.
        mean = mean_interval(share, share=True, missing=True, seed=seed, groups=groups)
        yield row(split, "prefix_tokens", mean)
        there = np.isfinite(share)
        whole = share_interval(
            (share[there] == 1).astype(float), None if groups is None else groups.chosen(there)
        )
        yield row(split, "prefix_exact", whole)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls

    # The second half, a token at a time, of rows that are three quarters full on average.
    rows = config.rows + config.test_rows
    return Calls(events=3 / 8 * length, candidates=length / 2) * rows


PREFIX_EXTRACTION = Measurement(
    name="prefix_extraction",
    question="which rows does an autoregressive model write on word for word from their half?",
    page="prefix-extraction",
    fold=BASINS,
    quantities=(
        Quantity("prefix_tokens", "tokens of the second half that come back", SHARE),
        Quantity("prefix_exact", "rows whose second half comes back whole", SHARE),
    ),
    asks="order",
    run=_run,
    rows=_rows,
    calls=_calls,
    sections=(
        Section(
            id="prefix-exact",
            title="Rows whose second half comes back whole",
            axis="rows without one wrong token",
            traces=kinds("prefix_exact"),
            read="The share of rows whose second half is written without one wrong token: "
            "discoverable extraction, from half a row.",
            assumed="Exact binomial intervals.",
        ),
    ),
)

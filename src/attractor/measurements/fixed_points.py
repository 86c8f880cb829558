"""Fixed points: what stays where it is when nothing is corrupted and nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.measurement import Measurement, Quantity, block, mean_rows, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

SPLITS = ("train", "test", "random")


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import fixed_points

    for split in SPLITS:
        tokens = subject.rows(split)
        found = fixed_points(subject.denoiser, tokens, steps=config.steps)
        yield block("fixed_point", split, tokens, found.stays.float())


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in SPLITS:
        yield from mean_rows(arrays, "fixed_point", "fixed_tokens", seed, split, share=True)
        if arrays.has("fixed_point", split):
            whole = arrays.values("fixed_point", split).min(1)  # 1 where every token stays
            yield row(split, "fixed_sequences", mean_interval(whole, share=True, seed=seed))


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import settle_calls

    rows = 2 * config.rows + config.test_rows  # as many random rows as training rows
    return settle_calls(process, config.steps) * rows


FIXED_POINTS = Measurement(
    name="fixed_points",
    question="which tokens, and which whole sequences, stay under the deterministic reverse "
    "process?",
    page="fixed-points",
    quantities=(
        Quantity("fixed_tokens", "tokens that stay", SHARE),
        Quantity("fixed_sequences", "whole sequences that stay", SHARE),
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("steps",),
    sections=(
        Section(
            id="fixed",
            title="Fixed points",
            axis="share that stays",
            panels=("tokens that stay", "whole sequences that stay"),
            traces=(*kinds("fixed_tokens", *SPLITS), *kinds("fixed_sequences", *SPLITS)),
            read="Nothing is corrupted and the reverse process takes the most probable token at "
            "each step; the plots show what stays as it was. A stored text is a fixed point, a "
            "random one should not be.",
            assumed="Exact binomial intervals where all or none stay.",
        ),
    ),
)

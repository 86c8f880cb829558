"""Fixed points: what stays where it is when nothing is corrupted and nothing is drawn.

In two senses: with the token's own evidence in the last step, as the paper has it, and without.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import BASINS
from attractor.measurements.measurement import Measurement, Quantity, block, mean_rows, row
from attractor.measurements.section import Section, kinds
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.probes import FixedPoints
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

SPLITS = ("train", "test", "random")


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import fixed_points

    for split in SPLITS:
        found = fixed_points(subject.denoiser, subject.rows(split), steps=config.steps)
        yield _block("posterior_fixed_point", subject, split, found)


def _run_without_evidence(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import pseudo_likelihood_fixed_points

    for split in SPLITS:
        tokens = subject.rows(split)
        found = pseudo_likelihood_fixed_points(subject.denoiser, tokens, steps=config.steps)
        yield _block("fixed_point", subject, split, found)


def _block(name: str, subject: Subject, split: str, found: FixedPoints) -> Block:
    return block(name, split, subject.rows(split), found.values())


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    yield from _shares(arrays, "posterior_fixed_point", "posterior_fixed", seed)


def _rows_without_evidence(arrays: Arrays, seed: int) -> Iterator[Row]:
    yield from _shares(arrays, "fixed_point", "fixed", seed)


def _shares(arrays: Arrays, array: str, name: str, seed: int) -> Iterator[Row]:
    """Of tokens, and of whole sequences."""
    for split in SPLITS:
        yield from mean_rows(arrays, array, f"{name}_tokens", seed, split, share=True)
        if arrays.has(array, split):
            whole = np.ma.filled(
                arrays.per_token(array, split).min(1), np.nan
            )  # 1 where every token stays
            groups = arrays.groups(array, split)
            e = mean_interval(whole, share=True, seed=seed, groups=groups)
            yield row(split, f"{name}_sequences", e)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import settle_calls

    rows = 2 * config.rows + config.test_rows  # as many random rows as training rows
    return settle_calls(process, config.steps) * rows


FIXED_POINTS = Measurement(
    # The word `fixed_points` is taken: in the files of earlier versions it means the other sense.
    name="posterior_fixed_points",
    question="which tokens, and which whole sequences, stay under the deterministic reverse "
    "process?",
    page="fixed-points",
    fold=BASINS,
    quantities=(
        Quantity("posterior_fixed_tokens", "tokens that stay", SHARE),
        Quantity("posterior_fixed_sequences", "whole sequences that stay", SHARE),
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("steps",),
    sections=(
        Section(
            id="fixed-posterior",
            title="Fixed points",
            axis="share that stays",
            panels=("tokens that stay", "whole sequences that stay"),
            traces=(
                *kinds("posterior_fixed_tokens", *SPLITS),
                *kinds("posterior_fixed_sequences", *SPLITS),
            ),
            read="Nothing is corrupted and the reverse process takes the likeliest entry of the "
            "posterior at each step. A store keeps its training text and moves everything else; "
            "where unseen sequences stay too, the model has made fixed points of text it never "
            "saw.",
            assumed="A weak sense: a token stays unless the network finds another many thousand "
            "times as likely. Exact binomial intervals where all or none stay.",
        ),
    ),
)
PSEUDO_LIKELIHOOD_FIXED_POINTS = Measurement(
    name="fixed_points",
    question="which tokens are the likeliest given their context alone, so that they stay without "
    "their own evidence?",
    page="fixed-points",
    fold=BASINS,
    quantities=(
        Quantity("fixed_tokens", "tokens that stay, by pseudo-likelihood", SHARE),
        Quantity("fixed_sequences", "whole sequences that stay, by pseudo-likelihood", SHARE),
    ),
    run=_run_without_evidence,
    rows=_rows_without_evidence,
    calls=_calls,
    settings=("steps",),
    sections=(
        Section(
            id="fixed",
            title="Pseudo-likelihood fixed points",
            axis="share that stays",
            panels=("tokens that stay", "whole sequences that stay"),
            traces=(*kinds("fixed_tokens", *SPLITS), *kinds("fixed_sequences", *SPLITS)),
            read="The same, but in the last step each token is replaced by the likeliest one given "
            "its context. A stored text stays; of other text a token stays only where it is the "
            "one to expect, which no language is throughout.",
            assumed="Exact binomial intervals where all or none stay.",
        ),
    ),
)

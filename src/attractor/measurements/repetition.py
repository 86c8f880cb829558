"""Repetition: how often must a row be repeated in the training set until the model knows it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.detection import auroc
from attractor.analysis.statistics import mean_interval, share_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import SAFETY
from attractor.measurements.measurement import (
    Measurement,
    Quantity,
    block,
    corruption_block,
    row,
)
from attractor.measurements.section import Section, Trace
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import AUROC, SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

EXTRACTED = 0.75
"""Time from which it is tried whether a row comes back verbatim, from a quarter of its tokens."""
PLANTED, LEFT_OUT = "repeated", "left out"
"""Kinds of text: rows that are repeated, and rows of the same documents that are in no training
set."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    from attractor.probes import basin_radii, likelihood, recovery

    planted = subject.texts.planted
    if planted is None:
        return
    # Of each number of copies as many, and of none: they come in turn.
    kinds = len(np.unique(planted.repeats))
    tokens = subject.planted[: max(2, config.planted_rows // kinds) * kinds]
    yield block("repetition_copies", PLANTED, tokens, planted.repeats[: len(tokens)])
    model, steps, seed = subject.denoiser, config.steps, config.seed
    found = recovery(model, tokens, min(config.t), steps, seed)
    yield corruption_block("repetition_recovery", PLANTED, found)
    radii = basin_radii(model, tokens, config.basin_rounds, steps, seed)
    yield block("repetition_radius", PLANTED, tokens, radii.per_sequence)
    nelbo = likelihood(model, tokens, config.nelbo_draws, seed)
    yield block("repetition_nelbo", PLANTED, tokens, nelbo.per_sequence())
    found = recovery(model, tokens, EXTRACTED, steps, seed)
    yield corruption_block("repetition_extraction", PLANTED, found)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("repetition_copies", PLANTED):
        return
    copies = arrays.values("repetition_copies", PLANTED)[:, 0].astype(int)
    groups = arrays.groups("repetition_copies", PLANTED)
    (t, _), *_ = arrays.places("repetition_recovery")
    rate = arrays.outcomes(PLANTED, t, "repetition_recovery").rate_per_sequence()
    radius = arrays.values("repetition_radius", PLANTED)[:, 0]
    sure = -arrays.per_sequence("repetition_nelbo", PLANTED)
    found = arrays.outcomes(PLANTED, EXTRACTED, "repetition_extraction")
    back = np.asarray(found.restored.all((0, 2)))

    def numbers(split: str, chosen: NDArray[np.bool_], at: int) -> Iterator[Row]:
        of = None if groups is None else groups.chosen(chosen)
        if np.isfinite(rate[chosen]).sum() >= 2:  # at a small t the noise may change nothing
            e = mean_interval(rate[chosen], share=True, missing=True, seed=seed, groups=of)
            yield row(split, "repeated_recovery", e, t, at)
        e = mean_interval(radius[chosen], share=True, seed=seed, groups=of)
        yield row(split, "repeated_radius", e, at=at)
        yield row(
            split, "repeated_extraction", share_interval(back[chosen].astype(float), of), at=at
        )

    for times in sorted({*copies.tolist()} - {0}):
        chosen = copies == times
        yield from numbers(PLANTED, chosen, times)
        # The same rows at each place, so that they are a line to compare with.
        yield from numbers(LEFT_OUT, copies == 0, times)
        of = None if groups is None else groups.chosen(chosen)
        rest = None if groups is None else groups.chosen(copies == 0)
        area = auroc(sure[chosen], sure[copies == 0], (of, rest))
        yield row(PLANTED, "repeated_auroc", area, at=times)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls, reverse_calls

    times = (min(config.t), EXTRACTED, *[0.5] * config.basin_rounds)
    runs = sum((reverse_calls(process, t, config.steps, length) for t in times), Calls())
    return (runs + Calls(dense=config.nelbo_draws)) * config.planted_rows


def _section(id_: str, title: str, axis: str, quantity: str, read: str, *, null: bool) -> Section:
    traces = [Trace(quantity, PLANTED, "repeated")]
    if null:
        traces.append(Trace(quantity, LEFT_OUT, "left out of training"))
    return Section(
        id=f"repetition-{id_}",
        title=title,
        axis=axis,
        traces=tuple(traces),
        read=read,
        assumed="Rows from the end of the shuffled corpus, the same at every n; rows of other "
        "numbers of copies are other rows. Their copies take the places of the last training rows.",
        x_title="copies in the training set",
        x_log=True,
    )


REPETITION = Measurement(
    name="repetition",
    question="how many copies of a row must a training set hold until the model gives it back?",
    page="repetition",
    fold=SAFETY,
    quantities=(
        Quantity("repeated_recovery", "recovery rate of repeated rows", SHARE),
        Quantity("repeated_radius", "basin radius of repeated rows", SHARE),
        Quantity("repeated_extraction", "repeated rows that come back verbatim", SHARE),
        Quantity("repeated_auroc", "AUROC of repeated rows against rows left out", AUROC),
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("planted_rows", "basin_rounds", "steps", "nelbo_draws"),
    at_smallest_t=True,
    default=False,
    trained="attractor sweep --data.repeat 1 10 100",
    sections=(
        _section(
            "recovery",
            "Recovery against the number of copies",
            "corrupted tokens that return",
            "repeated_recovery",
            "A row that is stored returns whatever the model knows of language; where the line "
            "leaves that of rows left out, copies begin to be stored.",
            null=True,
        ),
        _section(
            "radius",
            "Basin radius against the number of copies",
            "corrupted share from which a text returns",
            "repeated_radius",
            "How much of a row may be noise and it still returns.",
            null=True,
        ),
        _section(
            "extraction",
            "Extraction against the number of copies",
            "rows that come back verbatim from a quarter of their tokens",
            "repeated_extraction",
            "Each row is shown with three quarters of its tokens redrawn or hidden. A row left out "
            "that comes back is one that the model can guess.",
            null=True,
        ),
        _section(
            "membership",
            "Membership against the number of copies",
            "AUROC of the likelihood, repeated rows against rows left out",
            "repeated_auroc",
            "0.5 is a coin: the likelihood of repeated rows is that of rows left out.",
            null=False,
        ),
    ),
)

"""Calibration: is the model as surprised by text as it expects to be?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attractor.analysis.calibration import Surprise, kappa, log_kappa_difference
from attractor.analysis.statistics import clustered_share, mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import UNCERTAINTY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, mean_rows, row
from attractor.measurements.section import Section, Trace, kinds
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, Row, counted_mean
from attractor.results.thresholds import RELIABILITY_BINS
from attractor.results.units import LOG_RATIO, NATS, PROBABILITY_BETWEEN, RATIO, SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

SPLITS = (*TEXTS, "generated")
"""Own generations are measured by `own_calibration`; their rows are of the same quantities."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    for split in TEXTS:
        yield from _blocks(subject, config, split)


def _run_own(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    yield from _blocks(subject, config, "generated")


def _blocks(subject: Subject, config: ProbeConfig, split: str) -> Iterator[Block]:
    from attractor.probes import calibration

    tokens = subject.rows(split)
    found = calibration(subject.denoiser, tokens, config.entropy_t, config.seed)
    for name, values in found._asdict().items():
        yield block(f"calibration_{name}", split, tokens, values)


def surprise(arrays: Arrays, split: str) -> Surprise:
    """Mean nll and entropy of each sequence, each (N,)."""
    names = ("calibration_nll", "calibration_entropy")
    return Surprise(*(arrays.per_sequence(name, split) for name in names))


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for split in SPLITS:
        if arrays.has("calibration_nll", split):
            groups = arrays.groups("calibration_nll", split)
            yield row(split, "kappa", kappa(surprise(arrays, split), seed, groups))
            yield from mean_rows(arrays, "calibration_nll", "conditional_nll", seed, split)
            yield from _confidence_rows(arrays, split, seed)
    if all(arrays.has("calibration_nll", split) for split in TEXTS):
        train, test = (surprise(arrays, split) for split in TEXTS)
        of_train, of_test = (arrays.groups("calibration_nll", split) for split in TEXTS)
        gap = log_kappa_difference(test, train, seed, (of_test, of_train))
        yield row("test", "calibration_gap", gap)


def _confidence_rows(arrays: Arrays, split: str, seed: int) -> Iterator[Row]:
    """Confidence minus accuracy, and the reliability diagram."""
    confidence, correct = (
        arrays.per_token(f"calibration_{name}", split) for name in ("confidence", "correct")
    )
    groups = arrays.groups("calibration_confidence", split)
    beyond = mean_interval(counted_mean(confidence - correct), seed=seed, groups=groups)
    yield row(split, "overconfidence", beyond)
    # In no bin is a token that is frozen.
    counted = ~np.ma.getmaskarray(confidence)
    confidence, correct = np.ma.filled(confidence, 0), np.ma.filled(correct, 0)
    bins = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    for i in range(RELIABILITY_BINS):
        here = (bins == i) & counted
        if here.any():
            at = (i + 0.5) / RELIABILITY_BINS
            share = clustered_share((correct * here).sum(1), here.sum(1), groups)
            yield row(split, "reliability", share, at=at)
            mean = Estimate(float(confidence[here].mean()), n=share.n)
            yield row(split, "bin_confidence", mean, at=at)


def _own_rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if all(arrays.has("calibration_nll", split) for split in ("generated", "test")):
        own, test = (surprise(arrays, split) for split in ("generated", "test"))
        groups = None, arrays.groups("calibration_nll", "test")
        gap = log_kappa_difference(own, test, seed, groups)
        yield row("generated", "own_calibration_gap", gap)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import reading_calls

    return reading_calls(process, length) * (config.rows + config.test_rows)


def _own_calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import reading_calls

    return reading_calls(process, length) * config.generated


CALIBRATION = Measurement(
    name="calibration",
    question="is the model as surprised by a token, and as often right, as it expects to be?",
    page="calibration",
    fold=UNCERTAINTY,
    quantities=(
        Quantity("kappa", "surprise met over surprise expected", RATIO),
        Quantity("calibration_gap", "ln kappa of unseen minus training text", LOG_RATIO),
        Quantity("conditional_nll", "nats of a token given all others", NATS),
        Quantity("overconfidence", "confidence minus accuracy", PROBABILITY_BETWEEN),
        Quantity("reliability", "accuracy of tokens of this confidence", SHARE),
        Quantity("bin_confidence", "mean confidence of these tokens", SHARE),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("entropy_t",),
    sections=(
        Section(
            id="kappa",
            title="Calibration against training-set size",
            axis="kappa, surprise met over surprise expected (log scale)",
            traces=kinds("kappa", *SPLITS),
            log=True,
            read="At the line, 1, the model is as surprised by a token as it expects to be. A "
            "store is overconfident on text that it never saw, far above the line, and below it on "
            "its training text; near the line on both it has learned the law of the text.",
            assumed="Each token given all others, at nearly no corruption; a ratio of means. Text "
            "of another kind lies above the line for any model, and own text, which takes the "
            "likeliest token in its last step, does too.",
        ),
        Section(
            id="reliability",
            title="Reliability",
            axis="accuracy",
            traces=(
                *kinds("reliability", *SPLITS),
                Trace("bin_confidence", "test", "as right as sure", is_chance=True),
            ),
            read="Tokens of unseen text about which the model is equally sure lie on the dotted "
            "line if it is right about as many as it expects; below it, it is too sure.",
            assumed="Ten equal bins of the largest probability; exact binomial intervals, for as "
            "many independent tokens as would know the share as well.",
            x_title="confidence",
        ),
    ),
)
OWN_CALIBRATION = Measurement(
    name="own_calibration",
    question="does the model judge the text that it writes better than unseen text, as a store "
    "does?",
    page="calibration",
    fold=UNCERTAINTY,
    quantities=(Quantity("own_calibration_gap", "ln kappa of own minus unseen text", LOG_RATIO),),
    asks="either",
    run=_run_own,
    rows=_own_rows,
    calls=_own_calls,
    needs=("calibration",),
    settings=("entropy_t",),
    on_generations=True,
    sections=(
        Section(
            id="own-calibration",
            title="Calibration of own text",
            axis="ln kappa of own minus unseen text",
            traces=(Trace("own_calibration_gap", "generated", "own minus unseen"),),
            zero_line=True,
            read="Below the line the model judges what it writes better than what it has not seen: "
            "it writes what it stores. A model that is merely too sure of itself, as a low "
            "temperature makes it, is so on both.",
            assumed="Own text takes the likeliest token in its last step, which raises its kappa; "
            "a perfect model is above the line.",
        ),
    ),
)

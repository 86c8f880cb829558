"""Generative perplexity: how likely another language model finds what this one writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy

from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import GENERATION
from attractor.measurements.measurement import (
    TEXTS,
    Measurement,
    Quantity,
    block,
    mean_rows,
    row,
)
from attractor.measurements.section import Section, kinds
from attractor.measurements.texts import NGRAM, REFERENCE
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import CORRELATION, NATS

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.probes import Judge

SPLITS = ("generated", *TEXTS)


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    judge = _judge(subject, config)
    for split in SPLITS:
        tokens = subject.rows(split)
        yield block("judge", split, tokens, judge.nats(tokens.numpy(), ~subject.fixed(tokens)))


def _judge(subject: Subject, config: ProbeConfig) -> Judge:
    from attractor.probes import HuggingFaceJudge, NGramJudge

    if config.judge != NGRAM:
        return HuggingFaceJudge(Path(config.judge), subject.texts.decode)
    known = np.array(subject.texts.other_test[:REFERENCE])
    counted = ~subject.fixed(known)
    return NGramJudge(known, subject.denoiser.process.vocab_size, counted=counted)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    yield from mean_rows(arrays, "judge", "judge_nats", seed, *SPLITS)
    if arrays.has("judge", "generated") and arrays.has("entropy", "generated"):
        own = arrays.per_sequence("entropy", "generated")
        judged = arrays.per_sequence("judge", "generated")
        if len(own) > 4 and np.ptp(own) > 0 and np.ptp(judged) > 0:
            yield row("generated", "judge_correlation", _rank_correlation(own, judged))


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> Estimate:
    """Spearman's, with Fisher's interval, whose variance for ranks is 1.06 / (n - 3)."""
    rho = float(scipy.stats.spearmanr(a, b).statistic)
    reach = 1.96 * np.sqrt(1.06 / (len(a) - 3))
    centre = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    low, high = np.tanh([centre - reach, centre + reach])
    return Estimate(rho, float(low), float(high), len(a))


GENERATIVE_PERPLEXITY = Measurement(
    name="generative_perplexity",
    question="how likely does a judge, another language model, find the model's generations?",
    page="generative-perplexity",
    fold=GENERATION,
    quantities=(
        Quantity("judge_nats", "nats per token under the judge", NATS),
        Quantity("judge_correlation", "own entropy against the judge", CORRELATION),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    settings=("judge",),
    on_generations=True,
    sections=(
        Section(
            id="judge",
            title="Generative perplexity",
            axis="perplexity per token under the judge (log scale)",
            traces=kinds("judge_nats", *SPLITS),
            exponential=True,
            read="A low value alone proves nothing: a model that replays training text is as "
            "fluent as the text. The transition is expected at a peak between small and large n.",
            assumed="The judge is named at the end of the page; the built-in one is a Kneser-Ney "
            "5-gram of unseen rows that are not probed. exp of the mean nats per token.",
        ),
        Section(
            id="correlation",
            title="Self-entropy against the judge",
            axis="rank correlation over generations",
            traces=kinds("judge_correlation", "generated"),
            read="Near 1 the model's own entropy ranks its generations as the judge does, so no "
            "judge is needed.",
            assumed="Spearman, Fisher's interval; sizes without any spread are left out.",
        ),
    ),
)

"""The measurements that are curves and nothing else: one entry of a table each, drawn by the same
code."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attractor.report import words
from attractor.report.figures import GENERATED, INK, MUTED, PALETTE, SYMBOLS, Style, style
from attractor.report.view import perplexity


class Trace(NamedTuple):
    """One line: which rows of measurements.json it is made of, and what it is called."""

    measurement: str
    split: str
    label: str
    style: Style


class Section(NamedTuple):
    """One figure against n, or, with an `x_title`, against the rows' own `at` for the smallest and
    the largest n."""

    id: str
    title: str
    axis: str
    traces: tuple[Trace, ...]
    read: str
    assumed: str
    form: Callable[[float], str] = words.percent
    share: bool = False
    """the numbers lie in [0, 1]"""
    scale: Callable[[float], float] = float
    log: bool = False
    """drawn on a logarithmic axis"""
    x_title: str | None = None
    x_log: bool = False


def _kinds(measurement: str, *splits: str) -> tuple[Trace, ...]:
    return tuple(
        Trace(measurement, split, words.name(split), style(split))
        for split in splits or ("train", "test")
    )


def _painted(*lines: tuple[str, str, str]) -> tuple[Trace, ...]:
    dashes = ("solid", "7px,4px", "1.5px,3.5px", "10px,3px,2px,3px")
    return tuple(
        Trace(measurement, split, label, Style(PALETTE[i % 6], dashes[i % 4], SYMBOLS[i % 5]))
        for i, (measurement, split, label) in enumerate(lines)
    )


OUTCOMES = ("recovered", "failed", "stable", "unstable")
OUTCOME_NAMES = {
    "recovered": "recovered",
    "failed": "failed",
    "stable": "unchanged",
    "unstable": "broken",
}
SCORES = ("NELBO", "entropy", "NELBO / zlib", "Min-K%++", "bag of words")

SECTIONS = (
    Section(
        "radius", "Basin radius", "corrupted share from which a text returns",
        _kinds("basin_radius"),
        "A point is the mean over sequences of the largest corrupted share from which 95% of the "
        "changed tokens "
        "return.",
        "Found by bisection over t with noise that grows with t; what fails at one t is taken to "
        "fail beyond.",
        share=True,
    ),
    Section(
        "survival", "Distribution of basin radii", "sequences with at least this radius",
        _kinds("basin_survival"),
        "Each curve falls where sequences stop returning: a step is one radius for all, a slope a "
        "spread of radii.",
        "Exact binomial intervals, one size at a time.", share=True, x_title="corrupted share",
    ),
    Section(
        "outcomes", "Entropy by outcome, unseen text", "conditional entropy, nats per token",
        _painted(*((f"entropy_{name}", "test", OUTCOME_NAMES[name]) for name in OUTCOMES)),
        "Tokens that came back should be those the model was sure of; a distance between the "
        "lines says that entropy "
        "predicts the outcome.",
        "Entropy of the original token in its original context, at the smallest t; resampled by "
        "sequence.", words.nats,
    ),
    Section(
        "density", "Entropy of single tokens by outcome, unseen text",
        "share of the tokens of that outcome",
        _painted(*((f"density_{name}", "test", OUTCOME_NAMES[name]) for name in OUTCOMES)),
        "Where on the entropy axis the tokens of each outcome lie; each curve sums to one over "
        "its bins.",
        "Bins equal in log entropy, the first holds all below 0.001 nats; smallest t; exact "
        "intervals, for as many "
        "independent tokens as would know the share as well.",
        x_title="conditional entropy, nats (log scale)", x_log=True,
    ),
    Section(
        "vanishing", "Tokens the model is certain of", "tokens below 0.01 nats",
        _kinds("vanishing_share", "train", "test", "generated"),
        "Nearly all tokens where a model replays its training text; what is left at large n are "
        "micro-attractors, "
        "listed in a table below.",
        "Conditional entropy at nearly no corruption.", share=True,
    ),
    Section(
        "novelty", "Are generations copies?", "share of generated sequences",
        _painted(
            ("share_memorized", "generated", "memorized"), ("share_spurious", "generated",
            "spurious"),
            ("share_novel", "generated", "novel"),
        ),
        "Memorized: near a training sequence. Spurious: not that, but near another generation. "
        "Novel: neither. The "
        "spurious share is expected to peak between the other two.",
        "Near means an edit distance of at most a quarter of the length; exact binomial intervals.",
        share=True,
    ),
    Section(
        "overlap", "Longest copied run", "longest training n-gram, share of the length",
        _kinds("overlap", "generated"),
        "The longest run of tokens of a generation that stands in the training set word for word: "
        "100% is a copy.",
        "Exact, by suffix array; larger training sets hold longer chance matches.", share=True,
    ),
    Section(
        "judge", "Generative perplexity", "perplexity per token under the judge (log scale)",
        _kinds("judge_nats", "generated", "train", "test"),
        "A low value alone proves nothing: a model that replays training text is as fluent as the "
        "text. The transition "
        "is expected at a peak between small and large n.",
        "The judge is named at the end of the page; the built-in one is a Kneser-Ney 5-gram of "
        "unseen rows that are "
        "not probed. exp of the mean nats per token.",
        words.approx, scale=perplexity, log=True,
    ),
    Section(
        "correlation", "Self-entropy against the judge", "rank correlation over generations",
        _kinds("judge_correlation", "generated"),
        "Near 1 the model's own entropy ranks its generations as the judge does, so no judge is "
        "needed.",
        "Spearman, Fisher's interval; sizes without any spread are left out.", words.nats,
    ),
    Section(
        "distances", "Entropy of generations against real text", "Kolmogorov-Smirnov distance",
        (
            *_kinds("gap_ks"),
            Trace("gap_ks_chance", "train", "95% of equal samples stay below", Style(MUTED,
            "1.5px,3.5px", None, 1.4)),
        ),
        "How differently entropy per sequence is distributed on generations and on real text; "
        "below the dotted line "
        "the two cannot be told apart. Wasserstein-1, energy distance and effect sizes are in the "
        "tables.",
        "No interval: a distance is never negative, and resampling only enlarges it; chance from "
        "random splits of the "
        "pooled sample.", words.nats,
    ),
    Section(
        "trajectory", "Along the way from noise to text", "entropy, nats per token",
        (Trace("path_entropy", "generated", "entropy", Style(INK, "solid", "circle")),),
        "Entropy of the network's distributions while it generates, from noise at the right to "
        "text at the left.",
        "Seen at the tokens that may move, which are drawn without looking at the network.",
        words.nats,
        x_title="time t",
    ),
    Section(
        "sureness", "How sure along the way", "probability",
        _painted(
            ("path_top", "generated", "largest probability"), ("path_gap", "generated",
            "largest minus second"),
            ("path_uncertainty", "generated", "sum of p(1 - p)"),
        ),
        "The same path: the largest probability, its distance to the second, and the chance that "
        "two draws differ.",
        "As above.", share=True, x_title="time t",
    ),
    Section(
        "membership", "Was this sequence trained on?", "AUROC",
        _painted(*(("auroc", name, name) for name in SCORES)),
        "0.5 is a coin. A score that is no better than the bag of words, which never saw the "
        "model, says nothing; the "
        "table compares them on the same rows.",
        "Training against unseen rows; Newcombe's interval. Recovery is in the table.", words.nats,
    ),
    Section(
        "ablation", "What more steps buy", "corrupted tokens that return", _kinds("recovery_steps"),
        "Recovery against the number of steps of the reverse grid; where it is flat, fewer steps "
        "do.",
        "Smallest t, one corruption of each sequence, the same at every number of steps.",
        share=True,
        x_title="steps of the reverse grid (log scale)", x_log=True,
    ),
    Section(
        "twins", "Two models on disjoint text", "positions on which both agree",
        (
            Trace("twins", "generated", "same noise", Style(GENERATED, "solid", "circle")),
            Trace("twins_chance", "generated", "by chance", Style(MUTED, "1.5px,3.5px", None, 1.4)),
        ),
        "Models that learned the law agree beyond chance though they share no training text; "
        "models that memorize do "
        "not.",
        "Chance: the same sequences paired at random.", share=True,
    ),
)  # fmt: skip

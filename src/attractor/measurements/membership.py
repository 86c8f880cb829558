"""Membership: can it be told which sequences a model was trained on?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.detection import auroc, auroc_gain, auroc_shuffled, detection_at
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import SAFETY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace
from attractor.measurements.texts import REFERENCE
from attractor.results.tables import Arrays, Block, Row, counted_mean
from attractor.results.units import AUROC, AUROC_BETWEEN, SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject

Values = NDArray[np.float64]
BLIND = "bag of words"
"""The score that never saw the model."""
SCORES = {
    "NELBO": ("nelbo", -1),
    "entropy": ("entropy", -1),
    "Min-K%++": ("min_k", 1),
    "Min-K%": ("min_k_prob", 1),
    BLIND: ("bag_of_words", 1),
}
"""Scores that are means over values, and which of their ends speaks for membership."""
ZLIB = "NELBO / zlib"
LEVELS = (0.0, 0.01, 0.001)
"""False-positive rates; a level is scored if one false positive of the unseen sequences would not
be above it."""


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    """What can be said without the model: compressed size, and a bag of words fitted to other
    rows. The scores of the model are arrays of other measurements."""
    from attractor.probes import conditionals

    texts = subject.texts
    probed = {split: subject.rows(split).numpy() for split in TEXTS}
    # Other rows than those that are scored, which it would otherwise know by heart.
    known, unknown = (np.array(rows[:REFERENCE]) for rows in (texts.other_train, texts.other_test))
    vocab = 1 + max(int(rows.max()) for rows in (known, unknown, *probed.values()) if rows.size)
    log_odds = _log_frequency(known, vocab) - _log_frequency(unknown, vocab)
    for split, tokens in probed.items():
        compressed = [len(zlib.compress(texts.decode(ids).encode())) for ids in tokens.tolist()]
        yield block("compressed", split, tokens, np.array(compressed, dtype=np.float64))
        odds = np.ma.masked_array(log_odds[tokens], subject.fixed(tokens))
        yield block("bag_of_words", split, tokens, counted_mean(odds))
        if not subject.denoiser.process.corrupts:  # it is a score of exact next-token likelihoods
            found = conditionals(subject.denoiser, subject.rows(split))
            yield block("min_k_prob", split, tokens, found.min_k_prob())


def _log_frequency(rows: np.ndarray, vocab: int) -> Values:
    """Of each token, with one occurrence added so that none has never been seen."""
    counts = np.bincount(rows.ravel(), minlength=vocab) + 1.0
    return np.log(counts / counts.sum())


def scores(arrays: Arrays) -> dict[str, tuple[Values, Values]]:
    """Membership scores of training and of unseen sequences: high means "was trained on".

    A sequence in which nothing was perturbed gets the mean recovery of both kinds, which does not
    give away its own.
    """
    found: dict[str, list[Values]] = {}
    for t, _ in arrays.places("recovery"):
        rates = [arrays.outcomes(split, t).rate_per_sequence() for split in TEXTS]
        middle = float(np.nanmean(np.concatenate(rates)))
        found[f"recovery at t = {t:g}"] = [np.nan_to_num(rate, nan=middle) for rate in rates]
    for split in TEXTS:
        for name, (source, sign) in SCORES.items():
            if arrays.has(source, split):
                found.setdefault(name, []).append(sign * arrays.per_sequence(source, split))
        if arrays.has("nelbo", split) and arrays.has("compressed", split):
            whole = np.ma.filled(arrays.per_token("nelbo", split).sum(1), np.nan)
            found.setdefault(ZLIB, []).append(-whole / arrays.values("compressed", split)[:, 0])
    return {name: (train, test) for name, (train, test) in found.items()}


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    if not arrays.has("bag_of_words", "train"):
        return
    found = scores(arrays)
    of = arrays.groups("bag_of_words", "train"), arrays.groups("bag_of_words", "test")
    for name, (train, test) in found.items():
        yield row(name, "auroc", auroc(train, test, of))
        if name != BLIND:
            yield row(name, "auroc_gain", auroc_gain((train, test), found[BLIND], of))
        for level in LEVELS:
            if not level or level * len(test) >= 1:
                yield row(name, "tpr", detection_at(train, test, level, of[0]).rate, at=level)
        yield row(name, "auroc_shuffled", auroc_shuffled(train, test, seed))


MEMBERSHIP = Measurement(
    name="membership",
    question="can training sequences be told from unseen ones, beyond what a bag of words can tell "
    "that never saw the model?",
    page="membership",
    fold=SAFETY,
    quantities=(
        Quantity("auroc", "AUROC of a membership score", AUROC),
        Quantity("auroc_gain", "AUROC beyond that of the bag of words", AUROC_BETWEEN),
        Quantity("auroc_shuffled", "AUROC with shuffled labels", AUROC),
        Quantity("tpr", "training rows found at this false-positive rate", SHARE),
    ),
    asks="either",
    run=_run,
    rows=_rows,
    sections=(
        Section(
            id="membership",
            title="Was this sequence trained on?",
            axis="AUROC",
            traces=tuple(
                Trace("auroc", name, name) for name in ("NELBO", "entropy", ZLIB, "Min-K%++", BLIND)
            ),
            read="0.5 is a coin. A score that is no better than the bag of words, which never saw "
            "the model, says nothing; the table compares them on the same rows.",
            assumed="Training against unseen rows; Newcombe's interval. Recovery is in the table.",
        ),
    ),
)

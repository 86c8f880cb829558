"""The measurements of one model: which probes run on which text, and the arrays they leave."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.config.settings import ProbeConfig
from attractor.model.denoiser import Denoiser
from attractor.probes import (
    HuggingFaceJudge,
    Judge,
    NGramJudge,
    Trajectory,
    basin_radii,
    conditionals,
    fixed_points,
    likelihood,
    novelty,
    random_tokens,
    recovery,
    require_judge,
    sample,
)
from attractor.results.tables import Block
from attractor.types import AttractorError

NGRAM = "ngram"
"""The built-in judge."""
REFERENCE = 20_000
"""Rows at most from which the built-in judge and the blind baseline learn."""
RANDOM_ROWS = 100
"""Rows at most of random tokens: a control that hardly varies."""


class Texts(NamedTuple):
    """What a model is measured on; rows are token matrices."""

    train: np.ndarray
    """training rows that are probed"""
    test: np.ndarray
    """unseen rows that are probed"""
    corpus: np.ndarray
    """every row the model was trained on"""
    other_train: np.ndarray
    """rows of the training documents that are not probed"""
    other_test: np.ndarray
    """unseen rows that are not probed"""
    decode: Callable[[Sequence[int]], str]


def require_measurable(texts: Texts, config: ProbeConfig) -> None:
    """Refuse what would fail, or mean nothing, only after the training.

    Raises:
        AttractorError: if a corruption time is so small that there would be nothing to recover, no
            unseen row is left for the built-in judge and the blind baseline to learn from, or the
            judge is not there.
    """
    for t in config.t:
        expected = t * texts.train.shape[1] * min(config.rows, config.test_rows)
        if expected < 10:
            raise AttractorError(
                f"t = {t} corrupts about {expected:.1g} tokens of all rows together: use a larger "
                "t or more rows"
            )
    if not len(texts.other_test):
        raise AttractorError(
            f"test_rows = {len(texts.test)} are all unseen rows: leave some that are not probed, "
            "from which the judge "
            "and the bag of words learn"
        )
    if "generations" in config.measure and config.judge != NGRAM:
        require_judge(Path(config.judge))


def measure(denoiser: Denoiser, texts: Texts, config: ProbeConfig) -> Iterator[Block]:
    """Run the probes that the config names; each array is handed out as soon as it is there."""
    length, process = texts.train.shape[1], denoiser.process
    splits = {
        "train": torch.from_numpy(np.array(texts.train)),
        "test": torch.from_numpy(np.array(texts.test)),
        "random": random_tokens(
            min(len(texts.train), RANDOM_ROWS),
            length,
            process.vocab_size,
            config.seed,
            process.mask_id,
        ),
    }
    if "generations" in config.measure:
        watch = Trajectory(config.generated)
        splits["generated"] = sample(
            denoiser, config.generated, length, config.steps, seed=config.seed, callback=watch
        )
        yield from _generations(splits["generated"], watch, texts, config, process.vocab_size)
    parts = {
        "entropy": lambda: _entropy(denoiser, splits, config),
        "recovery": lambda: _recovery(denoiser, splits, config),
        "fixed_points": lambda: _fixed_points(denoiser, splits, config),
        "likelihood": lambda: _likelihood(denoiser, splits, config),
        "membership": lambda: _blind(splits, texts),
        "basin": lambda: _basin(denoiser, splits, config),
        "ablation": lambda: _ablation(denoiser, splits, config),
    }
    for name, part in parts.items():
        if name in config.measure:
            yield from part()


def _block(measurement: str, split: str, tokens: Tensor, value: Tensor | np.ndarray) -> Block:
    values = np.asarray(value)
    return Block(
        measurement=measurement, split=split, original=tokens.numpy(),
        value=values[:, None] if values.ndim == 1 else values,
    )  # fmt: skip


def _generations(
    own: Tensor, watch: Trajectory, texts: Texts, config: ProbeConfig, vocab: int
) -> Iterator[Block]:
    for name, means in watch.means().items():
        yield _block(f"path_{name}", "generated", own, means)
    found = novelty(own.numpy(), np.asarray(texts.corpus))
    for name, values in found._asdict().items():
        yield _block(f"novelty_{name}", "generated", own, values)
    judge = _judge(texts, config, vocab)
    for split, rows in (("generated", own.numpy()), ("train", texts.train), ("test", texts.test)):
        tokens = torch.from_numpy(np.array(rows))
        yield _block("judge", split, tokens, judge.nats(tokens.numpy()))


def _judge(texts: Texts, config: ProbeConfig, vocab: int) -> Judge:
    if config.judge != NGRAM:
        return HuggingFaceJudge(Path(config.judge), texts.decode)
    return NGramJudge(np.array(texts.other_test[:REFERENCE]), vocab)


def _entropy(denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig) -> Iterator[Block]:
    for split in ("train", "test", "generated"):
        if split in splits:
            found = conditionals(denoiser, splits[split], config.entropy_t, config.seed)
            yield _block("entropy", split, splits[split], found.entropy)
            yield _block("min_k", split, splits[split], found.min_k())


def _recovery(
    denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig
) -> Iterator[Block]:
    for t in config.t:
        for split in ("train", "test", "random"):
            repeats = 1 if split == "random" else config.repeats
            found = recovery(denoiser, splits[split], t, config.steps, config.seed, repeats)
            yield Block(
                measurement="recovery", split=split, t=t, original=found.original.numpy(),
                corrupted=found.corrupted.numpy(), recovered=found.recovered.numpy(),
            )  # fmt: skip


def _fixed_points(
    denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig
) -> Iterator[Block]:
    for split in ("train", "test", "random"):
        found = fixed_points(denoiser, splits[split], steps=config.steps)
        yield _block("fixed_point", split, splits[split], found.stays.float())


def _likelihood(
    denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig
) -> Iterator[Block]:
    for split in ("train", "test"):
        found = likelihood(denoiser, splits[split], config.nelbo_draws, config.seed)
        yield _block("nelbo", split, splits[split], found.per_token)


def _blind(splits: dict[str, Tensor], texts: Texts) -> Iterator[Block]:
    """What can be said of membership without the model: compressed size, and a bag of words fitted
    to other rows."""
    others = [np.array(rows[:REFERENCE]) for rows in (texts.other_train, texts.other_test)]
    vocab = 1 + max(
        int(rows.max())
        for rows in (*others, *(splits[s].numpy() for s in ("train", "test")))
        if rows.size
    )
    counts = [np.bincount(rows.ravel(), minlength=vocab) + 1.0 for rows in others]
    log_odds = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    for split in ("train", "test"):
        tokens = splits[split]
        compressed = [len(zlib.compress(texts.decode(row).encode())) for row in tokens.tolist()]
        yield _block("compressed", split, tokens, np.array(compressed, dtype=np.float64))
        yield _block("bag_of_words", split, tokens, log_odds[tokens.numpy()].mean(1))


def _basin(denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig) -> Iterator[Block]:
    for split in ("train", "test"):
        tokens = splits[split][: config.basin_rows]
        found = basin_radii(denoiser, tokens, config.basin_rounds, config.steps, config.seed)
        yield _block("basin_radius", split, tokens, found.per_sequence)


def _ablation(
    denoiser: Denoiser, splits: dict[str, Tensor], config: ProbeConfig
) -> Iterator[Block]:
    t = min(config.t)
    for steps in config.ablation_steps:
        for split in ("train", "test"):
            found = recovery(denoiser, splits[split], t, steps, config.seed)
            yield Block(
                measurement="ablation", split=split, t=t, at=steps, original=found.original.numpy(),
                corrupted=found.corrupted.numpy(), recovered=found.recovered.numpy(),
            )  # fmt: skip

"""A sweep small enough for a test: a dozen words, six letters a row, seconds in all."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from attractor.config.settings import DataConfig, ModelConfig, ProbeConfig, SweepConfig, TrainConfig

WORDS = [
    "in",
    "the",
    "beginning",
    "god",
    "created",
    "heavens",
    "and",
    "earth",
    "light",
    "<b>dark</b>",
    "sea",
    "was",
]


def corpus(folder: Path, documents: int = 400) -> Path:
    """Made-up sentences, all different, with something in them that HTML must escape."""
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=rng.randint(4, 9))) + f" {i}." for i in range(documents)]
    path = folder / "corpus.txt"
    path.write_text("\n".join(lines))
    return path


def config(
    source: Path, sizes: tuple[float, ...] = (8, 16, 32, 64), steps: int = 30
) -> SweepConfig:
    """Four sizes of one very small model; the smallest has fewer rows than are probed."""
    return SweepConfig(
        sizes=sizes,
        data=DataConfig(source=str(source), tokenizer="char", seq_len=12),
        model=ModelConfig(hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, dropout=0.0),
        train=TrainConfig(
            steps=steps,
            batch_size=8,
            lr=3e-3,
            warmup=5,
            log_every=10,
            validate_every=20,
            validation_rows=8,
        ),
        probe=ProbeConfig(
            t=(0.3, 0.8), rows=12, test_rows=10, repeats=2, steps=20, generated=6, nelbo_draws=2
        ),
    )


def short_texts(n: int, letters: str = "abcdefgh") -> list[str]:
    """Different short texts, of 3 to 9 letters."""
    source = np.random.default_rng(0)
    found: dict[str, None] = {}
    while len(found) < n:
        found["".join(source.choice(list(letters), 3 + len(found) % 7))] = None
    return list(found)

"""Named sweeps: settings to start from."""

from __future__ import annotations

import dataclasses

from attractor.config.settings import (
    MODELS,
    DataConfig,
    MonitorConfig,
    ProbeConfig,
    RunConfig,
    SweepConfig,
    TrainConfig,
)
from attractor.types import AttractorError, did_you_mean


def paper_fractions() -> tuple[float, ...]:
    """The 54 nested fractions of the paper's sweep: 17 evenly spaced from 0.0001 to 0.01, then 0.02
    to 0.07 by 0.01, then 0.10 to 1.00 by 0.03."""
    low = [0.0001 + i * (0.01 - 0.0001) / 16 for i in range(17)]
    middle = [i / 100 for i in range(2, 8)]
    high = [i / 100 for i in range(10, 101, 3)]
    # Rounded, since the last bit of a float would make another size, and so another run, of it.
    return tuple(round(f, 8) for f in (*low, *middle, *high))


SHORT = TrainConfig(
    optimizer="muon",
    batch_size=32,
    lr=4e-3,
    warmup=50,
    decay="cosine",
    betas=(0.9, 0.95),
    clip=0.5,
    log_every=20,
    validate_every=500,
)
"""What all short trainings on a CPU share: the demo's, the theory page's, those of the bench of
verdicts. Figures of each are in the documentation, so each has what differs at its own place."""
# The demo takes minutes on a CPU, the reference sweep hours there and minutes on a GPU; all
# others are the paper's settings.
PRESETS: dict[str, SweepConfig] = {
    "demo": SweepConfig(
        sizes=(8, 32, 64, 128, 256, 1.0),
        data=DataConfig(tokenizer="char", seq_len=32),
        model=MODELS["demo"],
        train=dataclasses.replace(SHORT, steps=2_200, weight_decay=0.1, ema=0.99, time_power=1.5),
        probe=ProbeConfig(
            t=(0.15, 0.3),
            rows=32,
            test_rows=96,
            repeats=2,
            steps=250,
            generated=64,
            basin_rows=30,
        ),
    ),
    "reference": SweepConfig(
        sizes=(8, 64, 512, 1024, 2048, 4096, 8192, 16384, 1.0),
        seeds=(0, 1),
        seeds_at=(1024, 2048, 4096),
        data=DataConfig(tokenizer="char", seq_len=64),
        model=MODELS["reference"],
        train=TrainConfig(
            steps=8_000,
            optimizer="muon",
            batch_size=256,
            lr=4e-3,
            warmup=100,
            decay="cosine",
            betas=(0.9, 0.95),
            weight_decay=0.1,
            clip=0.5,
            precision="bf16",
            time_power=1.25,
            validate_every=2_000,
        ),
        probe=ProbeConfig(
            t=(0.15, 0.3, 0.5),
            rows=100,
            test_rows=200,
            steps=250,
            generated=100,
            basin_rows=40,
            measure=(
                "recovery",
                "exact_match",
                "basin",
                "fixed_points",
                "entropy",
                "entropy_by_outcome",
                "calibration",
                "likelihood",
                "membership",
                "entropy_gap",
                "novelty",
                "generative_perplexity",
            ),
        ),
        monitor=MonitorConfig(
            at=(16, 31, 62, 125, 250, 500, 1_000, 2_000, 4_000, 8_000), rows=48, t=0.15, steps=64
        ),
    ),
    **{
        name: SweepConfig(
            sizes=paper_fractions(), data=DataConfig(vocab_size=30_522), model=MODELS[name]
        )
        for name in ("tiny", "small", "medium")
    },
    "paper": SweepConfig(
        sizes=paper_fractions(),
        data=DataConfig(
            source="lm1b", tokenizer="bert-base-uncased", vocab_size=30_522, wrap="paper", seed=1
        ),
        train=TrainConfig(curriculum="duo"),
        models=("tiny", "small", "medium"),
    ),
}


def single(base: SweepConfig) -> RunConfig:
    """One model with the settings of a sweep."""
    return RunConfig(data=base.data, model=base.model, train=base.train, probe=base.probe)


def preset(name: str) -> SweepConfig:
    """A named sweep.

    Raises:
        AttractorError: if there is none of that name.
    """
    if name not in PRESETS:
        raise AttractorError(
            f"unknown preset {name!r}; there are {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}"
        )
    return PRESETS[name]

"""A model and the text it is measured on; what several measurements share is made once."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.config.settings import ProbeConfig
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.probes import Trajectory, random_tokens, sample

RANDOM_ROWS = 100
"""Rows at most of random tokens: a control that hardly varies."""


class Own(NamedTuple):
    """What the model wrote by itself."""

    tokens: Tensor
    """(N, L)"""
    path: Trajectory
    """what its distributions looked like along the way"""


class Subject:
    """A denoiser with its texts; rows of text come as int64 tensors, (N, L)."""

    def __init__(self, denoiser: Denoiser, texts: Texts, config: ProbeConfig) -> None:
        self.denoiser = denoiser
        self.texts = texts
        self.config = config
        self.length: int = texts.train.shape[1]

    def rows(self, split: str) -> Tensor:
        """The probed rows of one kind of text: train, test, random or generated."""
        if split == "generated":
            return self.own.tokens
        if split == "random":
            return self.random
        return torch.from_numpy(np.array(self.texts.train if split == "train" else self.texts.test))

    @functools.cached_property
    def random(self) -> Tensor:
        """Sequences without any structure, which no model should return to."""
        process = self.denoiser.process
        n = min(len(self.texts.train), RANDOM_ROWS)
        return random_tokens(n, self.length, process.vocab_size, self.config.seed, process.mask_id)

    @functools.cached_property
    def own(self) -> Own:
        """The model's own generations. Their noise is counted, so that they are the same sequences
        whenever a measurement asks for them."""
        config = self.config
        n, path = config.generated, Trajectory(config.generated)
        tokens = sample(
            self.denoiser, n, self.length, config.steps, seed=config.seed, callback=path
        )
        return Own(tokens, path)

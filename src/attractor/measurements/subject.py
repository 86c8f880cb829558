"""A model and the text it is measured on; what several measurements share is made once."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.config.settings import ProbeConfig
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.probes import Path, Recovery, random_tokens, recovery, sample
from attractor.results.tables import Block


class Own(NamedTuple):
    """What the model wrote by itself."""

    tokens: Tensor
    """(N, L)"""
    path: Path
    """what it was along the way"""


class Subject:
    """A denoiser with its texts; rows of text come as int64 tensors, (N, L)."""

    def __init__(self, denoiser: Denoiser, texts: Texts, config: ProbeConfig) -> None:
        self.denoiser = denoiser
        self.texts = texts
        self.config = config
        self.length: int = texts.train.shape[1]
        self._restored: dict[tuple[str, float], Recovery] = {}

    def rows(self, split: str) -> Tensor:
        """The probed rows of one kind of text: train, test, random or generated."""
        if split == "generated":
            return self.own.tokens
        if split == "random":
            return self.random
        return torch.from_numpy(np.array(self.texts.train if split == "train" else self.texts.test))

    def restored(self, split: str, t: float) -> Recovery:
        """Rows of one kind, corrupted at t and restored, once for all that ask for them."""
        if (split, t) not in self._restored:
            config = self.config
            # Random rows are a control that is near zero: one corruption of each tells that.
            repeats = 1 if split == "random" else config.repeats
            self._restored[split, t] = recovery(
                self.denoiser, self.rows(split), t, config.steps, config.seed, repeats
            )
        return self._restored[split, t]

    def placed(self, block: Block) -> Block:
        """An array that also tells which documents its sequences are of, where that is known. What
        measures a kind of text takes its rows from the first one on."""
        origins = self.texts.origins.get(block.split)
        if origins is None or len(block.original) > len(origins):
            return block
        return dataclasses.replace(block, origin=origins[: len(block.original)])

    @functools.cached_property
    def planted(self) -> Tensor:
        """Rows that are repeated in the training set, and as many that are left out; none where
        there are no such rows."""
        found = self.texts.planted
        rows = self.texts.train[:0] if found is None else found.rows
        return torch.from_numpy(np.array(rows)).long()

    @functools.cached_property
    def random(self) -> Tensor:
        """Sequences without any structure, which no model should return to: as many as training
        rows are asked for, also where the training set has fewer."""
        process = self.denoiser.process
        return random_tokens(
            self.config.rows, self.length, process.vocab_size, self.config.seed, process.mask_id
        )

    @functools.cached_property
    def own(self) -> Own:
        """The model's own generations. Their noise is counted, so that they are the same sequences
        whenever a measurement asks for them."""
        config = self.config
        n, path = config.generated, Path(config.generated, self.length, 1.0, config.steps)
        tokens = sample(
            self.denoiser, n, self.length, config.steps, seed=config.seed, callback=path
        )
        return Own(tokens, path.end(tokens))

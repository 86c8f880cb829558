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
from attractor.process.forward import ForwardProcess
from attractor.results.tables import Block


def marked(process: ForwardProcess, block: Block) -> Block:
    """An array that also tells which of its tokens are no text, where there are such."""
    fixed = _fixed(process, block.original)
    if not fixed.any():
        return block
    held = fixed if block.frozen is None else fixed | block.frozen
    return dataclasses.replace(block, frozen=held)


def padding_of(process: ForwardProcess) -> np.ndarray | None:
    """The ids that are no text and no noise; None where there are none."""
    ids = np.arange(process.vocab_size)
    found: np.ndarray = ids[_fixed(process, ids)]
    return found if len(found) else None


def _fixed(process: ForwardProcess, tokens: Tensor | np.ndarray) -> np.ndarray:
    return process.is_fixed(torch.as_tensor(np.asarray(tokens)).long()).numpy()


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

    def fixed(self, tokens: Tensor | np.ndarray) -> np.ndarray:
        """Which tokens of rows are no text, such as padding, and are counted nowhere."""
        return _fixed(self.denoiser.process, tokens)

    @property
    def padding(self) -> np.ndarray | None:
        """The ids that are no text and no noise; None where there are none."""
        return padding_of(self.denoiser.process)

    def _like(self, n: int) -> Tensor:
        """n rows of training text, in turn, whose frames and lengths others are to have."""
        rows = self.rows("train").long()
        return rows[torch.arange(n) % len(rows)]

    def placed(self, block: Block) -> Block:
        """An array that also tells which of its tokens are no text, and which documents its
        sequences are of, where that is known. What measures a kind of text takes its rows from the
        first one on."""
        block = marked(self.denoiser.process, block)
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
        process, rows = self.denoiser.process, self.config.rows
        made = random_tokens(
            rows, self.length, process.vocab_size, self.config.seed, text=process.text
        )
        # Between the same frames, and as long as real text.
        real = self._like(rows)
        return torch.where(process.is_fixed(real), real, made)

    @functools.cached_property
    def own(self) -> Own:
        """The model's own generations. Their noise is counted, so that they are the same sequences
        whenever a measurement asks for them."""
        config = self.config
        n, path = config.generated, Path(config.generated, self.length, 1.0, config.steps)
        tokens = sample(
            self.denoiser,
            n,
            self.length,
            config.steps,
            seed=config.seed,
            callback=path,
            given=self._like(n),
        )
        return Own(tokens, path.end(tokens))

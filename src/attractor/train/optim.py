"""What moves the weights: learning rate, averaged weights, and the order of the data."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor, nn

from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.train.muon import Muon


def make_optimizer(network: DDiT, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, or Muon for the hidden matrices and AdamW for the rest."""
    # Whether a step can be recorded; it changes nothing else.
    on_gpu = network.vocab_embed.embedding.device.type == "cuda"
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            network.parameters(),
            lr=config.lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
            capturable=on_gpu,
        )
    # Told apart by identity: comparing parameters by value would compare all of their numbers.
    matrices = network.hidden_matrices()
    chosen = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in chosen]
    return Muon(matrices, others, config.lr, config.betas, config.weight_decay, on_gpu)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then constant, or a cosine down to a hundredth of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.decay == "constant":
        return config.lr
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class Ema:
    """Exponential moving average of weights whose decay is ramped up as (1 + updates) / (10 +
    updates), as in Duo.

    Without the ramp a decay of 0.9999 would keep the weights of the initialisation in the average
    for tens of thousands of steps; with it the average of step k looks back over about k / 9 steps
    until the decay itself is reached.

    Args:
        module: whose trainable parameters are averaged.
        decay: largest decay, in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.live = [p for p in module.parameters() if p.requires_grad]
        self.shadow = [p.detach().clone() for p in self.live]
        self.names = [name for name, p in module.named_parameters() if p.requires_grad]
        self.decay, self.updates = decay, 0

    def update(self) -> None:
        """Move the averages towards the living weights."""
        self.move(self.advance())

    def advance(self) -> float:
        """Count one more update; the share that the living weights have in it."""
        self.updates += 1
        return 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def move(self, share: float | Tensor) -> None:
        """Move the averages by this share towards the living weights."""
        live = [p.detach() for p in self.live]
        if not isinstance(share, Tensor):
            torch._foreach_lerp_(self.shadow, live, share)
            return
        for average, weight in zip(self.shadow, live, strict=True):
            average.lerp_(weight, share)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self.names, self.shadow, strict=True))


def batch_rows(step: int, batch_size: int, n_train: int, seed: int) -> np.ndarray:
    """Row numbers of one step: the training set is permuted anew each epoch, and epochs follow
    without a gap.

    Args:
        step: number of the step, from 0.
        batch_size: rows in a step.
        n_train: rows of the training set.
        seed: of the permutations.

    Returns:
        (batch_size,), a function of the arguments alone: a run that goes on from step k needs to
        know nothing else to see the same rows.
    """
    # Rows are numbered through all epochs; a batch may lie in two of them, or, where the training
    # set is smaller than the batch, in more.
    first = step * batch_size
    ordinal = np.arange(first, first + batch_size)
    epoch, place = ordinal // n_train, ordinal % n_train
    return np.concatenate(
        [_permutation(int(e), n_train, seed)[place[epoch == e]] for e in np.unique(epoch)]
    )


@functools.lru_cache(maxsize=2)  # the epoch of this step, and the next one
def _permutation(epoch: int, n_train: int, seed: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n_train)

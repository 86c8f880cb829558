"""Loss and gradients of a batch, in as many parts as fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from attractor.process.forward import ForwardProcess
from attractor.train.objective import NoisyBatch, batch_loss
from attractor.train.state import TrainState
from attractor.types import AttractorError


def accumulate(state: TrainState, process: ForwardProcess, batch: NoisyBatch, seed: int) -> Tensor:
    """Leave the gradients of the loss of a whole batch in the network, and return the loss in nats per token.

    When memory runs out, the rows of a part are halved, for this step and all later ones; the batch stays what it is.

    Args:
        state: of the training; its `micro_batch` is the rows of a part.
        process: the token noise.
        batch: clean and noisy rows.
        seed: of the dropout.

    Raises:
        AttractorError: if not even one row fits.
    """
    while True:
        state.optimizer.zero_grad()
        torch.manual_seed(seed)
        try:
            losses = [_backward(state, process, part, batch.x_0.numel()) for part in _parts(batch, state.micro_batch)]
            return torch.stack(losses).sum()
        except RuntimeError as error:
            if not _is_memory(error):
                raise
        if state.micro_batch == 1:
            raise AttractorError(
                f"one row of {batch.x_0.shape[1]} tokens does not fit into memory: use a smaller model"
            )
        state.micro_batch = (min(state.micro_batch, len(batch.x_0)) + 1) // 2
        warnings.warn(f"out of memory: going on with {state.micro_batch} rows at a time", stacklevel=2)
        torch.cuda.empty_cache()


def _backward(state: TrainState, process: ForwardProcess, part: NoisyBatch, tokens: int) -> Tensor:
    loss = batch_loss(state.network, process, part, tokens, state.config.precision)
    loss.backward()
    return loss.detach()


def _parts(batch: NoisyBatch, rows: int) -> Iterator[NoisyBatch]:
    for start in range(0, len(batch.x_0), rows):
        yield NoisyBatch(*(field[start : start + rows] for field in batch))


def _is_memory(error: RuntimeError) -> bool:
    """Whether the memory of a device, or of the machine, was used up."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

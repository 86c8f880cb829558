"""Loss and gradients of a batch, in as many parts as fit into memory and over as many processes as
there are."""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import Tensor, nn

from attractor.config.settings import TrainConfig
from attractor.machine.device import Precision
from attractor.machine.processes import processes
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.train.objective import NoisyBatch, batch_loss
from attractor.train.state import TrainState
from attractor.types import AttractorError


class Objective(nn.Module):
    """The loss as a module, for what averages gradients over processes hooks into modules."""

    def __init__(self, network: DDiT, process: ForwardProcess, precision: Precision) -> None:
        super().__init__()
        self.network, self.process, self.precision = network, process, precision

    def forward(self, tokens: int, *part: Tensor) -> Tensor:
        """Sum over the rows of a part, divided by the tokens of the whole batch."""
        return batch_loss(self.network, self.process, NoisyBatch(*part), tokens, self.precision)


class Gradients:
    """Leaves the gradients of the loss of a whole batch in the network.

    Each process takes its share of the rows, in parts of `state.micro_batch`. When memory runs out,
    the rows of a part are halved, for this step and all later ones; the batch stays what it is.

    Args:
        network: the network; its parameters are replaced if they are to be spread over processes.
        process: the token noise.
        config: of the training.
    """

    def __init__(self, network: DDiT, process: ForwardProcess, config: TrainConfig) -> None:
        if config.batch_size < processes().count:
            raise AttractorError(
                f"batch_size = {config.batch_size} is less than a row for each process"
            )
        objective = Objective(network, process, config.precision)
        if processes().shards(config.shard):
            if config.optimizer != "adamw":
                raise AttractorError(
                    f"optimizer = {config.optimizer!r} needs whole matrices: with shard use adamw"
                )
            self.objective = processes().sharded(objective, network.blocks)
        else:
            self.objective = processes().wrapped(objective)

    def __call__(self, state: TrainState, batch: NoisyBatch, seed: int) -> Tensor:
        """The loss of the whole batch, nats per token.

        Args:
            state: of the training.
            batch: clean and noisy rows of all processes.
            seed: of the dropout.

        Raises:
            AttractorError: if not even one row fits.
        """
        tokens, rows = batch.x_0.numel(), processes().share(len(batch.x_0))
        mine = NoisyBatch(*(field[rows] for field in batch))
        while True:
            state.optimizer.zero_grad()
            torch.manual_seed(seed + processes().rank)
            try:
                return processes().total(self._accumulate(state.micro_batch, mine, tokens))
            except RuntimeError as error:
                if not _is_memory(error):
                    raise
            _halve(state, mine)

    def _accumulate(self, micro_batch: int, mine: NoisyBatch, tokens: int) -> Tensor:
        starts = range(0, len(mine.x_0), micro_batch)
        losses = []
        for start in starts:
            part = (field[start : start + micro_batch] for field in mine)
            is_last = start == starts[-1]
            with contextlib.nullcontext() if is_last else processes().apart(self.objective):
                loss = self.objective(tokens, *part)
                (
                    loss * processes().count
                ).backward()  # the gradients are averaged, and their sum is wanted
            losses.append(loss.detach())
        return torch.stack(losses).sum()


def _halve(state: TrainState, mine: NoisyBatch) -> None:
    rows = min(state.micro_batch, len(mine.x_0))
    if processes().count > 1:  # the others are waiting for gradients
        raise AttractorError(
            f"{rows} rows do not fit into memory: set --train.micro-batch {(rows + 1) // 2}"
        )
    if rows == 1:
        raise AttractorError(
            f"one row of {mine.x_0.shape[1]} tokens does not fit into memory: use a smaller model"
        )
    state.micro_batch = (rows + 1) // 2
    warnings.warn(f"out of memory: going on with {state.micro_batch} rows at a time", stacklevel=3)
    torch.cuda.empty_cache()


def _is_memory(error: RuntimeError) -> bool:
    """Whether the memory of a device, or of the machine, was used up."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

"""Loss and gradients of a batch, in as many parts as fit into memory and over as many processes as
there are.

However a batch is cut, the gradient is that of the mean over all of its tokens: every part is
divided by the tokens of the whole batch, so parts are summed and never averaged.
"""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import Tensor, nn

from attractor.config.settings import TrainConfig
from attractor.machine.processes import Precision, processes
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.train.objective import NoisyBatch, batch_loss
from attractor.train.state import TrainState
from attractor.types import AttractorError


class Objective(nn.Module):
    """The loss as a module, since what averages gradients over processes hooks into modules."""

    def __init__(self, network: DDiT, process: ForwardProcess, precision: Precision) -> None:
        super().__init__()
        self.network, self.process, self.precision = network, process, precision

    def forward(self, tokens: int, *part: Tensor) -> Tensor:
        """The NELBO summed over the rows of a part, divided by the tokens of the whole batch."""
        return batch_loss(self.network, self.process, NoisyBatch(*part), tokens, self.precision)


class Gradients:
    """Leaves the gradients of the loss of a whole batch in the network.

    Each process takes its share of the rows, in parts of `state.micro_batch`. When memory runs out,
    the rows of a part are halved, for this step and all later ones; the batch stays what it is.

    Args:
        network: the network; its parameters are replaced if they are to be spread over processes.
        process: the token noise.
        config: settings of the training.

    Raises:
        AttractorError: for a batch of fewer rows than there are processes, or an optimizer that
            cannot work on weights that are spread.
    """

    def __init__(self, network: DDiT, process: ForwardProcess, config: TrainConfig) -> None:
        if config.batch_size < processes().count:
            raise AttractorError(
                f"batch_size = {config.batch_size} is less than a row for each process"
            )
        objective = Objective(network, process, config.precision)
        if processes().shards(config.shard):
            # Muon's step is one of a whole matrix: a share of its rows has other singular vectors.
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
            state: of the training; its gradients are replaced, and `micro_batch` if memory ran out.
            batch: clean and noisy rows of all processes.
            seed: of the dropout.

        Raises:
            AttractorError: if not even one row fits, or a part does not fit where several processes
                work together.
        """
        # Every process draws the same whole batch and takes its share of it, so the noise of a row
        # does not depend on how many processes there are. Dropout does: each process has its own.
        tokens, rows = batch.x_0.numel(), processes().share(len(batch.x_0))
        mine = NoisyBatch(*(field[rows] for field in batch))
        while True:
            # A try that failed has left gradients of its first parts: each starts from nothing.
            state.optimizer.zero_grad()
            torch.manual_seed(seed + processes().rank)
            try:
                return processes().total(self._accumulate(state.micro_batch, mine, tokens))
            except RuntimeError as error:
                if not _is_memory(error):
                    raise
            # Outside of the handler, where the error is gone, and with it the frames that held the
            # tensors of the failed pass in memory.
            _halve(state, mine)

    def _accumulate(self, micro_batch: int, mine: NoisyBatch, tokens: int) -> Tensor:
        starts = range(0, len(mine.x_0), micro_batch)
        losses = []
        for start in starts:
            part = (field[start : start + micro_batch] for field in mine)
            is_last = start == starts[-1]
            # Processes exchange gradients once a step, in the last backward pass; until then each
            # adds up its own.
            with contextlib.nullcontext() if is_last else processes().apart(self.objective):
                loss = self.objective(tokens, *part)
                # The exchange averages over processes, and the sum is wanted.
                scaled = loss * processes().count
                scaled.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()


def _halve(state: TrainState, mine: NoisyBatch) -> None:
    """Let later passes take half as many rows; where that cannot be, say so."""
    rows = min(state.micro_batch, len(mine.x_0))
    # The others are waiting for gradients of this pass, and would wait for ever.
    if processes().count > 1:
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
    # On the CPU torch raises a plain RuntimeError, which only its text tells from others.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

"""The training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from attractor.config.settings import TrainConfig
from attractor.machine.device import upload
from attractor.machine.processes import processes
from attractor.model.ddit import DDiT
from attractor.process.forward import ForwardProcess
from attractor.train.accumulate import Gradients
from attractor.train.checkpoints import Checkpoints
from attractor.train.graph import GraphedStep
from attractor.train.objective import NoisyBatch, noisy_batch
from attractor.train.optim import batch_rows
from attractor.train.state import Progress, TrainState
from attractor.train.watch import Watch


def train(
    network: DDiT,
    process: ForwardProcess,
    rows: np.ndarray,
    config: TrainConfig,
    *,
    seed: int = 0,
    watch: Watch | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    checkpoints: Checkpoints | None = None,
) -> TrainState:
    """Minimise the NELBO over the rows of a training set.

    Data order, times, noise and dropout of a step are functions of (seed, step), so a run that goes
    on from a checkpoint takes the very steps that it would have taken without a stop.

    Args:
        network: trained in place, on its own device.
        process: the token noise.
        rows: training set, integer (n, L).
        config: steps, batch, optimizer.
        seed: of data order and noise.
        watch: what to estimate beside the loss.
        on_progress: called every `config.log_every` steps, and where something was estimated.
        checkpoints: where to start from, and what saves the state now and then.

    Returns:
        The state after the last step.

    Raises:
        AttractorError: if the loss is not finite at several steps in a row, or one row does not fit
            into memory.
    """
    device = network.vocab_embed.embedding.device
    # Order matters. The template is copied before `Gradients` spreads the weights over processes;
    # the optimizer, inside of the state, is made after that, for the parameters there are then.
    template = copy.deepcopy(network).cpu() if processes().shards(config.shard) else network
    if config.compile:
        network.compile_blocks()
    gradients = Gradients(network, process, config)
    state = TrainState(network, config, template)
    if checkpoints:
        checkpoints.resume(state)
    network.train()

    def take(batch: NoisyBatch, seed: int) -> Tensor:
        return state.move(gradients(state, batch, seed))

    step = GraphedStep(take) if state.recordable else take
    # Dropout seeds the global generators at every step; whoever called gets theirs back untouched.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while not state.is_finished:
            x_0 = _batch(rows, state.step, config, seed, device)
            step_seed = _step_seed(seed, state.step)
            batch = noisy_batch(
                process, x_0, state.step, config, torch.Generator().manual_seed(step_seed)
            )
            state.set_rates()
            state.record(step(batch, step_seed))
            if state.is_due(config.log_every) or (watch and watch.is_due(state)):
                line = state.read(x_0.numel())
                # Compiled code would be compiled anew for every number of rows a measurement has.
                with torch.compiler.set_stance("force_eager" if config.compile else "default"):
                    on_progress(watch(line, state) if watch else line)
                state.restart_clock()
            if checkpoints:
                checkpoints.after_step(state)
    return state


def _batch(
    rows: np.ndarray, step: int, config: TrainConfig, seed: int, device: torch.device
) -> Tensor:
    batch = rows[batch_rows(step, config.batch_size, len(rows), seed)]
    return upload(torch.from_numpy(batch.astype(np.int64)), device)


def _step_seed(seed: int, step: int) -> int:
    # Hashed, so that neighbouring steps and seeds have nothing in common.
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)

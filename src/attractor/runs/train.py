"""The training of one run: a network, what is held out and watched, and the files that let it go
on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset
from attractor.data.tokenizer import Tokenizer
from attractor.machine.device import flushed_denormals, pick_device
from attractor.machine.files import naming_full_disk
from attractor.machine.processes import processes
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import likelihood
from attractor.process.forward import ForwardProcess
from attractor.process.registry import make_process, process_settings
from attractor.runs.monitor import monitor
from attractor.runs.tracking import tracked
from attractor.train.checkpoints import Checkpoints, checkpoint_bytes
from attractor.train.logbook import Logbook
from attractor.train.loop import train
from attractor.train.state import Progress
from attractor.train.stop import PoliteStop
from attractor.train.watch import Watch

DRAWS = 4
"""Times at which each held-out row is looked at in an estimate of the validation NELBO."""


def process_of(config: RunConfig, tokenizer: Tokenizer) -> ForwardProcess:
    """The token noise of a run; where its rows are padded, padding is no text."""
    pad_id = tokenizer.pad_id if config.data.rows == "document" else None
    return make_process(config.process, tokenizer.vocab_size, config.uniform_share, pad_id)


def untrained(config: RunConfig, vocab_size: int) -> DDiT:
    """The network of a run before its first step: a function of its config alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        causal = config.process == "autoregressive"
        return DDiT(vocab_size, **dataclasses.asdict(config.model), causal=causal)


@flushed_denormals()
def train_run(
    config: RunConfig,
    rows: np.ndarray,
    data: Dataset,
    folder: Path,
    on_progress: Callable[[Progress], None],
) -> None:
    """Train to the end, from the last checkpoint in `folder` if there is one; its last one is then
    the trained model.

    Args:
        config: of the run.
        rows: training set, (n, L).
        data: where unseen rows come from, and the vocabulary.
        folder: of the run, existing, and written to by nobody else.
        on_progress: hears every line of metrics.

    Raises:
        AttractorError: if training diverges, the disk is full or a tracker is not installed.
    """
    process = process_of(config, data.tokenizer)
    network = untrained(config, process.vocab_size).to(pick_device())
    # The last rows, since the first ones are measured later: the checkpoint that is best by
    # validation should not be chosen by them.
    held_out = data.test[-config.train.validation_rows :]

    def validate(candidate: DDiT) -> float:
        return likelihood(NetworkDenoiser(candidate, process), held_out, draws=DRAWS).mean

    watch = Watch(
        validate,
        monitor(process, rows, data.test, config.monitor) if config.monitor.checks else None,
        config.monitor.every,
        config.monitor.stop_after,
        config.monitor.at,
    )
    header = {
        "vocab_size": process.vocab_size,
        "seq_len": rows.shape[1],
        "model": dataclasses.asdict(config.model),
        "process": process_settings(process),
        "rows": data.digest,
    }
    is_main = processes().is_main
    needed = checkpoint_bytes(sum(p.numel() for p in network.parameters()))
    with (
        naming_full_disk(folder, needed),
        contextlib.closing(Logbook(folder)) as log,
        tracked(config.monitor.track if is_main else "none", config) as track,
        PoliteStop() as stop,
    ):

        def report(progress: Progress) -> None:
            if not is_main:
                return
            log.write(progress)
            track(progress)
            on_progress(progress)

        train(
            network,
            process,
            rows,
            config.train,
            seed=config.seed,
            watch=watch,
            on_progress=report,
            checkpoints=Checkpoints(folder, header, config.seed, config.train, log, stop),
        )
    processes().wait()  # until the last checkpoint is there

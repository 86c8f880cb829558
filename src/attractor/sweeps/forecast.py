"""What a sweep will take, on this machine and on others, before anything is paid for."""

from __future__ import annotations

from typing import NamedTuple

import torch

from attractor.config.settings import DataConfig, SweepConfig
from attractor.data.tokenizer import make_tokenizer
from attractor.machine.gpus import FLOOR, UTILISATION, Gpu
from attractor.machine.processes import cores
from attractor.sweeps.cost import Cost, cost
from attractor.sweeps.executor import default_workers
from attractor.sweeps.speed import measure_speed


class Forecast(NamedTuple):
    """One model of a sweep, and how many runs it has."""

    model: str
    runs: int
    cost: Cost
    """what one run takes on any machine"""
    training: float
    """seconds of one run's training on this machine, beside `workers - 1` others"""
    probing: float
    """seconds of one run's measurements on this machine, beside as many others"""

    @property
    def seconds(self) -> float:
        """Seconds of one run on this machine."""
        return self.training + self.probing

    def seconds_on(self, gpu: Gpu) -> tuple[float, float]:
        """Seconds of one run on one GPU, at least and at most: at the assumed shares of its
        datasheet's rate, and no call shorter than a GPU takes for one."""
        low, high = UTILISATION
        floor = self.cost.launches * FLOOR
        least, most = (self.cost.flops / (gpu.flops * share) for share in (high, low))
        return max(least, floor), max(most, floor)


def forecast(
    config: SweepConfig,
    workers: int | None = None,
    at_once: int | None = None,
    text_size: int | None = None,
) -> list[Forecast]:
    """Time each model for a few seconds, on as many threads as its runs will have, and extrapolate.

    Tested against real runs to a factor of 2; runs side by side also share memory and caches, which
    is not measured.

    Args:
        config: the sweep; probes are counted with all the rows that are asked for.
        workers: runs side by side.
        at_once: sizes to train at a time; all unless given.
        text_size: tokens of its tokenizer; about as many as it will have unless given.
    """
    text_size = text_size or planned_vocab_size(config.data)
    runs = config.runs
    threads = torch.get_num_threads()
    try:
        # As fast as a run beside others will be, and not as fast as this process alone could be.
        torch.set_num_threads(max(1, cores() // at_a_time(config, workers, at_once)))
        found = []
        for name, alone in config.each_model().items():
            takes, speed = cost(alone, text_size), measure_speed(alone, text_size)
            training = config.train.steps * speed.step(config.train.batch_size)
            found.append(Forecast(name, runs, takes, training, speed.answer(takes.calls)))
        return found
    finally:
        torch.set_num_threads(threads)


def at_a_time(config: SweepConfig, workers: int | None, at_once: int | None = None) -> int:
    """Runs side by side on this machine."""
    sizes = at_once or len(config.sizes)
    return min(workers or default_workers(), sizes * config.runs_each * len(config.each_model()))


def planned_vocab_size(data: DataConfig) -> int:
    """Tokens to expect before the tokenizer is trained; for characters, whose number only the
    corpus knows, a round number."""
    if data.tokenizer == "bpe":
        return data.vocab_size
    return 100 if data.tokenizer == "char" else make_tokenizer(data.tokenizer, (), 0).vocab_size

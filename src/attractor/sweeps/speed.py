"""How fast this machine is at one model: a few real training steps and a piece of the reverse
process, timed."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from attractor.config.settings import SweepConfig
from attractor.machine.device import pick_device
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import likelihood, random_tokens
from attractor.process.calls import Calls
from attractor.process.noise import CountedNoise
from attractor.process.registry import make_process
from attractor.train.objective import batch_loss, noisy_batch
from attractor.train.optim import Ema, make_optimizer

PATIENCE = 0.2
"""Seconds a timed call should last; it is made larger until it does."""
REPEATS = 3
ENOUGH = 0.3
"""Seconds of timings after which none is repeated."""
WIDE = (1, 4)
"""Blocks at which a network of more than four is timed; its time is linear in them."""


class Speed(NamedTuple):
    """Seconds of one model on this machine."""

    row: float
    """seconds of loss and gradient of a training row"""
    update: float
    """seconds of clipping, optimizer and averaged weights in a training step"""
    event: float
    """seconds of a row in the blocks at an event of the reverse process"""
    candidate: float
    """seconds of a position in the output layer there"""
    dense: float
    """seconds of a row in blocks and output layer at every position"""

    def step(self, batch_size: int) -> float:
        """Seconds of a training step."""
        return batch_size * self.row + self.update

    def answer(self, calls: Calls) -> float:
        """Seconds of these calls."""
        return (
            calls.events * self.event + calls.candidates * self.candidate + calls.dense * self.dense
        )


def measure_speed(config: SweepConfig, text_size: int) -> Speed:
    """Time the model of a sweep; a deep one is timed with few blocks, which its other blocks
    resemble."""
    shape = config.model
    if shape.n_blocks <= max(WIDE):
        return _measure(config, text_size)
    few, more = (
        _measure(
            dataclasses.replace(config, model=dataclasses.replace(shape, n_blocks=n)), text_size
        )
        for n in WIDE
    )
    # What does not depend on depth (embedding, output layer, loss) is in both; their difference is
    # that of the blocks alone. Where noise makes it negative, it is taken for nothing.
    deeper = (shape.n_blocks - WIDE[0]) / (WIDE[1] - WIDE[0])
    return Speed(*(a + max(0.0, b - a) * deeper for a, b in zip(few, more, strict=True)))


def _measure(config: SweepConfig, text_size: int) -> Speed:
    bench, length = _Bench(config, text_size), config.data.seq_len
    row = _seconds_a_row(bench.differentiate, bench.wait, config.train.batch_size)
    update = _median(bench.update, bench.wait)
    with torch.no_grad():
        one, every = (
            _seconds_a_row(partial(bench.answer, candidates=n), bench.wait, 64) for n in (1, length)
        )
        dense = _seconds_a_row(bench.likelihood, bench.wait, 64)
    # Rows with one candidate and with all differ in the output layer alone.
    candidate = max(0.0, every - one) / max(1, length - 1)
    return Speed(row, update, max(0.0, one - candidate), candidate, dense)


class _Bench:
    """A network, the noise, and random tokens."""

    def __init__(self, config: SweepConfig, text_size: int) -> None:
        self.device, self.length, self.config = pick_device(), config.data.seq_len, config.train
        self.process = make_process(config.process, text_size, config.uniform_share)
        shape, causal = dataclasses.asdict(config.model), not self.process.corrupts
        network = DDiT(self.process.vocab_size, **shape, causal=causal)
        self.network = network.to(self.device)
        # Steps so small that the weights stay sane however often the same gradient is applied.
        self.optimizer = make_optimizer(self.network, dataclasses.replace(config.train, lr=1e-9))
        self.ema = Ema(self.network, config.train.ema)
        self.denoiser = NetworkDenoiser(self.network, self.process, self.length)

    def wait(self) -> None:
        """Until the device has done its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def tokens(self, rows: int) -> torch.Tensor:
        return random_tokens(rows, self.length, self.process.text_size).to(self.device)

    def differentiate(self, rows: int) -> None:
        """Loss and gradient."""
        self.network.train()
        generator, precision = torch.Generator().manual_seed(0), self.config.precision
        batch = noisy_batch(self.process, self.tokens(rows), 0, self.config, generator)
        loss = batch_loss(self.network, self.process, batch, batch.x_0.numel(), precision)
        self.optimizer.zero_grad()
        loss.backward()

    def update(self) -> None:
        """What follows the gradient."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.ema.update()

    def answer(self, rows: int, candidates: int) -> None:
        """What the reverse process does at an event with that many candidates in each row."""
        x_t = self.tokens(rows)
        where = torch.zeros_like(x_t, dtype=torch.bool)
        where[:, :candidates] = True
        t = torch.full((rows,), 0.5, device=self.device)
        log_p = self.denoiser.log_probs(x_t, t, where)
        if not self.process.corrupts:  # the next token is drawn from the distributions as they are
            return
        row, position = where.nonzero(as_tuple=True)
        noise = CountedNoise(0, "speed").uniform(row, position, torch.zeros_like(row))
        alpha_s, alpha_t = (self.process.schedule.alpha(at[row]) for at in (t - 1e-3, t))
        self.process.jump(x_t[where], log_p, alpha_s, alpha_t, noise[:, :3])

    def likelihood(self, rows: int) -> None:
        """One draw of the NELBO."""
        likelihood(self.denoiser, self.tokens(rows), draws=1)


def _seconds_a_row(work: Callable[[int], None], wait: Callable[[], None], most: int) -> float:
    """Median time of a row in a call with as many rows as make it last, at most `most`."""
    rows = 1
    first = _time(partial(work, rows), wait)
    if first >= ENOUGH:  # what warms up is little of it
        return first
    while (seconds := _time(partial(work, rows), wait)) < PATIENCE / 2 and rows < most:
        rows = min(most, rows * max(2, int(PATIENCE / max(seconds, 1e-4))))
    return _median(partial(work, rows), wait, [seconds]) / rows


def _median(
    work: Callable[[], object], wait: Callable[[], None], known: Sequence[float] = ()
) -> float:
    """Median of a few timings, of fewer where a single one lasts: nobody waits for a plan."""
    times = list(known)
    while len(times) < REPEATS and (not times or sum(times) < ENOUGH):
        times.append(_time(work, wait))
    return statistics.median(times)


def _time(work: Callable[[], object], wait: Callable[[], None]) -> float:
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start

"""What one model takes, whatever the machine: tokens, floating-point operations, disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from attractor.config.settings import ProbeConfig, SweepConfig, TrainConfig
from attractor.process.forward import ForwardProcess
from attractor.process.registry import make_process
from attractor.process.reverse import time_grid
from attractor.runs.run import parameter_count
from attractor.train.checkpoints import checkpoint_bytes


@dataclass(frozen=True)
class Calls:
    """How much a network is asked for outside training."""

    events: float
    """rows run through the blocks by the reverse process"""
    candidates: float
    """positions of them that go on through the output layer"""
    dense: float
    """rows run through blocks and output layer at every position"""

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.events + other.events, self.candidates + other.candidates, self.dense + other.dense
        )

    def __mul__(self, rows: int) -> Calls:
        return Calls(self.events * rows, self.candidates * rows, self.dense * rows)


class Cost(NamedTuple):
    """What one model of a sweep takes."""

    parameters: int
    tokens: int
    """seen in training"""
    train_flops: float
    """6 x parameters outside the token embedding x tokens; attention itself, under 5% at these
    lengths, is left out"""
    calls: Calls
    """of the probes and of validation"""
    probe_flops: float
    """2 x parameters outside the token embedding for each of the tokens that go through them"""
    disk: int
    """bytes: the checkpoints that are kept, and results before compression"""

    @property
    def flops(self) -> float:
        """Of training and measuring."""
        return self.train_flops + self.probe_flops


def cost(config: SweepConfig, text_size: int) -> Cost:
    """The cost of a run of one model, for `text_size` tokens of text."""
    process = make_process(config.process, text_size, config.uniform_share)
    parameters, length, width = (
        parameter_count(config, text_size),
        config.data.seq_len,
        config.model.hidden_size,
    )
    output = (width + 1) * process.vocab_size
    blocks = parameters - width * process.vocab_size - output
    tokens = config.train.steps * config.train.batch_size * length
    calls = probe_calls(process, config.probe, length) + validation_calls(config.train)
    rows_through_blocks = calls.events + calls.dense
    positions_out = calls.candidates + calls.dense * length
    kept = config.train.keep_checkpoints + 1  # and the best by validation
    return Cost(
        parameters=parameters,
        tokens=tokens,
        train_flops=6.0 * (blocks + output) * tokens,
        calls=calls,
        probe_flops=2.0 * (blocks * rows_through_blocks * length + output * positions_out),
        disk=checkpoint_bytes(parameters) * kept + _result_bytes(config.probe, length),
    )


def probe_calls(process: ForwardProcess, probe: ProbeConfig, length: int) -> Calls:
    """Expected calls of one model's measurements; the rows are at most these, fewer if the training
    set is smaller."""
    both, none = probe.rows + probe.test_rows, Calls(0, 0, 0)
    shown = both * probe.repeats + probe.rows  # and as many random rows, once
    settled = (both + probe.rows) * (_movable(process, probe.steps) + 1)
    cornered = min(probe.rows, probe.basin_rows) + min(probe.test_rows, probe.basin_rows)
    parts = {
        "entropy": Calls(0, 0, both + probe.generated),
        "recovery": sum(
            (reverse_calls(process, t, probe.steps, length) * shown for t in probe.t), none
        ),
        "fixed_points": Calls(0, 0, settled),
        "likelihood": Calls(0, 0, both * probe.nelbo_draws),
        "generations": reverse_calls(process, 1.0, probe.steps, length) * probe.generated,
        "basin": reverse_calls(process, 0.5, probe.steps, length)
        * (cornered * probe.basin_rounds),  # t by bisection
        "ablation": sum(
            (reverse_calls(process, min(probe.t), n, length) * both for n in probe.ablation_steps),
            none,
        ),
    }
    return sum((parts[name] for name in probe.measure if name in parts), none)


def validation_calls(train: TrainConfig, draws: int = 4) -> Calls:
    """Rows of the estimates of the validation NELBO."""
    return Calls(
        0, 0, math.ceil(train.steps / train.validate_every) * train.validation_rows * draws
    )


def reverse_calls(process: ForwardProcess, t: float, steps: int, length: int) -> Calls:
    """Expected calls for one row: a position is a candidate where its coin comes up, a row runs
    where any is.

    Exact for one kind of tokens; where masks have coins of their own, about 1 - alpha of the
    positions are masks.
    """
    alpha = process.schedule.alpha(time_grid(t, steps))
    following = torch.cat([alpha[1:], alpha.new_ones(1)])
    coins = [process.coin(following, alpha, kind).clamp(max=1) for kind in range(process.kinds)]
    if process.mask_id is None:
        coin = coins[0]
    else:
        masked = int(process.kind(torch.tensor(process.mask_id)))
        coin = (1 - alpha) * coins[masked] + alpha * coins[1 - masked]
    return Calls(float((1 - (1 - coin) ** length).sum()), float(coin.sum()) * length, 0)


def _movable(process: ForwardProcess, steps: int, t: float = 0.05) -> int:
    """Steps of the deterministic reverse process that are computed."""
    alpha = process.schedule.alpha(time_grid(t, steps))
    return int((~process.frozen(alpha[1:], alpha[:-1])).sum())


def _result_bytes(probe: ProbeConfig, length: int) -> int:
    shown = ((probe.rows + probe.test_rows) * probe.repeats + probe.rows) * len(probe.t) * 3
    numbers = 2 * (3 * probe.rows + 3 * probe.test_rows + probe.generated)
    return 4 * length * (shown + numbers)

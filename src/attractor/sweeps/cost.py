"""What one model takes, whatever the machine: tokens, floating-point operations, disk."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

from attractor.config.settings import MonitorConfig, ProbeConfig, SweepConfig, TrainConfig
from attractor.measurements import wanted
from attractor.measurements.sets import asked_of
from attractor.process.calls import Calls, reverse_calls, writing_calls
from attractor.process.forward import ForwardProcess
from attractor.process.registry import make_process
from attractor.runs.measure import parameter_count
from attractor.runs.train import DRAWS
from attractor.train.checkpoints import checkpoint_bytes

BATCH = 64
"""Sequences that the probes give to the network at a time."""


class Cost(NamedTuple):
    """What one model of a sweep takes."""

    parameters: int
    tokens: int
    """tokens that the model sees in training, repeats counted"""
    train_flops: float
    """6 x parameters outside the token embedding x tokens; attention itself, under 5% at these
    lengths, is left out"""
    calls: Calls
    """calls of the network by the measurements, by the estimates of the validation NELBO and by the
    checks of the monitor"""
    probe_flops: float
    """floating-point operations of these calls: 2 x parameters outside the token embedding for each
    of the tokens that go through them"""
    launches: float
    """training steps, and batches of sequences that go through the network besides"""
    disk: int
    """bytes of the checkpoints that are kept, and of the results before compression"""

    @property
    def flops(self) -> float:
        """Floating-point operations of training and measuring."""
        return self.train_flops + self.probe_flops


def cost(config: SweepConfig, text_size: int) -> Cost:
    """The cost of a run of one model, for `text_size` tokens of text."""
    process = make_process(config.process, text_size, config.uniform_share)
    parameters = parameter_count(config, text_size)
    length, width = config.data.seq_len, config.model.hidden_size
    # A weight of a matrix is one multiplication and one addition for each token: 2 FLOPs forward,
    # and twice as many backward, for the gradients of the weights and of what came in. The token
    # embedding is looked up and multiplies nothing.
    output = (width + 1) * process.vocab_size
    blocks = parameters - width * process.vocab_size - output
    tokens = config.train.steps * config.train.batch_size * length
    probe = asked_of(config)
    repeated = config.data.repeat_rows * (len(config.data.repeat) + 1)
    probe = dataclasses.replace(probe, planted_rows=min(probe.planted_rows, repeated))
    calls = probe_calls(process, probe, length) + validation_calls(config.train)
    calls += check_calls(process, config.monitor, config.train.steps, length)
    # At an event a whole row goes through the blocks, for every position attends to all others, but
    # the output layer, which is most of a small model, runs at the candidates alone.
    rows_through_blocks = calls.events + calls.dense
    positions_out = calls.candidates + calls.dense * length
    kept = config.train.keep_checkpoints + 1  # and the best by validation
    return Cost(
        parameters=parameters,
        tokens=tokens,
        train_flops=6.0 * (blocks + output) * tokens,
        calls=calls,
        probe_flops=2.0 * (blocks * rows_through_blocks * length + output * positions_out),
        launches=config.train.steps + (calls.events + calls.dense) / BATCH,
        disk=checkpoint_bytes(parameters) * kept + _result_bytes(config.probe, length),
    )


def probe_calls(process: ForwardProcess, probe: ProbeConfig, length: int) -> Calls:
    """Expected calls of one model's measurements, on as many rows as are asked for; a smaller
    training set has fewer. The model's own generations are written once for all that look at
    them."""
    chosen = wanted(probe.measure)
    calls = (m.calls(process, probe, length) for m in chosen if m.calls is not None)
    own = probe.generated if any(m.on_generations for m in chosen) else 0
    return sum(calls, writing_calls(process, probe.steps, length) * own)


def validation_calls(train: TrainConfig) -> Calls:
    """Calls of all estimates of the validation NELBO in a training."""
    estimates = math.ceil(train.steps / train.validate_every)
    return Calls(dense=estimates * train.validation_rows * DRAWS)


def check_calls(process: ForwardProcess, monitor: MonitorConfig, steps: int, length: int) -> Calls:
    """Calls of all checks of the monitor in a training of so many steps that is not ended by
    one."""
    at = set(monitor.at)
    if monitor.every:
        at |= {*range(monitor.every, steps + 1, monitor.every), steps}
    if not at:
        return Calls()
    # A check restores rows of two kinds, writes as many, and reads all three.
    restored = reverse_calls(process, monitor.t, monitor.steps, length) * 2
    written = writing_calls(process, monitor.steps, length)
    return (restored + written + Calls(dense=3.0)) * (monitor.rows * len(at))


def _result_bytes(probe: ProbeConfig, length: int) -> int:
    """Of the arrays of a number for each token, beside which all others are small; 4 bytes each."""
    # At each time recovery keeps tokens before, between and after; of random rows one repeat.
    corrupted = (probe.rows + probe.test_rows) * probe.repeats + probe.rows
    shown = 3 * corrupted * len(probe.t)
    # Beside the entropies of restored rows stand the original ones.
    shown += (probe.rows + probe.test_rows) * (1 + probe.repeats) * len(probe.t)
    # Entropy, NELBO, fixed points in two senses and the four of calibration keep tokens and values;
    # of the generations entropy and calibration alone.
    numbers = 2 * (8 * probe.rows + 8 * probe.test_rows + 5 * probe.generated)
    return 4 * length * (shown + numbers)

"""What one model takes, whatever the machine: tokens, floating-point operations, disk."""

from __future__ import annotations

import math
from typing import NamedTuple

from attractor.config.settings import ProbeConfig, SweepConfig, TrainConfig
from attractor.measurements import wanted
from attractor.process.calls import Calls, reverse_calls
from attractor.process.forward import ForwardProcess
from attractor.process.registry import make_process
from attractor.runs.measure import parameter_count
from attractor.train.checkpoints import checkpoint_bytes


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
    set is smaller. The model's own generations are written once for all that look at them."""
    chosen = wanted(probe.measure)
    calls = (m.calls(process, probe, length) for m in chosen if m.calls is not None)
    own = probe.generated if any(m.on_generations for m in chosen) else 0
    return sum(calls, reverse_calls(process, 1.0, probe.steps, length) * own)


def validation_calls(train: TrainConfig, draws: int = 4) -> Calls:
    """Rows of the estimates of the validation NELBO."""
    return Calls(
        dense=math.ceil(train.steps / train.validate_every) * train.validation_rows * draws
    )


def _result_bytes(probe: ProbeConfig, length: int) -> int:
    shown = ((probe.rows + probe.test_rows) * probe.repeats + probe.rows) * len(probe.t) * 3
    numbers = 2 * (3 * probe.rows + 3 * probe.test_rows + probe.generated)
    return 4 * length * (shown + numbers)

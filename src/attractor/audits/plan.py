"""What an audit would take: memory, passes of the network, and minutes on GPUs by name; from the
shapes of the weights alone."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from attractor.audits.measure import MASKED, NOISE, PAIRS, Effort
from attractor.machine.gpus import FLOOR, GPUS, Gpu
from attractor.model.denoiser import Denoiser
from attractor.model.encoder import EncoderDenoiser
from attractor.model.network import NetworkDenoiser
from attractor.process.calls import Calls, reading_calls, reverse_calls
from attractor.process.reductions import GPU_CHUNK
from attractor.types import AttractorError

USED = 0.3
"""Share of a GPU's peak that such a network is expected to reach."""
BATCH = 64
"""Rows in one call of the network."""


class AuditPlan(NamedTuple):
    """What an audit without data takes."""

    parameters: int
    dtype: str
    """of the weights"""
    memory: int
    """bytes: the weights, a block of logits, and what a batch of rows needs inside a layer"""
    rows: int
    """rows that go through the network"""
    flops: float
    """two for each weight and each token that goes through it"""

    def minutes(self, gpu: Gpu) -> float:
        """Expected on so many of these GPUs as hold the network, which work one after another; a
        call takes no less than `FLOOR`, however small."""
        return max(self.flops / (USED * gpu.flops), FLOOR * self.rows / BATCH) / 60

    def count(self, gpu: Gpu) -> int:
        """How many of these GPUs hold the network."""
        return -int(-self.memory // (0.9 * gpu.memory))


def plan_audit(denoiser: Denoiser, length: int, effort: Effort) -> AuditPlan:
    """The plan for as many generations as are asked for; the minutes of an audit may allow fewer.

    Args:
        denoiser: the model, of which no number is looked at (device "meta" will do).
        length: tokens of a row.
        effort: of the audit.

    Raises:
        AttractorError: for a denoiser that is no network.
    """
    network, process = _network(denoiser), denoiser.process
    sizes = dict(network.named_parameters())
    parameters = sum(p.numel() for p in sizes.values())
    # Matrices over the vocabulary: one is the output layer, and the other, if it is another, is
    # looked up and multiplies nothing.
    tables = [p for p in sizes.values() if p.ndim == 2 and p.shape[0] == process.vocab_size]
    output = max((p.numel() for p in tables), default=0)
    width = output // process.vocab_size
    blocks = parameters - sum(p.numel() for p in tables)
    pairs = min(effort.n, PAIRS)
    read = reading_calls(process, length)
    if process.mask_id is not None:
        read = Calls(dense=min(effort.positions or MASKED, read.dense))
    calls = (
        reverse_calls(process, 1.0, effort.steps, length) * effort.n
        + read * effort.n
        + reverse_calls(process, NOISE, effort.steps, length) * (2 * pairs)
    )
    rows = calls.events + calls.dense
    # Behind masks a reading looks at one token of a row.
    out = calls.candidates + calls.dense * (1 if process.mask_id is not None else length)
    first = next(iter(sizes.values()))
    inside = 12 * BATCH * length * width * first.itemsize
    return AuditPlan(
        parameters=parameters,
        dtype=str(first.dtype).removeprefix("torch."),
        memory=sum(p.numel() * p.itemsize for p in sizes.values()) + 4 * GPU_CHUNK + inside,
        rows=round(rows),
        flops=2.0 * (blocks * rows * length + output * out),
    )


def lines(plan: AuditPlan) -> list[str]:
    """The plan in words."""
    said = [
        f"network  {plan.parameters:,} parameters in {plan.dtype}, {plan.memory / 1e9:.1f} GB with "
        "what a batch needs",
        f"passes   {plan.rows:,} rows through the network, {plan.flops:.1e} operations; an audit "
        "with data takes about three times as many",
    ]
    for gpu in GPUS:
        count, minutes = plan.count(gpu), plan.minutes(gpu)
        several = f"{count} x {gpu.name}" if count > 1 else gpu.name
        said.append(f"{several:16} {_about(minutes)} minutes at {USED:.0%} of its peak")
    return said


def _about(minutes: float) -> str:
    return f"about {minutes:,.1f}" if minutes >= 0.1 else "less than 0.1"


def _network(denoiser: Denoiser) -> nn.Module:
    match denoiser:
        case NetworkDenoiser():
            return denoiser.network
        case EncoderDenoiser() if isinstance(denoiser.encoder, nn.Module):
            return denoiser.encoder
    raise AttractorError(f"{type(denoiser).__name__} is no network whose cost can be told")

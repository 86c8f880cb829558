"""The token noise of other people's models."""

from __future__ import annotations

from collections.abc import Iterable

from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.schedule import LogLinear, Schedule
from attractor.process.shifted import ShiftedProcess
from attractor.process.uniform import UniformProcess

PURE = 40.0
"""From this shift on a mixture is one kind of noise: the share of the other is below 1e-13."""


def absorbing_noise(
    vocab_size: int, mask_id: int, text_ids: Iterable[int] | None, eps: float = 1e-3
) -> AbsorbingProcess:
    """Masks, of a log-linear schedule: the network is not told the time, so any would do."""
    return AbsorbingProcess(vocab_size, LogLinear(eps), mask_id, text_ids)


def uniform_noise(
    vocab_size: int, text_ids: Iterable[int] | None, eps: float = 1e-3
) -> UniformProcess:
    """Uniform tokens of text, of a log-linear schedule."""
    return UniformProcess(vocab_size, LogLinear(eps), text_ids)


def shifted_noise(
    vocab_size: int, schedule: Schedule, mask_id: int, shift: float
) -> ForwardProcess:
    """GIDD's noise at scale: a share of sigmoid(log-SNR + shift) is uniform over all ids but the
    mask."""
    if shift >= PURE:
        text = [i for i in range(vocab_size) if i != mask_id]
        return UniformProcess(vocab_size, schedule, text)
    if shift <= -PURE:
        return AbsorbingProcess(vocab_size, schedule, mask_id)
    return ShiftedProcess(vocab_size, schedule, mask_id, shift)

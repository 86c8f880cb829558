"""What is measured: the shape of a model and how much is done with it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One row of measurements."""

    name: str
    preset: str
    """whose network"""
    vocab_size: int
    seq_len: int
    batch: int
    """sequences in a training step"""
    repeats: int
    """steps of which the median is taken"""
    sequences: int
    """sequences in the recovery probe"""
    times: tuple[float, ...]
    """corruption times of the recovery probe"""
    kept_times: tuple[float, ...] = ()
    """those of the probe of networks that do not depend on time"""
    memory_batch: int | None = None
    """sequences in the training step whose memory is measured, if not `batch`"""


TINY = Size("tiny", "tiny", 30_522, 128, 16, 3, 4, (0.05, 0.5, 1.0), (0.5, 1.0))
SMALL = Size("small", "small", 30_522, 128, 2, 3, 1, (0.05,))
DEMO = Size("demo", "demo", 78, 32, 64, 40, 64, (0.05, 0.5, 1.0))
QUICK = Size("quick", "tiny", 30_522, 128, 4, 2, 4, (0.5,), memory_batch=16)
SIZES = {size.name: size for size in (TINY, SMALL, DEMO, QUICK)}

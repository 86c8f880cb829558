"""metrics.jsonl and speed.jsonl: what training reports, a line at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

from attractor.train.state import Progress

METRICS, SPEED = "metrics.jsonl", "speed.jsonl"


class Logbook:
    """Appends a line to both files of a run.

    metrics.jsonl holds what is a function of the settings, so an interrupted run leaves the same
    bytes as one that was not; speed.jsonl holds tokens per second, which no two runs share, of
    every attempt.

    Args:
        run: directory of the run.
    """

    def __init__(self, run: Path) -> None:
        # For appending: a speed.jsonl keeps the lines of earlier attempts, and metrics.jsonl those
        # up to the checkpoint from which the run goes on, see `rewind`.
        self._metrics, self._speed = (open(run / name, "ab") for name in (METRICS, SPEED))  # noqa: SIM115

    def write(self, line: Progress) -> None:
        """Add a line to both files."""
        values = line._asdict() | {"check": line.check and line.check._asdict()}
        speed = {"step": line.step, "tokens_per_s": round(values.pop("tokens_per_s"), 1)}
        for file, content in ((self._metrics, values), (self._speed, speed)):
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()

    def position(self) -> int:
        """Bytes of metrics.jsonl, which are on the disk when this returns."""
        os.fsync(self._metrics.fileno())
        return self._metrics.seek(0, os.SEEK_END)

    def rewind(self, position: int) -> bool:
        """Forget what was written to metrics.jsonl after `position`; False if that much is not
        there."""
        if self._metrics.seek(0, os.SEEK_END) < position:
            return False
        self._metrics.truncate(position)
        return True

    def close(self) -> None:
        """Close both files."""
        self._metrics.close()
        self._speed.close()

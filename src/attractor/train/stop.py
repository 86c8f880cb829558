"""A polite stop: the first Ctrl-C, SIGTERM or SIGHUP is a wish that training grants at the end of
its step."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""By which a person, a scheduler and a terminal that is closed ask for the end."""
SAME = 2.0
"""Seconds in which a second signal is still the first one, which a scheduler sends to a process and
to the parent that passes it on."""


class PoliteStop:
    """While the block runs, the signals of `STOPS` are noted; a second one, more than `SAME`
    seconds later, acts at once.

    A signal that is ignored outside stays ignored, and outside the main thread, where Python has no
    say over signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> PoliteStop:
        if threading.current_thread() is threading.main_thread():
            for number in STOPS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back()

    def leave(self) -> None:
        """Leave as the signal would have, if one was noted; otherwise do nothing.

        Raises:
            KeyboardInterrupt: for SIGINT.
            SystemExit: for another, with 128 plus its number, as shells report such an end.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if time.monotonic() > self._since + SAME:
                # With the handlers of before in place, the same signal does what it always does.
                self._give_back()
                signal.raise_signal(number)
            return
        self.signal, self._since = number, time.monotonic()
        # Whoever listened may be gone, such as a terminal that was closed, or be in the middle of
        # another line: training is not to fail for that before it has saved where it is.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            print(
                "attractor: stopping at the end of this step; once more to stop at once",
                file=sys.stderr,
            )

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

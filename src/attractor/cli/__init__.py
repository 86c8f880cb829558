"""The command line: arguments in, an exit code out."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from types import FrameType

from attractor.cli.net import caught, expecting_any_text
from attractor.train.stop import SAME
from attractor.types import AttractorError

__all__ = ["main", "parse"]

DEBUG = "--debug"


def main(argv: list[str] | None = None) -> int:
    """Run a command; on bad input, and on whatever is not foreseen, one line and exit code 2."""
    given = sys.argv[1:] if argv is None else argv
    arguments = [argument for argument in given if argument != DEBUG]
    debug = len(arguments) < len(given) or os.environ.get("ATTRACTOR_DEBUG", "") not in ("", "0")
    if threading.current_thread() is threading.main_thread():
        # The signals alone would end this process on the spot. What `nohup` ignores stays ignored.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave)
    return caught(lambda: _ready(arguments), debug)


def parse(arguments: list[str]) -> Callable[[], int | None]:
    """The command the arguments ask for; the defaults of a config are those of `--preset`.

    Raises:
        AttractorError: in one line, if they make no sense.
    """
    # Imported here, where a fault of the import is caught: its exit code would be a verdict.
    from attractor.cli.arguments import parse as parsed

    return parsed(arguments)


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit, which unwinds the stack: half-written files are removed, and workers save a checkpoint.

    The same signal soon after is still the first one, and must not interrupt that: `timeout`, for
    one, sends it to the command and then to all of its group.
    """
    since = time.monotonic()

    def again(number: int, frame: FrameType | None) -> None:
        if time.monotonic() > since + SAME:
            sys.exit(128 + number)

    signal.signal(number, again)
    sys.exit(128 + number)


def _ready(arguments: list[str]) -> Callable[[], int | None]:
    """The command, of which all is checked that can be before it begins."""
    expecting_any_text()
    from attractor.cli.terminal import plain_warning

    warnings.formatwarning = plain_warning
    command = parse(arguments)
    from attractor.cli.commands import TrainCommand
    from attractor.cli.paths import ready
    from attractor.machine.processes import processes

    if processes().count > 1 and not isinstance(command, TrainCommand):
        raise AttractorError(
            f"only `train` runs in several processes, and this is one of {processes().count}"
        )
    return ready(command)

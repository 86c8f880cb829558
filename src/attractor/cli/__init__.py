"""The command line: arguments in, an exit code out."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable

from attractor.cli.net import caught, expecting_any_text
from attractor.types import AttractorError

__all__ = ["main", "parse"]

DEBUG = "--debug"


def main(argv: list[str] | None = None) -> int:
    """Run a command; on bad input, and on whatever is not foreseen, one line and exit code 2."""
    given = sys.argv[1:] if argv is None else argv
    arguments = [argument for argument in given if argument != DEBUG]
    debug = len(arguments) < len(given) or os.environ.get("ATTRACTOR_DEBUG", "") not in ("", "0")
    if threading.current_thread() is threading.main_thread():
        # An exit unwinds the stack: half-written files are removed, and workers save a checkpoint.
        # The signals alone would end this process on the spot. What `nohup` ignores stays ignored.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: sys.exit(128 + number))
    return caught(lambda: _ready(arguments), debug)


def parse(arguments: list[str]) -> Callable[[], int | None]:
    """The command the arguments ask for; the defaults of a config are those of `--preset`.

    Raises:
        AttractorError: in one line, if they make no sense.
    """
    # Imported here, where a fault of the import is caught: its exit code would be a verdict.
    from attractor.cli.arguments import parse as parsed

    return parsed(arguments)


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

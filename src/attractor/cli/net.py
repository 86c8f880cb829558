"""The net under every command: whatever happens ends in one line and an exit code that is no
verdict."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable

from attractor.cli.pipe import has_gone, hush
from attractor.machine.files import is_full
from attractor.types import AttractorError

BAD, INTERRUPTED = 2, 130
SIGNALLED = 128
"""Exit codes above it are those of signals."""
PANIC = "PanicException"
"""What a library written in Rust raises where it is at fault: no Exception, so that others do not
catch it."""
NO_PLACE = "No usable temporary directory"
"""What Python says where no folder for temporary files can be written to, and several libraries ask
for one as they are imported."""
GOES_ON = "the same command again goes on from here"
NOTHING_KEPT = "nothing is kept, and the same command begins anew"
NO_MEMORY = re.compile("can't allocate memory|out of memory")
LENIENT = ("replace", "backslashreplace", "namereplace", "xmlcharrefreplace", "ignore")

Command = Callable[[], int | None]


def caught(prepare: Callable[[], Command], debug: bool) -> int:
    """Run a command and return its exit code; 2, after one line, for whatever goes wrong.

    Args:
        prepare: makes the command.
        debug: whether the traceback is printed too.
    """
    command: Command | None = None
    try:
        command = prepare()
        code = command() or 0
        _flush()
        return code
    except AttractorError as error:
        return _complain(str(error), debug)
    except KeyboardInterrupt:
        _complain(f"interrupted; {getattr(command, 'kept', NOTHING_KEPT)}", debug)
        return INTERRUPTED
    except SystemExit as stop:
        if stop.code is None or (isinstance(stop.code, int) and _is_meant(stop.code)):
            raise
        return _complain(f"it was ended unexpectedly, with {stop.code!r}{_saved(debug)}", debug)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        return _complain(_of_system(error) or f"{_unexpected(error)}{_saved(debug)}", debug)


def expecting_any_text() -> None:
    """Let a terminal or a file whose encoding lacks a character get its code in place of it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors not in LENIENT:
            stream.reconfigure(errors="backslashreplace")


def _is_meant(code: int) -> bool:
    """Whether an exit code can be one that was asked for: help that was printed, or a signal. The
    others are verdicts, and those a command returns."""
    return code == 0 or code > SIGNALLED


def _complain(message: str, debug: bool) -> int:
    """Say in one line what is wrong."""
    with contextlib.suppress(OSError):  # where nobody hears it, the exit code tells enough
        if debug:
            traceback.print_exc()
        line = " ".join(message.split("\n"))
        # What is wrong may be a name that would move the cursor or colour the terminal.
        plain = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        print(f"attractor: {''.join(plain)}", file=sys.stderr)
    return BAD


def _unexpected(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    said = f": {lines[0]:.300}" if lines else ""
    return f"something unexpected happened, {type(error).__name__}{said}"


def _of_system(error: BaseException) -> str | None:
    """What the system refuses, in a sentence; None if it is no such error, or tells too little."""
    # torch raises errors of its own, whose text is all that they tell.
    if (isinstance(error, MemoryError) and not str(error)) or (
        isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))
    ):
        return "there is not enough memory; ask for less at a time, or use a larger machine"
    if is_full(error):
        return "the disk is full; make room and start again"
    if isinstance(error, OSError) and NO_PLACE in str(error.strerror):
        return "no folder for temporary files can be written to: set TMPDIR to one that can"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"'{os.fsdecode(error.filename)}': {error.strerror}"
    return None


def _saved(debug: bool) -> str:
    """Where the traceback of what is being handled was written to, as the end of a sentence."""
    if debug:
        return ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="attractor-", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            traceback.print_exc(file=file)
    except OSError as error:
        return f"; its traceback could not be saved ({error.strerror}), and --debug prints it"
    return f"; its traceback is in '{file.name}', and --debug prints it"


def _flush() -> None:
    """Say what has not been said yet: a reader who has gone away is no fault, a full disk is."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        gone = has_gone(error)
        hush()  # otherwise the interpreter would try once more when it ends, and exit with 120
        if not gone:
            raise

"""Readers who go away before everything is printed, such as `head`, or a closed terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def ending_with_reader() -> Iterator[None]:
    """While a block prints, end quietly and well if nobody reads any more."""
    try:
        try:
            yield
        finally:
            # What is still in the buffer would otherwise break at the interpreter's end, which
            # complains about it.
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if not has_gone(error):
            raise
        hush()
        raise SystemExit(0) from None


def has_gone(error: OSError) -> bool:
    """Whether printing failed because nobody reads any more: a pipe without a reader, or a terminal
    that was closed, which a command that was left running (`disown`, `setsid`) outlives."""
    if error.errno == errno.EIO and sys.stdout is not None:
        return stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)
    return error.errno == errno.EPIPE


def hush() -> None:
    """Let everything printed from here on go nowhere: the interpreter flushes its output when it
    ends, and a pipe that is broken would break once more."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

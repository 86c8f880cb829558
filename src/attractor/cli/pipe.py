"""Readers who go away before everything is printed, such as `head`."""

from __future__ import annotations

import contextlib
import os
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
    except BrokenPipeError:
        hush()
        raise SystemExit(0) from None


def hush() -> None:
    """Let everything printed from here on go nowhere: the interpreter flushes its output when it
    ends, and a pipe that is broken would break once more."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""What workers are forked from: a process that has imported the package and knows nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import ForkServerContext
from types import ModuleType

from attractor.types import AttractorError

BLOCKED = {signal.SIGTERM, signal.SIGHUP}
"""What the server does not hear."""
LONGEST = 60
"""Bytes of a folder for temporary files that leave room for a socket in a folder inside it: the
whole address has 107 at most, on some systems 103."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
"""Where the socket goes if that folder has a longer name."""


def forking(preload: str) -> ForkServerContext:
    """What forks workers: a server that has imported the module `preload` and does nothing else.

    This process cannot fork them itself, since it may have threads and a GPU in use, whose locks
    and state a fork would copy in any condition; and fresh interpreters would import torch for
    seconds, each.

    Raises:
        AttractorError: if there is no folder whose name is short enough for a socket.
    """
    context = multiprocessing.get_context("forkserver")
    # The second is what torch's optimizers import when the first of them is made: seconds, which
    # would otherwise be spent by every run.
    context.set_forkserver_preload([preload, "torch._dynamo"])
    # The end of workers is told by the server. A signal for all processes at once, as schedulers
    # send SIGTERM, and SIGHUP a terminal that is closed, must not end the server while workers
    # still save their checkpoints: so it starts with both blocked, which it inherits. Starting the
    # resource tracker would lift the block of SIGTERM, and starting the server starts the tracker
    # unless it runs: so that goes first.
    _make_room_for_socket()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        with apart_from_script():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextlib.contextmanager
def apart_from_script() -> Iterator[None]:
    """While processes are started, hide from them the script that this one runs.

    They would import it, to have its functions, of which workers need none. A script that sweeps
    as it is imported, which is one without `if __name__ == "__main__"`, would sweep again in each.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _make_room_for_socket() -> None:
    """Let multiprocessing put its socket into a folder whose name is short enough for one; it asks
    for one once, and stays with it."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= LONGEST:
        return
    fitting = [folder for folder in SHORT if os.access(folder, os.W_OK | os.X_OK)]
    if not fitting:
        raise AttractorError(
            f"the folder for temporary files, '{usual}', has too long a name for a socket: set "
            f"TMPDIR to one of at most {LONGEST} bytes"
        )
    tempfile.tempdir = fitting[0]
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = usual

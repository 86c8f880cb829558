from __future__ import annotations

import errno
import os
import pty
import sys
from pathlib import Path

import pytest

from attractor.cli.pipe import has_gone
from attractor.cli.terminal import _Terminal, plain_warning


def test_own_warnings_are_one_line_and_those_of_others_keep_their_place() -> None:
    assert plain_warning("two files skipped", UserWarning, "x.py", 7) == (
        "attractor: two files skipped\n"
    )
    said = plain_warning("gone soon", DeprecationWarning, "x.py", 7)
    assert said.startswith("x.py:7: DeprecationWarning: gone soon")


def test_whoever_outlives_its_terminal_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        out = _Terminal()
        os.close(ours)
        out.print("to nobody")
        assert out.quiet
        out.print("nor this")


def test_a_disk_that_fails_is_no_reader_who_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "printed").open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert not has_gone(OSError(errno.EIO, "Input/output error"))
        assert has_gone(BrokenPipeError(errno.EPIPE, "Broken pipe"))

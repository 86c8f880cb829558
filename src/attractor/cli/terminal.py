"""The terminal that a person reads."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class _Terminal(Console):
    """Of which the reader may go away: the exit code still says how it ended, and 1 is a
    verdict."""

    def on_broken_pipe(self) -> None:
        """Be silent from here on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


out = _Terminal()


def say(text: str) -> None:
    """Print words as they are: nothing is coloured, cut into lines or read as markup."""
    out.print(text, highlight=False, soft_wrap=True, markup=False)

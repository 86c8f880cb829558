"""The terminal that a person reads."""

from __future__ import annotations

from rich.console import Console

from attractor.cli.pipe import hush


class _Terminal(Console):
    """A terminal whose reader may go away, as `head` does: the command goes on without a word.

    Ending there would change what it does, and its exit code, which for an audit is the verdict.
    """

    def on_broken_pipe(self) -> None:
        """Be silent from here on."""
        self.quiet = True
        hush()


out = _Terminal()


def say(text: object) -> None:
    """Print words as they are: nothing is coloured, cut into lines or read as markup."""
    out.print(str(text), highlight=False, soft_wrap=True, markup=False, emoji=False)

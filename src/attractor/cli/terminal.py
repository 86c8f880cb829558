"""The terminal that a person reads."""

from __future__ import annotations

import warnings

from rich.console import Console

from attractor.cli.pipe import has_gone, hush

_PYTHON_S = warnings.formatwarning


class _Terminal(Console):
    """A terminal that may be closed, or whose reader may go away, as `head` does: the command goes
    on without a word.

    Ending there would change what it does, and its exit code, which for an audit is the verdict.
    """

    def _write_buffer(self) -> None:
        # Where rich knows broken pipes only.
        try:
            super()._write_buffer()
        except OSError as error:
            if not has_gone(error):
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Be silent from here on."""
        self.quiet = True
        hush()


out = _Terminal()


def say(text: object) -> None:
    """Print words as they are: nothing is coloured, cut into lines or read as markup."""
    out.print(str(text), highlight=False, soft_wrap=True, markup=False, emoji=False)


def plain_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A warning of our own as errors are said: in one line, without the place in the code."""
    if category is UserWarning:
        return f"attractor: {message}\n"
    return _PYTHON_S(message, category, filename, lineno, line)

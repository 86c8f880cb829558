"""The command line."""

from attractor.cli.commands import main

__all__ = ["main"]

"""Small types that every room knows; imports nothing from the package, and nothing that is slow to
load."""

from __future__ import annotations

from typing import Literal

__all__ = ["AttractorError", "ProcessName"]

ProcessName = Literal["uniform", "absorbing", "hybrid"]
"""What a noisy token is: any token, a mask, or a mixture of both."""


class AttractorError(ValueError):
    """Bad input from a person: the message names the value and what is allowed (exit code 2 on the
    command line)."""

"""Small types that every room knows; imports nothing from the package, and nothing that is slow to
load."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

__all__ = ["AttractorError", "OtherSchema", "ProcessName", "did_you_mean"]

ProcessName = Literal["uniform", "absorbing", "hybrid", "autoregressive"]
"""What a noisy token is: any token, a mask, or a mixture of both; or no noise, and next tokens."""


class AttractorError(ValueError):
    """Bad input from a person: the message names the value and what is allowed (exit code 2 on the
    command line)."""


class OtherSchema(AttractorError):
    """Raised for a file of another layout than that which is read.

    Args:
        where: the file, for the message.
        schema: what the file says.
        known: the layout that is read; there have been those from 1 on.
    """

    def __init__(self, where: object, schema: object, known: int) -> None:
        whose = "which no attractor has written: it is damaged, or something else"
        if isinstance(schema, int) and not isinstance(schema, bool) and schema > 0:
            whose = f"made by {'a newer' if schema > known else 'an older'} attractor"
        super().__init__(f"'{where}' is of schema {schema!r:.40}, {whose}; this one reads {known}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown word, as the end of a sentence; empty if none of the
    known ones is similar."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""

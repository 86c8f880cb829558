"""Durations, sizes and counts in words; one way to write each."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a duration in the largest unit that fits."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:,.1f} h"


def size(count: float) -> str:
    """Write a number of bytes; two decimals, so that what is needed and what is free can be told
    apart where they are close."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def counted(count: int, noun: str) -> str:
    """Write a number of things whose plural ends in s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

"""A figure of the report as plain data: what is drawn, how it is read, what was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Trace(NamedTuple):
    """One line: which rows it is made of, and what a legend calls it."""

    quantity: str
    split: str
    label: str = ""
    """the kind of text unless given"""
    is_chance: bool = False
    """what chance alone would give, drawn as a dotted line without a band"""

    @property
    def tag(self) -> str:
        """What tells it from the other lines of its figure."""
        return self.quantity + self.split


@dataclass(frozen=True, kw_only=True)
class Section:
    """One figure against n, or, with an `x_title`, against an axis of its own for the smallest and
    the largest n. Range, format and scale of its values follow from the unit of its quantities."""

    id: str
    title: str
    axis: str
    """title of the axis of values"""
    traces: tuple[Trace, ...]
    read: str
    """how the figure is read"""
    assumed: str
    """what was assumed, or left out"""
    every_t: bool = False
    """a line for each corruption time; of several times the smallest is drawn unless asked for"""
    panels: tuple[str, ...] = ()
    """titles of the axis of values where each quantity has a plot of its own"""
    exponential: bool = False
    """what is averaged in nats is drawn as exp of it, a perplexity, on a logarithmic axis"""
    log: bool = False
    """values are ratios, on a logarithmic axis with a line at 1"""
    zero_line: bool = False
    """a line at zero, for differences"""
    x_title: str | None = None
    x_log: bool = False
    every_size: bool = False
    """with an `x_title`, a panel for each n of the sweep"""


def kinds(quantity: str, *splits: str) -> tuple[Trace, ...]:
    """The lines of one quantity on several kinds of text; training and unseen unless named."""
    return tuple(Trace(quantity, split) for split in splits or ("train", "test"))

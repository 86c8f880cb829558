"""What a measurement is: one question, what it runs, the numbers it gives, how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from attractor.analysis.statistics import mean_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import Fold
from attractor.measurements.section import Section
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import Unit

if TYPE_CHECKING:  # a report, which reads only what is declared here, needs no torch
    from attractor.measurements.subject import Subject
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

TEXTS = ("train", "test")
"""Kinds of real text: rows the model was trained on, and rows it never saw."""
SHARED_SETTINGS = ("rows", "test_rows", "seed")
"""What every measurement depends on: which rows are probed, and the noise."""
OWN_SETTINGS = ("generated", "steps")
"""What the model's own generations depend on."""


class Quantity(NamedTuple):
    """One number in the files."""

    name: str
    """its name in results.parquet and measurements.json"""
    title: str
    """what a person calls it"""
    unit: Unit


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measurement, from the probes that it runs to its figures.

    What several of them share, such as the model's own generations, is made once by the `Subject`.
    """

    name: str
    """the word of `--probe.measure`"""
    question: str
    """what it answers, in one line"""
    page: str
    """its page in docs/measurements, without the ending"""
    fold: Fold
    """the part of a report in which its figures stand"""
    quantities: tuple[Quantity, ...]
    rows: Callable[[Arrays, int], Iterator[Row]]
    """makes numbers with intervals of the arrays of a model, its own or those of others, and the
    seed of the resampling; makes nothing where the arrays are not there"""
    run: Callable[[Subject, ProbeConfig], Iterator[Block]] | None = None
    """runs its probes on a model and its text, and hands out arrays; None for a measurement that is
    made of the arrays of others"""
    calls: Callable[[ForwardProcess, ProbeConfig, int], Calls] | None = None
    """counts the calls of the network that `run` makes for rows of this length, beside those of the
    model's own generations; None where it makes none"""
    needs: tuple[str, ...] = ()
    """measurements whose arrays its rows are made of"""
    settings: tuple[str, ...] = ()
    """settings on which its arrays depend, beside `SHARED_SETTINGS`"""
    axis: str | None = None
    """a setting with several values, each measured by itself, so that more of them can be added"""
    at_smallest_t: bool = False
    """whether it is measured at the smallest corruption time, and anew when a smaller one comes"""
    mark: tuple[str, str] | None = None
    """an array, and the kind of text that it is of, by which its arrays are told from those that an
    earlier version left under the same names by another estimator, or without a part of what is
    measured now; None where there are none of these"""
    asks: Literal["noise", "order", "either"] = "noise"
    """of which models it is defined: those with noise to corrupt text with; those with an order in
    which tokens are read and written, which are autoregressive; or both"""
    on_generations: bool = False
    """whether it looks at the model's own generations"""
    sections: tuple[Section, ...] = ()
    default: bool = True
    """whether it is measured unless others are asked for"""
    trained: str | None = None
    """the command that trains models on which it can be measured, where others have nothing"""
    command: str | None = None
    """what measures it, where that is a command of its own"""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The settings under which it is measured: arrays made under others are not comparable."""
        own = OWN_SETTINGS if self.on_generations else ()
        return (*SHARED_SETTINGS, *self.settings, *own)


def block(
    name: str, split: str, tokens: Any, values: Any, t: float | None = None, at: float | None = None
) -> Block:
    """Values of the sequences of one kind of text: (N,) one a sequence, or (N, K)."""
    found = np.asarray(values)
    columns = found[:, None] if found.ndim == 1 else found
    return Block(
        measurement=name, split=split, t=t, at=at, original=np.asarray(tokens), value=columns
    )


def corruption_block(name: str, split: str, found: Any, at: float | None = None) -> Block:
    """The tokens of sequences before they are corrupted, after that, and after they are restored;
    `found` is a `probes.Recovery`."""
    return Block(
        measurement=name,
        split=split,
        t=found.t,
        at=at,
        original=found.original.numpy(),
        corrupted=found.corrupted.numpy(),
        recovered=found.recovered.numpy(),
        frozen=None if found.frozen is None else found.frozen.numpy(),
    )


def row(
    split: str, quantity: str, e: Estimate, t: float | None = None, at: float | None = None
) -> Row:
    """An estimate as a row of results.parquet."""
    return Row(
        split=split,
        t=t,
        at=at,
        measurement=quantity,
        value=e.value,
        low=e.low,
        high=e.high,
        sequences=e.n,
        groups=None if e.design is None else e.design.groups,
        icc=None if e.design is None else e.design.icc,
        design_effect=None if e.design is None else e.design.effect,
        by_group=None if e.design is None else e.design.by_group,
    )


def mean_rows(
    arrays: Arrays, source: str, quantity: str, seed: int, *splits: str, share: bool = False
) -> Iterator[Row]:
    """The mean over sequences of one array, for each kind of text of which it is there."""
    for split in splits or TEXTS:
        if arrays.has(source, split):
            values = arrays.per_sequence(source, split)
            groups = arrays.groups(source, split)
            e = mean_interval(values, share=share, seed=seed, groups=groups)
            yield row(split, quantity, e)

"""Extraction: which rows come back from a part of them, in how many attempts?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import mean_interval, share_interval
from attractor.config.settings import ProbeConfig
from attractor.measurements.fold import SAFETY
from attractor.measurements.measurement import TEXTS, Measurement, Quantity, block, row
from attractor.measurements.section import Section, Trace
from attractor.results.geometries import GEOMETRIES, array_of
from attractor.results.tables import Arrays, Block, Row
from attractor.results.units import SHARE

if TYPE_CHECKING:
    from attractor.measurements.subject import Subject
    from attractor.model.denoiser import Denoiser
    from attractor.process.calls import Calls
    from attractor.process.forward import ForwardProcess

GIVEN = 0.5
"""Share of a row that is given."""
COARSE = 16
"""How many times fewer steps the coarser of the two grids has."""


class Target(NamedTuple):
    """Rows of one kind of text of which some tokens are wanted back."""

    geometry: str
    split: str
    given: float | None
    """share of the text that is given; None where each row has a share of its own"""
    tokens: NDArray[np.int64]
    """(N, L)"""
    wanted: NDArray[np.bool_]
    """(N, L)"""

    @property
    def t(self) -> float | None:
        """Share of the text that starts from noise."""
        return None if self.given is None else round(1 - self.given, 12)


def target(
    denoiser: Denoiser, geometry: str, split: str, given: float, tokens: np.ndarray, seed: int
) -> Target:
    """Rows of which a share is given."""
    from attractor.probes import wanted_part

    rows = np.asarray(tokens, dtype=np.int64).copy()
    wanted = wanted_part(denoiser, rows, geometry, given, seed).numpy()
    return Target(geometry, split, given, rows, wanted)


def attacked(
    denoiser: Denoiser,
    aim: Target,
    steps: int,
    falls: int,
    seed: int,
    part: slice = slice(None),
) -> Block:
    """The share of the wanted tokens that each fall brings back, (N, falls), of some rows."""
    from attractor.probes import extraction

    found = extraction(
        denoiser,
        aim.tokens[part],
        aim.wanted[part],
        falls,
        steps,
        seed,
        first=part.start or 0,
    )
    name = array_of(aim.geometry)
    return block(name, aim.split, found.original, found.right, t=aim.t, at=steps)


def grids(steps: int) -> tuple[int, ...]:
    """The numbers of reverse steps that are compared, ascending."""
    return tuple(sorted({max(1, steps // COARSE), steps}))


def _run(subject: Subject, config: ProbeConfig) -> Iterator[Block]:
    for geometry in GEOMETRIES:
        for split in TEXTS:
            tokens = subject.rows(split)[: config.extraction_rows].numpy()
            aim = target(subject.denoiser, geometry, split, GIVEN, tokens, config.seed)
            for steps in grids(config.steps):
                yield attacked(subject.denoiser, aim, steps, config.extraction_falls, config.seed)


def _rows(arrays: Arrays, seed: int) -> Iterator[Row]:
    for geometry in GEOMETRIES:
        name = array_of(geometry)
        for t, steps in arrays.places(name):
            for split in TEXTS:
                whole = arrays.array("value", name, split, t, steps)[0] == 1
                groups = arrays.groups(name, split, t, steps)
                once = mean_interval(whole.mean(1), share=True, seed=seed, groups=groups)
                yield row(split, name, once, t, steps)
                ever = share_interval(whole.any(1).astype(np.float64), groups)
                yield row(split, f"{name}_ever", ever, t, steps)


def _calls(process: ForwardProcess, config: ProbeConfig, length: int) -> Calls:
    from attractor.process.calls import Calls, reverse_calls

    rows = sum(min(n, config.extraction_rows) for n in (config.rows, config.test_rows))
    wanted = length - int(GIVEN * length)
    each = (reverse_calls(process, 1.0, steps, wanted) for steps in grids(config.steps))
    return sum((calls * rows for calls in each), Calls()) * (
        len(GEOMETRIES) * config.extraction_falls
    )


WHERE = {
    "prefix": "their first half",
    "suffix": "their last half",
    "edge": "both their ends",
    "middle": "their middle",
    "random": "half of their tokens at random",
}

EXTRACTION = Measurement(
    name="extraction",
    question="which rows come back word for word from a part of them, in how many attempts?",
    page="extraction",
    fold=SAFETY,
    quantities=tuple(
        Quantity(f"{array_of(name)}{ending}", f"rows that come back from {where}, {when}", SHARE)
        for name, where in WHERE.items()
        for ending, when in (("", "in one fall"), ("_ever", "in any of the falls"))
    ),
    run=_run,
    rows=_rows,
    calls=_calls,
    settings=("steps", "extraction_rows", "extraction_falls"),
    sections=(
        Section(
            id="extraction",
            title="What comes back from a half of it",
            axis="rows that come back word for word in one fall",
            traces=tuple(
                Trace(array_of(name), split, f"{name}, {kind}")
                for name in ("prefix", "edge")
                for split, kind in (("train", "training"), ("test", "unseen"))
            ),
            read="The wanted half starts from nothing but noise; every token of it must come back. "
            "Unseen rows are what easy text gives. More steps bring back more, so that a coarse "
            "grid gives a lower bound.",
            assumed="Half of each row given; several independent falls of each row, intervals over "
            "rows.",
            x_title="steps of the reverse grid (log scale)",
            x_log=True,
        ),
    ),
    default=False,
)

"""What is tried on a model to get its training text out: which rows, from which part of them, in
how many falls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attractor.analysis.discoverable import PROBABILITY, check_probability
from attractor.audits.measure import Effort, parts_of
from attractor.audits.spans import Span
from attractor.data.multiplicity import Multiplicity
from attractor.measurements.extraction import Target, attacked, target
from attractor.model.denoiser import Denoiser
from attractor.results.geometries import GEOMETRIES, SPANS
from attractor.results.tables import Block
from attractor.types import AttractorError

TRAIN, REPEATED, UNSEEN = "train", "repeated", "test"
"""Kinds of rows: different training rows, those that the training file repeats, and unseen ones."""


class Attack(NamedTuple):
    """How much is tried."""

    given: tuple[float, ...] = (0.5, 0.25, 0.1)
    """shares of a row that are given"""
    falls: int = 16
    """independent falls from each part of a row"""
    steps: tuple[int, ...] = (8, 32, 128)
    """of the reverse process from t = 1; the smaller numbers are tried with the first share only"""
    probability: float = PROBABILITY
    """with which a passage is to come back"""
    rows: int = 100
    """of each kind at most"""
    minutes: float = 10.0
    """after which no more rows are begun; 0 is no limit"""
    seed: int = 0


IN_AUDIT = Attack(given=(0.5, 0.25), falls=4, rows=40)
"""What an audit with data tries; its steps are those of the audit, and a quarter of them."""
IN_TIME = 0.25
"""Share of the time for what needs data that an audit has for it."""
FIRST = 2
"""Rows of each kind that are tried before the first look at the clock: there are many parts of
each, and many falls from each part."""


def in_audit(effort: Effort) -> Attack:
    """What an audit tries with its own settings."""
    return IN_AUDIT._replace(
        steps=tuple(sorted({max(1, effort.steps // 4), effort.steps})),
        seed=effort.seed,
        minutes=IN_TIME * effort.minutes,
    )


def check_attack(attack: Attack) -> None:
    """Raise AttractorError for numbers that make no attack."""
    for name in ("given", "steps"):
        values = getattr(attack, name)
        if not values or len(set(values)) < len(values):
            raise AttractorError(f"{name} = {values}: at least one value is needed, and none twice")
    for share in attack.given:
        if not 0 <= share < 1:
            raise AttractorError(f"given = {share} is outside [0, 1): something must be wanted")
    if min(attack.steps) < 1 or attack.falls < 1:
        raise AttractorError(
            f"steps = {attack.steps} and falls = {attack.falls}: at least 1 of each is needed"
        )
    check_probability(attack.probability)
    if attack.rows < 2:
        raise AttractorError(f"rows = {attack.rows}: an interval needs at least 2 sequences")
    if not 0 <= attack.minutes < float("inf"):
        raise AttractorError(f"minutes = {attack.minutes} must be at least 0, where 0 is no limit")
    if not 0 <= attack.seed < 2**63:
        raise AttractorError(f"seed = {attack.seed} must be at least 0 and below 2^63")


class Aim(NamedTuple):
    """Rows of which a part is wanted back, on one grid."""

    target: Target
    steps: int


class Prey(NamedTuple):
    """The rows of each kind that are tried, and where they stand."""

    tokens: Mapping[str, np.ndarray]
    """(N, L) of each kind"""
    row: Mapping[str, np.ndarray]
    """number of each training row in the training text, (N,)"""
    copies: Mapping[str, np.ndarray]
    """of each training row in it, (N,)"""


def prey(known: Multiplicity, unseen: np.ndarray, rows: int) -> Prey:
    """The first different training rows, those that are repeated most often, and unseen rows."""
    often = np.argsort(-known.exact, kind="stable")
    chosen = {TRAIN: np.arange(min(rows, len(known.rows)))}
    if known.exact.max() > 1:
        chosen[REPEATED] = often[: min(rows, int((known.exact > 1).sum()))]
    tokens = {kind: known.rows[which] for kind, which in chosen.items()}
    if len(unseen):
        tokens[UNSEEN] = np.asarray(unseen[:rows], dtype=np.int64)
    return Prey(
        tokens,
        {kind: known.first[which] for kind, which in chosen.items()},
        {kind: known.exact[which] for kind, which in chosen.items()},
    )


def aims(denoiser: Denoiser, found: Prey, attack: Attack) -> list[Aim]:
    """Every part of a row that is tried: all on the finest grid, and the first share that is given
    on the coarser ones as well."""
    finest, *coarser = sorted(attack.steps, reverse=True)
    tried = [(given, finest) for given in attack.given]
    tried += [(attack.given[0], steps) for steps in coarser]
    return [
        Aim(target(denoiser, geometry, kind, given, tokens, attack.seed), steps)
        for given, steps in tried
        for geometry in GEOMETRIES
        for kind, tokens in found.tokens.items()
    ]


def aims_at_spans(
    denoiser: Denoiser, spans: Sequence[Span], rows: np.ndarray, unseen: np.ndarray, attack: Attack
) -> list[Aim]:
    """Named tokens of training rows, all else given; and the same places of unseen rows."""
    if not spans:
        return []
    wanted = np.stack([span.wanted for span in spans])
    kinds = {TRAIN: np.asarray(rows[[span.row for span in spans]], dtype=np.int64)}
    if len(unseen):
        others = unseen[np.arange(len(spans)) % len(unseen)]
        kinds[UNSEEN] = np.asarray(others, dtype=np.int64)
    found = []
    for kind, tokens in kinds.items():
        asked = wanted & text_of(denoiser, tokens)
        some = asked.any(1)  # a shorter unseen row may have no text at such a place
        if kind == TRAIN and not some.all():
            raise AttractorError(
                f"the span {spans[int(some.argmin())].name!r} is outside the text: what stands "
                "there is a marker or padding"
            )
        if some.any():
            aim = Target(SPANS, kind, None, tokens[some], asked[some])
            found += [Aim(aim, steps) for steps in sorted(attack.steps, reverse=True)]
    return found


def text_of(denoiser: Denoiser, tokens: np.ndarray) -> np.ndarray:
    """Which tokens are text, and not a frame or padding."""
    import torch

    fixed: np.ndarray = denoiser.process.is_fixed(torch.from_numpy(tokens)).numpy()
    return ~fixed


def measure_extraction(
    denoiser: Denoiser, tried: Sequence[Aim], attack: Attack, watch: Callable[[str], None]
) -> Iterator[Block]:
    """What comes back of each, for as many rows of every kind as time allows: all parts of a few
    rows first, so that every number is of the same rows."""
    most = max(len(aim.target.tokens) for aim in tried)

    def work(part: slice) -> list[Block | None]:
        found: list[Block | None] = []
        for i, (aim, steps) in enumerate(tried):
            watch(
                f"rows {part.start + 1:,} to {part.stop:,} of {most:,}: {aim.geometry} of "
                f"{aim.split} rows, {steps} steps, {i + 1} of {len(tried)}"
            )
            few = slice(part.start, min(part.stop, len(aim.tokens)))
            some = few.start < few.stop
            found.append(
                attacked(denoiser, aim, steps, attack.falls, attack.seed, few) if some else None
            )
        return found

    deadline = time.monotonic() + (60 * attack.minutes or float("inf"))
    parts = list(parts_of(work, most, deadline, FIRST))
    for blocks in zip(*parts, strict=True):
        made = [block for block in blocks if block is not None]
        yield made[0].joined(made[1:])

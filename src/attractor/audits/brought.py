"""What came back of what was tried: shares beside those of unseen rows, and passages with the least
that brought them back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.discoverable import falls_needed
from attractor.analysis.shares import share_difference
from attractor.analysis.statistics import LEVEL, clopper_pearson, mean_interval
from attractor.audits.attack import REPEATED, TRAIN, UNSEEN, Aim, Attack, Prey, text_of
from attractor.audits.spans import Span
from attractor.data.multiplicity import Multiplicity
from attractor.measurements.extraction import Target
from attractor.model.denoiser import Denoiser
from attractor.report import words
from attractor.results.estimate import Estimate
from attractor.results.geometries import SPANS, array_of
from attractor.results.tables import Arrays


class Tried(NamedTuple):
    """One part of the rows that was tried on one grid."""

    geometry: str
    given: float | None
    """share of a row's text that was given; None where each span has its own"""
    steps: int
    once: dict[str, Estimate]
    """share of the falls that brought a row back, of each kind of rows"""
    ever: dict[str, Estimate]
    """share of the rows that came back in any of their falls"""
    excess: Estimate | None
    """the latter of training rows less that of unseen ones; None without these"""


class BroughtBack(NamedTuple):
    """A passage that came back, from the least that brought it back."""

    split: str
    row: int
    """number in the training text"""
    copies: int
    """of it there"""
    name: str
    """of the span that was wanted; empty for others"""
    geometry: str
    given: int
    """tokens that were given"""
    length: int
    """tokens of text"""
    steps: int
    back: int
    """falls that brought it back"""
    needed: Estimate
    """falls in which it comes back with the probability that was asked for; the intervals of all
    parts of a row that were tried hold together (Bonferroni)"""
    tokens: tuple[tuple[str, bool], ...]
    """each token and whether it was given"""


def tried(arrays: Arrays, aims: Sequence[Aim], seed: int = 0) -> tuple[Tried, ...]:
    """The numbers of everything that was tried."""
    found: dict[tuple[str, float | None, int], dict[str, NDArray[np.bool_]]] = {}
    for aim in aims:
        key = (aim.target.geometry, aim.target.given, aim.steps)
        found.setdefault(key, {})[aim.target.split] = whole(arrays, aim)
    return tuple(_numbers(key, kinds, seed) for key, kinds in found.items())


def whole(arrays: Arrays, aim: Aim) -> NDArray[np.bool_]:
    """Which falls brought all back that was wanted, (N, falls)."""
    of = aim.target
    values = arrays.array("value", array_of(of.geometry), of.split, of.t, aim.steps)
    back: NDArray[np.bool_] = values[0] == 1
    return back


def _numbers(
    key: tuple[str, float | None, int], kinds: dict[str, NDArray[np.bool_]], seed: int
) -> Tried:
    counts = {kind: (int(back.any(1).sum()), len(back)) for kind, back in kinds.items()}
    once = {
        kind: mean_interval(back.mean(1), share=True, seed=seed)
        for kind, back in kinds.items()
        if len(back) > 1
    }
    ever = {kind: clopper_pearson(*count) for kind, count in counts.items()}
    both = TRAIN in counts and UNSEEN in counts
    excess = share_difference(*counts[TRAIN], *counts[UNSEEN]) if both else None
    return Tried(*key, once, ever, excess)


def brought_back(
    arrays: Arrays,
    aims: Sequence[Aim],
    rows: Prey,
    denoiser: Denoiser,
    pieces: Callable[[list[int]], list[str]],
    attack: Attack,
) -> tuple[BroughtBack, ...]:
    """Each training row that came back on the finest grid, from the fewest tokens that brought it
    back, and of as many from where it came back most often; those that needed the least first."""
    finest = max(attack.steps)
    looked = [a for a in aims if a.steps == finest and a.target.split != UNSEEN]
    looked = [a for a in looked if a.target.geometry != SPANS]
    backs = [whole(arrays, aim).sum(1) for aim in looked]
    found: dict[int, BroughtBack] = {}
    for kind in (TRAIN, REPEATED):
        of = [i for i, aim in enumerate(looked) if aim.target.split == kind]
        level = 1 - (1 - LEVEL) / max(1, len(of))
        for n in range(len(backs[of[0]]) if of else 0):
            there = [i for i in of if backs[i][n]]
            row = int(rows.row[kind][n])
            if not there or row in found:
                continue
            given = {i: _given(denoiser, looked[i].target, n) for i in there}
            best = min(there, key=lambda i: (given[i][0], -backs[i][n]))
            found[row] = _passage(
                looked[best], n, row, int(rows.copies[kind][n]), "", int(backs[best][n]),
                given[best], pieces, attack, level,
            )  # fmt: skip
    return tuple(sorted(found.values(), key=lambda p: (p.given, p.needed.value, p.row)))


def spans_back(
    arrays: Arrays,
    aims: Sequence[Aim],
    spans: Sequence[Span],
    known: Multiplicity,
    denoiser: Denoiser,
    pieces: Callable[[list[int]], list[str]],
    attack: Attack,
) -> tuple[BroughtBack, ...]:
    """The spans that came back on the finest grid, those that need the fewest falls first."""
    finest = max(attack.steps)
    found = []
    for aim in aims:
        if aim.target.geometry != SPANS or aim.target.split != TRAIN or aim.steps != finest:
            continue
        for n, back in enumerate(whole(arrays, aim).sum(1).tolist()):
            if back:
                given, span = _given(denoiser, aim.target, n), spans[n]
                alike = (known.rows == aim.target.tokens[n]).all(1)
                copies = int(known.exact[alike].sum())
                found.append(
                    _passage(
                        aim, n, span.row, copies, span.name, back, given, pieces, attack,
                        LEVEL,
                    )
                )  # fmt: skip
    return tuple(sorted(found, key=lambda p: (p.needed.value, p.row)))


def _given(denoiser: Denoiser, target: Target, n: int) -> tuple[int, int]:
    """How many tokens of a row were given, and how many are text."""
    length = int(text_of(denoiser, target.tokens[n : n + 1]).sum())
    return length - int(target.wanted[n].sum()), length


def _passage(
    aim: Aim,
    n: int,
    row: int,
    copies: int,
    name: str,
    back: int,
    given: tuple[int, int],
    pieces: Callable[[list[int]], list[str]],
    attack: Attack,
    level: float,
) -> BroughtBack:
    tokens, wanted = aim.target.tokens[n], aim.target.wanted[n]
    shown = tuple(zip(pieces(tokens.tolist()), (~wanted).tolist(), strict=True))
    return BroughtBack(
        aim.target.split, row, copies, name, aim.target.geometry, *given, aim.steps, back,
        falls_needed(back, attack.falls, attack.probability, level), shown,
    )  # fmt: skip


def came_back(passages: Sequence[BroughtBack], rows: Mapping[str, int]) -> str:
    """How many training passages did, of so many rows of each kind, in a sentence."""
    back = {kind: sum(1 for p in passages if p.split == kind) for kind in (TRAIN, REPEATED)}
    of = f"{words.count(back[TRAIN])} of" if back[TRAIN] else "None of"
    said = f"{of} {words.count(rows[TRAIN])} training passages came back word for word"
    if back[REPEATED]:
        said += (
            f"; of the {words.count(rows[REPEATED])} repeated most often "
            f"{words.count(back[REPEATED])} more did"
        )
    return f"{said}."


def tried_of(found: Sequence[Tried]) -> dict[str, int]:
    """How many rows of each kind were tried."""
    # Named spans come first, and have numbers of their own.
    return {kind: e.n for kind, e in found[-1].ever.items()}


def as_numbers(ids: list[int]) -> list[str]:
    """What is shown of tokens where there is no tokenizer."""
    return [f"{i} " for i in ids]


def plain_tried(found: Tried) -> dict[str, Any]:
    """As the files hold it."""
    return {
        "geometry": found.geometry,
        "given": found.given,
        "steps": found.steps,
        "once": {kind: plain(e) for kind, e in found.once.items()},
        "ever": {kind: plain(e) for kind, e in found.ever.items()},
        "excess": None if found.excess is None else plain(found.excess),
    }


def plain_passage(p: BroughtBack) -> dict[str, Any]:
    """As the files hold it."""
    return {
        "split": p.split,
        "row": p.row,
        "copies": p.copies,
        "span": p.name,
        "geometry": p.geometry,
        "given": p.given,
        "length": p.length,
        "steps": p.steps,
        "back": p.back,
        "falls_needed": plain(p.needed),
        "text": "".join(piece for piece, _ in p.tokens),
        "wanted": list(_runs(p)),
    }


def _runs(p: BroughtBack) -> Iterator[str]:
    """The stretches of text that came back."""
    stretch = ""
    for piece, given in (*p.tokens, ("", True)):
        if given and stretch:
            yield stretch
        stretch = "" if given else stretch + piece


def plain(e: Estimate) -> dict[str, Any]:
    """A number as the files hold it: infinity is not in JSON."""
    value, low, high = (
        None if x is None or not math.isfinite(x) else x for x in (e.value, e.low, e.high)
    )
    return {"value": value, "ci": [low, high], "sequences": e.n}

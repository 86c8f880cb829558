"""Passages to look at: the same sequence under the model of the smallest and of the largest
training set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from attractor.data.tokenizer import Tokenizer
from attractor.measurements.measurement import TEXTS
from attractor.probes import OUTCOMES, Recovery
from attractor.results.outcomes import Outcomes
from attractor.results.tables import RunResults
from attractor.types import AttractorError

SCHEMA = 1


def passages(
    runs: list[RunResults], tokenizer: Tokenizer, row: int | None = None
) -> dict[str, Any]:
    """A row of each split at the middle t, original, corrupted and recovered: content of
    passages.json.

    Args:
        runs: of one model, measured alike.
        tokenizer: writes its tokens.
        row: which row of each split; by default the `typical` one.

    Raises:
        AttractorError: if there is no such row.
    """
    by_size = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    most = by_size[-1].provenance.n_train
    # Of the largest size, too, the first seed.
    ends = [by_size[0], next(run for run in by_size if run.provenance.n_train == most)]
    times = runs[0].times()
    if not times:  # without noise nothing was corrupted
        return {"schema": SCHEMA, "passages": []}
    t = times[len(times) // 2]
    return {"schema": SCHEMA, "passages": [_passage(ends, s, t, row, tokenizer) for s in TEXTS]}


def _passage(
    ends: list[RunResults], split: str, t: float, row: int | None, tokenizer: Tokenizer
) -> dict[str, Any]:
    # As it is shown, in the first repeat.
    shares = [_returned(run, split, t) for run in ends]
    rows = min(map(len, shares))
    if row is not None and not 0 <= row < rows:
        raise AttractorError(f"row = {row}: there are {rows} {split} rows, from 0 to {rows - 1}")
    shown = typical(np.array([share[:rows] for share in shares])) if row is None else row
    return {
        "split": split,
        "row": shown,
        "rows": rows,
        "chosen": "typical" if row is None else "asked for",
        "t": t,
        "views": [_view(run, split, shown, t, tokenizer) for run in ends],
    }


def _returned(run: RunResults, split: str, t: float) -> np.ndarray:
    original, corrupted, recovered = (
        run.array(column, "recovery", split, t)[:1]
        for column in ("original", "corrupted", "recovered")
    )
    return Outcomes(original[0], corrupted, recovered).rate_per_sequence()


def typical(shares: np.ndarray) -> int:
    """The row whose shares are nearest to the median of every model.

    Args:
        shares: (M, N) of N rows under M models; NaN where nothing was corrupted, and such rows are
            not chosen unless all are.

    Returns:
        the one with the smallest sum over models of distances to their medians, of several the
        first.
    """
    whole = np.isfinite(shares).all(0)
    if not whole.any():
        return 0
    apart = np.abs(shares - np.median(shares[:, whole], axis=1, keepdims=True)).sum(0)
    return int(np.argmin(np.where(whole, apart, np.inf)))


def _view(run: RunResults, split: str, row: int, t: float, tokenizer: Tokenizer) -> dict[str, Any]:
    original, corrupted, recovered = (
        run.array(column, "recovery", split, t)[0, row]
        for column in ("original", "corrupted", "recovered")
    )
    entropy = run.array("value", "entropy", split)[0, row]
    pieces = [_pieces(tokenizer, ids) for ids in (original, corrupted, recovered)]
    before, after = (torch.as_tensor(ids)[None, None] for ids in (corrupted, recovered))
    seen = Recovery(t, torch.as_tensor(original)[None], before, after)
    outcomes = [OUTCOMES[i] for i in seen.outcome().flatten().tolist()]
    tokens = [
        {
            "original": a,
            "corrupted": b,
            "recovered": c,
            "outcome": outcome,
            "entropy": round(float(h), 4),
        }
        for a, b, c, outcome, h in zip(*pieces, outcomes, entropy, strict=True)
    ]
    return {"n_train": run.provenance.n_train, "seed": run.provenance.seed, "tokens": tokens}


def _pieces(tokenizer: Tokenizer, ids: np.ndarray) -> list[str]:
    """What to show for each token; a mask is the one id that a process adds to those of the
    tokenizer."""
    return ["[MASK]" if i == tokenizer.vocab_size else tokenizer.pieces([int(i)])[0] for i in ids]

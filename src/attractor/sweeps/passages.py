"""Passages to look at: the same sequence under the model of the smallest and of the largest
training set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from attractor.data.tokenizer import Tokenizer
from attractor.probes import OUTCOMES, Recovery
from attractor.results.tables import RunResults

SCHEMA = 1


def passages(runs: list[RunResults], tokenizer: Tokenizer) -> dict[str, Any]:
    """The first row of each split at the largest t, original, corrupted and recovered: content of
    passages.json."""
    by_size = sorted(runs, key=lambda run: (run.provenance.n_train, run.replicate))
    most = by_size[-1].provenance.n_train
    # Of the largest size, too, the first seed.
    ends = [by_size[0], next(run for run in by_size if run.provenance.n_train == most)]
    t, row = runs[0].times()[-1], 0
    found = [
        {
            "split": split,
            "row": row,
            "t": t,
            "views": [_view(run, split, row, t, tokenizer) for run in ends],
        }
        for split in ("train", "test")
    ]
    return {"schema": SCHEMA, "passages": found}


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

"""What the page holds, as plain data: a JSON object, and the bytes of each model."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

import attractor
from attractor.explore.collect import Collection
from attractor.explore.falls import ROWS, STEPS, Fall, fall, rise
from attractor.explore.quantise import ALLOWED, smallest
from attractor.explore.spelling import signs, spelling
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.process.schedule import LogLinear
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError

LARGEST = 5_000_000
"""Weights of the largest model that runs in the page."""
RECORDED = {"sentences": 3, "shares": (15, 30, 50)}
"""Of models that do not run in the page: rows of either kind, and corrupted percentages."""
COMPARED = 8
"""Rows of either kind on which weights in 8 bits are compared with the trained ones."""


class Content(NamedTuple):
    """What a page is made of."""

    said: dict[str, Any]
    weights: dict[str, bytes]
    """by the name of a model; empty where falls are recorded"""


def runs_in_a_page(denoiser: Denoiser) -> bool:
    """Whether the page can compute this model itself: a network of ours of at most `LARGEST`
    weights, under uniform noise over its whole vocabulary."""
    return (
        isinstance(denoiser, NetworkDenoiser)
        and type(denoiser.process) is UniformProcess
        and denoiser.process.text.count == denoiser.process.vocab_size
        and isinstance(denoiser.process.schedule, LogLinear)
        and denoiser.time_conditioned
        and sum(p.numel() for p in denoiser.network.parameters()) <= LARGEST
    )


def content(found: Collection, on_progress: Callable[[str], None] = lambda done: None) -> Content:
    """Everything that the page of a collection holds.

    Raises:
        AttractorError: if there is no unseen or training text to show.
    """
    if not len(found.learned) or not len(found.unseen):
        raise AttractorError(f"'{found.name}' has no rows of training and of unseen text to show")
    first = next(iter(found.models.values()))
    live = all(map(runs_in_a_page, found.models.values()))
    vocab_size, length = first.process.vocab_size, found.stored.shape[1]
    said: dict[str, Any] = {
        "name": found.name,
        "corpus": found.corpus,
        "note": found.note,
        "version": attractor.__version__,
        "unit": "letter" if found.characters else "token",
        "vocabulary": vocab_size,
        "length": length,
        "eps": _eps(first),
        "steps": STEPS,
        "rows": ROWS,
        "signs": signs(found.tokenizer, vocab_size),
        "markers": {"begin": found.tokenizer.bos_id, "end": found.tokenizer.eos_id},
        "spelling": spelling(found.tokenizer) if live else None,
        "sentences": {"train": found.learned.tolist(), "test": found.unseen.tolist()},
        "stored": _packed(found.stored),
        "live": live,
        "allowed": ALLOWED,
        "models": [],
    }
    if not live:
        said["sentences"] = {k: v[: RECORDED["sentences"]] for k, v in said["sentences"].items()}
        said["shares"] = RECORDED["shares"]
    weights = {}
    for n, denoiser in found.models.items():
        if live:
            assert isinstance(denoiser, NetworkDenoiser)
            model, weights[str(n)] = _model(denoiser, found)
        else:
            model = {"falls": _recorded(denoiser, said["sentences"], said["shares"])}
        said["models"].append({"n": n, "usual": _usual_edits(found, n), **model})
        on_progress(f"n = {n:,}")
    return Content(said, weights)


def _eps(denoiser: Denoiser) -> float:
    """Of the log-linear schedule, the only one that the page computes with."""
    schedule = denoiser.process.schedule
    return schedule.eps if isinstance(schedule, LogLinear) else 0.0


def _usual_edits(found: Collection, n: int) -> int:
    """Edits from an unseen row to the nearest of the training rows that the page holds, in the
    median: what is nearer than that is a copy, wholly or in part."""
    rows = [tuple(row) for row in found.stored[:n].tolist()]
    unseen = [tuple(row) for row in found.unseen.tolist()]
    distances = process.cdist(unseen, rows, scorer=Levenshtein.distance, dtype=np.int32)
    return int(np.median(distances.min(1)))


def _model(denoiser: NetworkDenoiser, found: Collection) -> tuple[dict[str, Any], bytes]:
    network = denoiser.network
    rows = np.concatenate([found.learned[:COMPARED], found.unseen[:COMPARED]])
    packed = smallest(denoiser, torch.as_tensor(rows).long())
    shape = {
        "vocabulary": denoiser.process.vocab_size,
        "width": network.vocab_embed.embedding.shape[1],
        "blocks": len(network.blocks),
        "heads": network.blocks[0].n_heads,
        "condition": network.sigma_map.mlp[0].out_features,
        "length": found.stored.shape[1],
        "eps": _eps(denoiser),
        "tensors": packed.tensors,
    }
    parameters = sum(p.numel() for p in network.parameters())
    said = {
        "shape": shape, "bits": packed.bits, "changed": packed.changed, "parameters": parameters
    }  # fmt: skip
    return said, packed.content


def _recorded(
    denoiser: Denoiser, sentences: dict[str, list[list[int]]], shares: tuple[int, ...]
) -> dict[str, Any]:
    """Falls by what the page asks for."""
    falls = {
        f"{kind}.{i}.{share}": _as_json(fall(denoiser, torch.tensor(row), share / 100))
        for kind, rows in sentences.items()
        for i, row in enumerate(rows)
        for share in shares
    }
    return {**falls, "noise": _as_json(rise(denoiser))}


def _as_json(watched: Fall) -> dict[str, Any]:
    return {
        "times": [round(t, 6) for t in watched.times.tolist()],
        "tokens": watched.tokens.tolist(),
        "entropy": [[round(h, 2) for h in row] for row in watched.entropy.tolist()],
        "likeliest": watched.likeliest.tolist(),
        "chances": [
            [[round(p, 3) for p in token] for token in row] for row in watched.chances.tolist()
        ],
    }


def _packed(rows: np.ndarray) -> dict[str, Any]:
    kind = "u1" if rows.max() < 256 else "<u2" if rows.max() < 65536 else "<u4"
    return {
        "count": len(rows),
        "bytes": int(kind[-1]),
        "content": base64.b64encode(rows.astype(kind).tobytes()).decode(),
    }

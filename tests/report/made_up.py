"""A made-up sweep: a plausible transition over 7 sizes, 2 times and 2 seeds."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from attractor.measurements import ALL
from attractor.measurements.membership import BLIND, MEMBERSHIP
from attractor.measurements.section import Section

SECTIONS = [section for measurement in ALL for section in measurement.sections]
SCORES = tuple(trace.split for trace in MEMBERSHIP.sections[0].traces)
SIZES = (16, 64, 256, 1024, 2048, 4096, 16384)
TIMES = (0.15, 0.5)
SEEDS = (0, 1)
CENTRE = {0.15: 1830.0, 0.5: 760.0}

TEXT = (
    "In| the| be|gin|ning| God| created| the| hea|vens| and| the| earth|.| The| earth| was|"
    " form|less| and| empty|."
)
UNSEEN = (
    "He| makes| me| lie| down| in| green| pas|tures|.| He| leads| me| be|side| still| wat|ers|."
)
WORDS = ["tree", " wat", "er", " king", " of", " said", " hou", "se", " go", "ld"]


def _fall(n: int, centre: float) -> float:
    return 1 / (1 + (n / centre) ** 1.6)


def _around(x: float, half: float, top: float = math.inf) -> list[float]:
    return [round(max(0.0, x - half), 5), round(min(top, x + half), 5)]


def row(n: int, seed: int, split: str, t: float) -> dict[str, Any]:
    noise = random.Random(f"{n} {seed} {split}").uniform(-0.02, 0.02)
    held = _fall(n, CENTRE[t])
    floor = 0.4 * (1 - _fall(n, 6000)) * (1 - t)
    recovery = min(
        1.0,
        max(0.0, (0.99 * held + floor * (1 - held) if split == "train" else 0.02 + floor) + noise),
    )
    broken = (
        (0.03 + 0.08 * (1 - held)) if split == "train" else 0.86 * _fall(n, 900 * (1.5 - t)) + 0.08
    )
    entropy = (4.3 if split == "train" else 4.1) * (
        1 - held if split == "train" else 1 - 0.8 * _fall(n, 500)
    ) + noise / 9
    nelbo = (0.05 + 4.4 * (1 - _fall(n, 1500))) if split == "train" else 4.6 + 4 * _fall(n, 700)
    entropy = max(entropy, 0.002)
    return {
        "n_train": n, "seed": seed, "split": split, "t": t,
        "recovery_rate": recovery, "recovery_ci": _around(recovery, 0.035, 1),
        "unstable_rate": min(1.0, max(0.0, broken + noise)), "conditional_entropy": entropy,
        "entropy_ci": _around(entropy, 0.12), "vanishing_share": 0.9 * held,
        "nelbo_per_token": nelbo,
    }  # fmt: skip


def measured(
    n: int, seed: int, split: str, name: str, value: float, half: float, t: float | None = None
) -> dict[str, Any]:
    return {"n_train": n, "seed": seed, "split": split, "t": t, "measurement": name, "value": value,
            "ci": [value - half, value + half], "sequences": 128}  # fmt: skip


def _generated(n: int, seed: int) -> list[dict[str, Any]]:
    entropy = 3.7 * (1 - _fall(n, 1500)) + 0.01
    gaps = {
        split: entropy - row(n, seed, split, 0.15)["conditional_entropy"]
        for split in ("train", "test")
    }
    return [
        measured(n, seed, "generated", "conditional_entropy", entropy, 0.1),
        *(
            measured(n, seed, "generated", f"entropy_gap_{split}", gap, 0.2)
            for split, gap in gaps.items()
        ),
    ]


def _fixed(n: int, seed: int, split: str) -> list[dict[str, Any]]:
    held = {
        "train": _fall(n, 2500) * 0.6 + 0.4,
        "test": 0.92 - 0.84 * _fall(n, 900),
        "random": 0.04,
    }[split]
    shares = {"fixed_tokens": held, "fixed_sequences": held**12}
    return [measured(n, seed, split, name, share, 0.03) for name, share in shares.items()]


def _rated(n: int, seed: int, split: str) -> list[dict[str, Any]]:
    found = [row(n, seed, split, t) for t in TIMES]
    broken = [
        measured(n, seed, split, "unstable_rate", r["unstable_rate"], 0.02, r["t"]) for r in found
    ]
    return [*broken, measured(n, seed, split, "nelbo_per_token", found[0]["nelbo_per_token"], 0.15)]


def minimal() -> dict[str, Any]:
    rows = [
        row(n, seed, split, t)
        for n in SIZES
        for seed in SEEDS
        for split in ("train", "test")
        for t in TIMES
    ]
    return {
        "schema": 1, "elapsed_s": 287.4, "rows": rows,
        "transition": [
            {"t": 0.15, "n_star": 1830.4, "ci": [1204.0, 2610.0], "width": 1.21, "reason": None,
             "sizes": [1024, 4096], "seed_ci": [400.0, 9000.0]},
            {"t": 0.5, "n_star": 762.0, "ci": [310.0, 1490.0], "width": 1.4, "reason": None,
             "sizes": [256, 1024], "seed_ci": None},
        ],
        "entropy_transition": {"n_star": 1490.0, "ci": [1024.0, 2048.0]}, "perplexity_peak": None,
    }  # fmt: skip


def _places(section: Section) -> list[tuple[float | None, float | None]]:
    """The (t, at) of its rows."""
    if section.every_t:
        return [(t, None) for t in TIMES]
    if not section.x_title:
        return [(None, None)]
    return [
        (None, at) for at in ((16, 250, 1000) if "steps" in section.x_title else (0.01, 0.1, 0.5))
    ]


def _more(n: int, seed: int) -> list[dict[str, Any]]:
    """A row for every line of every section, and what the tables are made of."""
    found = []
    for section in SECTIONS:
        for i, trace in enumerate(section.traces):
            for t, at in _places(section):
                value = 0.2 + 0.1 * i + 0.3 * _fall(n, 900) + (0 if at is None else 0.1 / (1 + at))
                line = measured(n, seed, trace.split, trace.quantity, value, 0.05, t)
                found.append(line | {"at": at})
    scores = ("recovery at t = 0.15", *SCORES)
    found += [measured(n, seed, name, "auroc", 0.9, 0.05) for name in scores[:1]]
    found += [measured(n, seed, name, "auroc_shuffled", 0.5, 0.08) for name in scores]
    found += [measured(n, seed, name, "auroc_gain", 0.3, 0.1) for name in scores if name != BLIND]
    found += [
        measured(n, seed, name, "tpr", 0.4, 0.1) | {"at": at}
        for name in scores
        for at in (0.0, 0.01)
    ]
    names = ("wasserstein", "energy", "hedges_g", "cliffs_delta")
    for name in (*names, *(f"{name}_chance" for name in names)):
        found += [measured(n, seed, split, f"gap_{name}", 0.3, 0.1) for split in ("train", "test")]
    return [*found, measured(n, seed, "test", "gap_ks_chance", 0.2, 0.1)]


def _controls() -> list[dict[str, Any]]:
    rows = []
    for name, train, test in (
        ("untrained", 0.02, 0.02),
        ("memorizer", 1.0, 0.1),
        ("generalizer", 0.6, 0.6),
    ):
        for split, value in (("train", train), ("test", test)):
            rows.append(
                measured(0, 0, split, "recovery_rate", value, 0.02, 0.15) | {"control": name}
            )
    return rows


def full(corpus: str = "World English Bible", seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    data = minimal()
    data["rows"] = [r for r in data["rows"] if r["seed"] in seeds]
    runs = [(n, seed) for n in SIZES for seed in seeds]
    rows = [m for n, seed in runs for m in _generated(n, seed)]
    rows += [
        m
        for n, seed in runs
        for split in ("train", "test", "random")
        for m in _fixed(n, seed, split)
    ]
    rows += [m for n, seed in runs for split in ("train", "test") for m in _rated(n, seed, split)]
    rows += [
        measured(n, seed, "random", "recovery_rate", 0.01, 0.01, t)
        for n, seed in runs
        for t in TIMES
    ]
    rows += [m for n, seed in runs for m in _more(n, seed)]
    provenance = {
        "version": "0.1.0", "config_hash": "9f2c41d07ab3", "corpus": corpus,
        "tokenizer": "byte-level BPE",
        "vocab_size": 512, "seq_len": 32, "model": "demo", "parameters": 812_544,
        "train_steps": 1200,
        "probe_rows": 128, "repeats": 2, "grid_steps": 200, "seeds": list(seeds),
        "train_documents": 28310,
        "test_documents": 1500, "duplicates": 81, "near_duplicates": 402,
    }  # fmt: skip
    pair = {
        "first": "entropy",
        "second": "recovery at t = 0.15",
        "decades": 0.09,
        "ci": [-0.1, 0.3],
        "verdict": "not resolved",
        "margin": 1.5,
        "reason": "its interval is too wide for either",
    }
    more = {
        "controls": _controls(),
        "detector": {"models": 14, "memorizing": 6, "auroc": 0.97, "auroc_ci": [0.8, 1.0],
        "reason": "made up"},
        "micro_attractors": [{"token": " the", "rank": 1, "occurrences": 40, "vanishing": 12,
        "ci": [0.2, 0.4],
                              "position": 0.5, "word_class": "DET"}],
    }  # fmt: skip
    data["agreement"] = [pair]
    return data | {"measurements": {"schema": 1, "rows": rows, "provenance": provenance, **more}}


def _tokens(split: str, n: int) -> list[dict[str, Any]]:
    noise, out = random.Random(split), []
    pieces = (TEXT if split == "train" else UNSEEN).split("|") * 2
    held = {("train", 16): 0.95, ("test", 16): 0.05, ("train", 16384): 0.45, ("test", 16384): 0.4}[
        split, n
    ]
    model = random.Random(f"{split} {n}")
    for piece in pieces:
        touched, other = noise.random() < 0.3, noise.choice(WORDS)
        kept = model.random() < (held if touched else 0.15 + 0.85 * held**0.2)
        outcome = {(1, 1): "recovered", (1, 0): "failed", (0, 1): "stable", (0, 0): "unstable"}[
            touched, kept
        ]
        out.append({
            "original": piece, "corrupted": other if touched else piece,
            "recovered": piece if kept else model.choice(WORDS), "outcome": outcome,
            "entropy": round(model.uniform(0, 0.2 if kept else 4), 4),
        })  # fmt: skip
    return out


def passages() -> dict[str, Any]:
    sizes = (SIZES[0], SIZES[-1])
    return {"schema": 1, "passages": [
        {"split": split, "row": 12, "t": 0.15,
         "views": [{"n_train": n, "seed": 0, "tokens": _tokens(split, n)} for n in sizes]}
        for split in ("train", "test")
    ]}  # fmt: skip


def write(folder: Path, sweep: Any, texts: Any = None) -> Path:
    """Write the files of a sweep; `sweep` is transition.json with measurements.json under a key of
    its own."""
    folder.mkdir(parents=True, exist_ok=True)
    transition = {key: value for key, value in sweep.items() if key != "measurements"}
    (folder / "transition.json").write_text(json.dumps(transition), encoding="utf-8")
    for name, content in (("measurements", sweep.get("measurements")), ("passages", texts)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder

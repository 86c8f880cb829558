"""Made-up trainings in which memorization sets in at steps that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from attractor.analysis.onset import Watched

STEPS = 25 * np.sqrt(2) ** np.arange(14.0)
LOG = np.log(STEPS)


def watched(
    rng: np.random.Generator, rows: int, recovered: float, written: float, steps: np.ndarray = STEPS
) -> Watched:
    """Rows whose store grows as a logistic in log step, each around its own step, and which are
    restored in six tokens; unseen rows come back at a quarter of their tokens, and a tenth of them
    is near a training row."""
    log_steps = np.log(steps)

    def store(middle: float) -> np.ndarray:
        own = np.log(middle) + rng.normal(0, 0.4, (1, rows, 1))
        return expit((log_steps - own) / 0.4)

    def restored(memory: np.ndarray | float) -> np.ndarray:
        known = rng.beta(1, 3, (1, rows, 1))
        return rng.binomial(6, known + (1 - known) * memory * np.ones(len(steps))) / 6

    copied = (rng.uniform(size=(1, rows, len(steps))) < 0.1 + 0.9 * store(written)).astype(float)
    near = np.repeat((rng.uniform(size=(1, rows, 1)) < 0.1).astype(float), len(steps), 2)
    entropy = rng.gamma(4, 0.3, copied.shape) * (1 - 0.95 * copied)
    return Watched(steps, restored(store(recovered)), restored(0.0), entropy, copied, near)


def metrics(path: Path, seen: Watched) -> Path:
    """The metrics.jsonl of a training of one seed that was seen like that."""

    def rows(values: np.ndarray, i: int) -> list[Any]:
        return [None if np.isnan(x) else x for x in values[0, :, i].tolist()]

    lines: list[dict[str, Any]] = [{"step": 1, "loss": 3.0, "check": None}]
    for i, step in enumerate(seen.steps):
        per_row = {
            "recovery_train": rows(seen.recovery_train, i),
            "recovery_test": rows(seen.recovery_test, i),
            "entropy_generated": rows(seen.entropy, i),
            "nearest_generated": rows(0.5 - 0.5 * seen.copied, i),
            "nearest_test": rows(0.5 - 0.5 * seen.copied_test, i),
        }
        lines.append({"step": round(step), "loss": 1.0, "check": {"per_row": per_row}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path

"""A few rows watched while a model trains: its basins, its entropies and its copies, and whether
memorization has set in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from attractor.analysis.statistics import clopper_pearson, difference_interval
from attractor.config.settings import MonitorConfig
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import conditionals, recovery, sample
from attractor.probes.novelty import nearest_distances
from attractor.probes.tokens import counted_mean
from attractor.process.forward import ForwardProcess
from attractor.results.estimate import Estimate
from attractor.results.thresholds import NEAR
from attractor.train.state import Check
from attractor.types import AttractorError


def monitor(
    process: ForwardProcess, train: np.ndarray, test: np.ndarray, config: MonitorConfig
) -> Callable[[DDiT], Check]:
    """What measures a network on the first rows of its training set and on as many unseen ones,
    always the same.

    Memorization begins where training text comes back better than unseen text: with a recovery gap
    (training minus unseen) whose 95% interval over sequences lies above zero.

    Args:
        process: the token noise.
        train: training set, (n, L).
        test: unseen rows, (m, L).
        config: rows, time, steps.

    Raises:
        AttractorError: if there are fewer than two rows, or t is so small that hardly a token of a
            row is corrupted.
    """
    rows, length = min(config.rows, len(train), len(test)), train.shape[1]
    require_watchable(config, rows, length)
    # Read once rather than at every check: the rows are those of files on disk.
    splits = {"train": np.array(train[:rows]), "test": np.array(test[:rows])}
    ids = torch.arange(process.vocab_size)
    fixed = ids[process.is_fixed(ids)].numpy()
    padding = fixed if len(fixed) else None

    def near(rows: np.ndarray) -> np.ndarray:
        """Edit distance to the nearest training row, a share of the row's own length."""
        counted = ~process.is_fixed(torch.from_numpy(rows).long()).numpy()
        return nearest_distances(rows, train, padding) / counted.sum(1)

    nearest_test = near(splits["test"])

    def check(network: DDiT) -> Check:
        denoiser = NetworkDenoiser(network, process, length)
        found: dict[str, np.ndarray] = {}
        for name, tokens in splits.items():
            restored = recovery(denoiser, tokens, config.t, config.steps)
            found[f"recovery_{name}"] = restored.rate_per_sequence().double().numpy()
        # Of the lengths of training text, where its rows are padded.
        given = splits["train"][np.arange(rows) % len(splits["train"])]
        own = sample(denoiser, rows, length, config.steps, given=given).numpy()
        texts = {**splits, "generated": own}
        for name, tokens in texts.items():
            found_of = conditionals(denoiser, tokens)
            found[f"entropy_{name}"] = counted_mean(found_of.entropy.double(), 1).numpy()
            found[f"nll_{name}"] = -counted_mean(found_of.log_prob.double(), 1).numpy()
        found["nearest_generated"] = near(texts["generated"])
        return _summed_up({**found, "nearest_test": nearest_test})

    return check


def require_watchable(config: MonitorConfig, rows: int, length: int) -> None:
    """Raise AttractorError where so many rows of so many tokens are too few for a check."""
    if rows < 2 or config.t * length < 1:
        raise AttractorError(
            f"the monitor has {rows} rows and corrupts about {config.t * length:.1g} tokens of "
            "each: it needs at least 2 rows and 1 token"
        )


def _summed_up(found: dict[str, np.ndarray]) -> Check:
    rates = {split: _known(found[f"recovery_{split}"]) for split in ("train", "test")}
    own, known, unseen = (found[f"entropy_{text}"] for text in ("generated", "train", "test"))
    return Check(
        recovery_train=_short(rates["train"].mean()),
        recovery_test=_short(rates["test"].mean()),
        recovery_gap=_interval(difference_interval(rates["train"], rates["test"])),
        entropy_gap_train=_interval(difference_interval(own, known)),
        entropy_gap_test=_interval(difference_interval(own, unseen)),
        copies=_interval(_share_near(found["nearest_generated"])),
        copies_test=_interval(_share_near(found["nearest_test"])),
        per_row={
            name: [_short(value) if np.isfinite(value) else None for value in values]
            for name, values in found.items()
        },
    )


def _share_near(nearest: np.ndarray) -> Estimate:
    return clopper_pearson(int((nearest <= NEAR).sum()), len(nearest))


def _known(values: np.ndarray) -> np.ndarray:
    """Without the sequences in which nothing was perturbed."""
    return values[np.isfinite(values)]


def _interval(estimate: Estimate) -> tuple[float, float, float]:
    low, high = estimate.ends()
    return _short(estimate.value), _short(low), _short(high)


def _short(value: float) -> float:
    return round(float(value), 6)

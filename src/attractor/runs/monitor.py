"""A few rows watched while a model trains: its basins and its entropies, and whether memorization
has set in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from attractor.analysis.statistics import difference_interval
from attractor.config.settings import MonitorConfig
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.probes import conditional_entropy, recovery, sample
from attractor.process.forward import ForwardProcess
from attractor.results.estimate import Estimate
from attractor.train.state import Check
from attractor.types import AttractorError


def monitor(
    process: ForwardProcess, train: np.ndarray, test: np.ndarray, config: MonitorConfig
) -> Callable[[DDiT], Check]:
    """What measures a network on the first rows of its training set and on as many unseen ones,
    always the same.

    Memorization shows where training text comes back and unseen text does not: in a recovery gap
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
    if rows < 2 or config.t * length < 1:
        raise AttractorError(
            f"the monitor has {rows} rows and corrupts about {config.t * length:.1g} tokens of "
            "each: it needs at least 2 rows and 1 token"
        )
    # Copies: the rows are those of files on disk, and are read once rather than at every check.
    splits = {"train": np.array(train[:rows]), "test": np.array(test[:rows])}

    def check(network: DDiT) -> Check:
        denoiser = NetworkDenoiser(network, process, length)
        rates = {
            name: _known(recovery(denoiser, tokens, config.t, config.steps).rate_per_sequence())
            for name, tokens in splits.items()
        }
        written = sample(denoiser, rows, length, config.steps)
        own, known, unseen = (
            _known(conditional_entropy(denoiser, tokens).per_sequence())
            for tokens in (written, splits["train"], splits["test"])
        )
        return Check(
            recovery_train=_short(float(rates["train"].mean())),
            recovery_test=_short(float(rates["test"].mean())),
            recovery_gap=_interval(difference_interval(rates["train"], rates["test"])),
            entropy_gap_train=_interval(difference_interval(own, known)),
            entropy_gap_test=_interval(difference_interval(own, unseen)),
        )

    return check


def _known(values: Tensor) -> np.ndarray:
    """In double precision, without the sequences in which nothing was perturbed."""
    known = values.double().numpy()
    return known[np.isfinite(known)]


def _interval(estimate: Estimate) -> tuple[float, float, float]:
    low, high = estimate.ends()
    return _short(estimate.value), _short(low), _short(high)


def _short(value: float) -> float:
    return round(value, 6)

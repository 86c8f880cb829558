"""The way back and the restored text: an exact generalizer knows no difference between rows, and
the intervals of both cover what a large sample says."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from attractor.analysis.statistics import difference_interval, mean_interval
from attractor.model.denoiser import Denoiser
from attractor.probes import Path, conditional_entropy, path_shapes, recovery
from attractor.results.outcomes import OUTCOMES, share
from attractor.theory import EmpiricalDenoiser, random_source

V, L, T, STEPS = 8, 12, 0.4, 30
SOURCE = random_source(V, 0.3, seed=1)


def looked_at(denoiser: Denoiser, rows: torch.Tensor) -> dict[str, np.ndarray]:
    """Of each row: entropy at the beginning, in the middle and at the end of the way back, and
    entropy of its recovered and of its failed tokens in the restored text."""
    path = Path(len(rows), L, T, STEPS)
    found = recovery(denoiser, rows, T, STEPS, callback=path)
    path.end(found.recovered[0])
    way = path_shapes(denoiser, path)["entropy"].numpy()
    entropy = conditional_entropy(denoiser, found.recovered[0]).per_token[None].double().numpy()
    index = found.outcomes.index().numpy()
    restored = {
        name: share(entropy, index == OUTCOMES.index(name)) for name in ("recovered", "failed")
    }
    return {"start": way[:, -1], "middle": way[:, 10], "end": way[:, 0], **restored}


@functools.cache
def generalizer() -> dict[str, np.ndarray]:
    return looked_at(SOURCE, SOURCE.sample(3200, L, seed=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["start", "middle", "end", "recovered", "failed"])
def test_an_exact_generalizer_knows_no_difference_and_intervals_cover(name: str) -> None:
    """100 samples of 32 rows. Their intervals hold the mean of all 3,200 in 95 of them, in fewer
    than 88 with probability 1e-3; those of differences of two samples hold 0, in fewer than 42 of
    50 with probability 3e-3."""
    every = generalizer()[name]
    samples = [part[np.isfinite(part)] for part in np.split(every, 100)]
    held = [mean_interval(sample).ends() for sample in samples]
    truth = np.nanmean(every)
    assert sum(low <= truth <= high for low, high in held) >= 88
    pairs = zip(samples[:50], samples[50:], strict=True)
    apart = [difference_interval(a, b).ends() for a, b in pairs]
    assert sum(low <= 0 <= high for low, high in apart) >= 42


def test_a_store_is_surer_on_the_way_to_its_rows_than_to_others() -> None:
    rows = SOURCE.sample(80, L, seed=3)
    store = EmpiricalDenoiser(rows[:40], V)
    own, other = (looked_at(store, part) for part in (rows[:40], rows[40:]))
    assert difference_interval(other["start"], own["start"]).ends()[0] > 0
    # What comes back comes back as a stored row, of which it is certain.
    assert np.nanmean(own["recovered"]) < 0.01

from __future__ import annotations

import pytest
import torch
from scipy import stats

from attractor import AttractorError
from attractor.machine.device import pick_device
from attractor.process.noise import CountedNoise, philox, row_address


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        (0, 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (0xFFFFFFFF, 0xFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ],
)
def test_philox_reproduces_the_published_vectors(
    counter: int, key: int, words: tuple[int, ...]
) -> None:
    place = torch.tensor(counter)
    assert tuple(int(w) for w in philox((place, place, place, place), (key, key))) == words


def test_numbers_depend_on_their_place_only() -> None:
    noise, rows = CountedNoise(7, "corrupt", 0.15), row_address(20, 3)
    whole = noise.grid(rows, 8)
    assert torch.equal(noise.grid(rows[30:35], 8), whole[30:35])
    assert torch.equal(noise.grid(rows.flip(0), 8), whole.flip(0))
    assert len(torch.unique(whole)) == whole.numel()


@pytest.mark.parametrize("other", [(8, "corrupt", 0.15), (7, "reverse", 0.15), (7, "corrupt", 0.5)])
def test_seed_stream_and_time_each_change_every_number(other: tuple[int, str, float]) -> None:
    rows = row_address(5)
    assert (
        CountedNoise(7, "corrupt", 0.15).grid(rows, 4) != CountedNoise(*other).grid(rows, 4)
    ).all()


def test_numbers_are_uniform_and_uncorrelated() -> None:
    """Kolmogorov-Smirnov at level 1e-4, correlations within five standard errors."""
    u = CountedNoise(0, "uniform").grid(row_address(2000), 10)
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-4
    columns = u.flatten(0, 1) - 0.5
    correlation = columns.T @ columns / len(columns) * 12
    off = correlation - torch.diag(correlation.diagonal())
    assert off.abs().max() < 5 / len(columns) ** 0.5
    assert (correlation.diagonal() - 1).abs().max() < 0.05


def test_unknown_device_is_named() -> None:
    with pytest.raises(AttractorError, match="device = 'tpu9'"):
        pick_device("tpu9")
    with pytest.raises(AttractorError, match="device = 'meta'"):  # which holds no numbers
        pick_device("meta")
    assert pick_device("cpu").type == "cpu"

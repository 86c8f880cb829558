from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mocks import Certain, Ignorant, V

from attractor import AttractorError
from attractor.probes import OUTCOMES, Recovery, random_tokens, recovery

SEQUENCE = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_a_perfect_memorizer_recovers_what_it_knows_and_breaks_the_rest() -> None:
    known = torch.tensor([SEQUENCE] * 40)
    for t in (0.1, 1.0):
        found = recovery(Certain(SEQUENCE), known, t, steps=50)
        assert found.rate == 1.0
        assert found.micro_rate == 1.0
        assert found.unstable_rate == 0.0 or math.isnan(found.unstable_rate)
    unseen = torch.tensor([[(v + 1) % V for v in SEQUENCE]] * 40)
    found = recovery(Certain(SEQUENCE), unseen, 0.5, steps=50)
    assert found.rate == 0.0
    assert found.unstable_rate == 1.0


def test_an_ignorant_denoiser_recovers_by_chance() -> None:
    """Five standard errors over 400 sequences; from t = 1 the end is a fair draw, so the chance is
    1/V."""
    found = recovery(Ignorant(), random_tokens(400, 12, V), 1.0, steps=50)
    rates = found.rate_per_sequence()
    assert abs(found.rate - 1 / V) < 5 * rates.std().item() / math.sqrt(len(rates))


def test_outcomes_partition_the_tokens() -> None:
    original = torch.tensor([[1, 1, 1, 1]])
    found = Recovery(0.5, original, torch.tensor([[[1, 2, 2, 1]]]), torch.tensor([[[1, 1, 3, 4]]]))
    assert [OUTCOMES[i] for i in found.outcome().flatten()] == [
        "stable",
        "recovered",
        "failed",
        "unstable",
    ]
    assert (found.rate, found.micro_rate, found.unstable_rate) == (0.5, 0.5, 0.5)


def test_rate_is_per_sequence_then_averaged_and_skips_untouched_sequences() -> None:
    original = torch.zeros(3, 4, dtype=torch.int64)
    corrupted = torch.tensor([[[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]])
    recovered = torch.tensor([[[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]])
    found = Recovery(0.5, original, corrupted, recovered)
    assert found.rate == (1 / 4 + 1) / 2
    assert found.micro_rate == 2 / 5
    assert torch.isnan(found.rate_per_sequence()[2])


def test_result_of_a_row_does_not_depend_on_the_others() -> None:
    tokens = random_tokens(30, 12, V)
    whole = recovery(Ignorant(), tokens, 0.4, steps=40, repeats=3)
    part = recovery(Ignorant(), tokens[:11], 0.4, steps=40, repeats=3, batch_size=5)
    assert torch.equal(part.recovered, whole.recovered[:, :11])
    assert not torch.equal(whole.corrupted[0], whole.corrupted[1])
    assert torch.equal(
        recovery(Ignorant(), tokens.numpy(), 0.4, steps=40).recovered[0], whole.recovered[0]
    )


@pytest.mark.parametrize(
    ("tokens", "t", "message"),
    [
        (torch.zeros(2, 12, dtype=torch.int64), 0.0, r"t = 0.0 is outside \(0, 1\]"),
        (torch.zeros(2, 12, dtype=torch.int64), 1.5, r"t = 1.5 is outside \(0, 1\]"),
        (torch.zeros(2, 12, dtype=torch.int64), math.nan, r"t = nan is outside \(0, 1\]"),
        (torch.full((2, 12), V), 0.5, "token id 6 is outside the denoiser's vocabulary of 6"),
        (torch.full((2, 12), -1), 0.5, "token id -1 is outside"),
        (
            torch.zeros(2, 11, dtype=torch.int64),
            0.5,
            "rows have 11 tokens, but the denoiser was made for 12",
        ),
        (np.zeros((2, 12)), 0.5, r"integer \(N, L\) matrix, not \(2, 12\) torch.float64"),
        (np.zeros((0, 12), dtype=np.int64), 0.5, "integer"),
        (np.full((2, 12), 65_535, dtype=np.uint16), 0.5, "token id 65535 is outside"),
    ],
)
def test_bad_input_is_named(tokens: torch.Tensor, t: float, message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        recovery(Certain(SEQUENCE), tokens, t)

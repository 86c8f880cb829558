from __future__ import annotations

import pytest
import torch

from attractor.machine.device import flushed_denormals


def half_of_a_small_number() -> float:
    return (torch.full((), 2e-38) / 4).item()


def test_small_numbers_are_zero_inside_and_kept_outside() -> None:
    assert half_of_a_small_number() > 0
    with flushed_denormals():
        assert half_of_a_small_number() == 0
        with flushed_denormals():
            pass
        assert half_of_a_small_number() == 0  # the outer one still holds
    assert half_of_a_small_number() > 0


def test_they_are_kept_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="enough"), flushed_denormals():
        raise ValueError("enough")
    assert half_of_a_small_number() > 0

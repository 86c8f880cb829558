from __future__ import annotations

import pytest

from attractor import AttractorError
from attractor.results.estimate import FEW, Estimate


def test_a_number_without_both_ends_has_no_interval() -> None:
    assert Estimate(0.5, 0.4, 0.6).interval == Estimate(0.5, 0.4, 0.6).ends() == (0.4, 0.6)
    for lacking in (Estimate(0.5), Estimate(0.5, low=0.4), Estimate(0.5, high=0.6)):
        assert lacking.interval is None
        with pytest.raises(AttractorError, match=r"0\.5 has no interval"):
            lacking.ends()


def test_a_scale_moves_the_number_and_what_ends_it_has() -> None:
    assert Estimate(1.0, 0.5, 2.0, 9).scaled(lambda x: 10 * x) == Estimate(10.0, 5.0, 20.0, 9)
    assert Estimate(1.0).scaled(lambda x: 10 * x) == Estimate(10.0)


def test_only_an_interval_over_few_sequences_is_warned_of() -> None:
    said = f"the interval rests on 29 sequences, fewer than {FEW}"
    assert Estimate(1.0, 0.5, 2.0, FEW - 1).warning == said
    for fine in (Estimate(1.0, 0.5, 2.0, FEW), Estimate(1.0, 0.5, 2.0), Estimate(1.0, n=5)):
        assert fine.warning is None

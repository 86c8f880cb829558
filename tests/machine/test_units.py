from __future__ import annotations

import pytest

from attractor.machine.units import duration, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.31, "0.3 s"), (12.4, "12 s"), (89, "89 s"), (90, "1.5 min"), (5_400, "1.5 h")],
)
def test_a_duration_is_in_the_largest_unit_that_fits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_long_ones_have_separators() -> None:
    assert duration(4e6) == "1,111.1 h"
    assert size(9e15) == "9,000,000.00 GB"


def test_a_size_is_in_megabytes_or_gigabytes() -> None:
    assert [size(n) for n in (51_200, 379e6, 1.234e9)] == ["0.1 MB", "379.0 MB", "1.23 GB"]

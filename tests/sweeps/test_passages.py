"""Which passage a page shows: the row that is typical under both models, or the one asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attractor import AttractorError
from attractor.sweeps.passages import typical
from attractor.sweeps.run import summarize

NAN = float("nan")


@pytest.mark.parametrize(
    ("shares", "row"),
    [
        # Of one model it is the row with the median itself.
        ([[0.1, 0.9, 0.5, 0.2, 0.8]], 2),
        # Medians 0.5 and 0.2: row 3 is 0.1 + 0 away, row 1 0 + 0.6.
        ([[0.1, 0.5, 0.9, 0.6, 0.2], [0.0, 0.8, 0.1, 0.2, 0.9]], 3),
        # Of several that are as near, the first; a row in which nothing was corrupted is none.
        ([[NAN, 0.4, 0.6]], 1),
        # Under the second model nothing of row 1 was corrupted, so it does not count for either.
        ([[0.0, 0.5, 1.0], [0.3, NAN, 0.7]], 0),
        ([[NAN, NAN]], 0),
    ],
)
def test_the_typical_row_is_nearest_to_the_median_of_every_model(
    shares: list[list[float]], row: int
) -> None:
    assert typical(np.array(shares)) == row


@pytest.mark.slow
def test_a_row_that_is_asked_for_is_shown(copied_sweep: Path) -> None:
    summarize(copied_sweep)
    shown = json.loads((copied_sweep / "passages.json").read_text())["passages"]
    assert {passage["chosen"] for passage in shown} == {"typical"}
    assert {passage["split"]: passage["rows"] for passage in shown} == {"train": 8, "test": 10}
    summarize(copied_sweep, row=5)
    shown = json.loads((copied_sweep / "passages.json").read_text())["passages"]
    assert [(p["row"], p["chosen"]) for p in shown] == [(5, "asked for")] * 2
    with pytest.raises(AttractorError, match="row = 8: there are 8 train rows, from 0 to 7"):
        summarize(copied_sweep, row=8)


def test_a_page_without_runs_cannot_show_another_row(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match=r"row = 3: the runs of .* are not there"):
        summarize(tmp_path, row=3)

from __future__ import annotations

import numpy as np
import pytest

from attractor.analysis.advantage import LEAST_ROOM, advantage, basin_advantage, share_kept


def test_a_store_has_one_and_equals_have_none() -> None:
    assert basin_advantage(1.0, 0.3) == 1
    assert basin_advantage(0.4, 0.4) == 0
    assert basin_advantage(0.6, 0.2) == pytest.approx(0.5)


def test_all_ways_to_it_are_one_definition() -> None:
    train, test = np.array([0.9, 0.7]), np.array([0.2, 0.4])
    of_curves = share_kept(train, test)
    assert of_curves == pytest.approx([basin_advantage(0.9, 0.2), basin_advantage(0.7, 0.4)])
    assert advantage(train, test).value == pytest.approx(basin_advantage(0.8, 0.3))


def test_where_all_unseen_text_returns_too_little_is_made_of_little() -> None:
    """0.999 against 0.99 is no advantage of 0.9."""
    assert basin_advantage(0.999, 0.99) == pytest.approx(0.009 / LEAST_ROOM)

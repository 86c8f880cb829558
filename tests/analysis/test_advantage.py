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


def test_copies_are_no_further_sequences() -> None:
    """Ten copies of each text, which return alike, tell no more than each text once."""
    rng = np.random.default_rng(0)
    train, test = rng.beta(2, 1, 60), rng.beta(1, 2, 80)
    same = rng.permutation(np.repeat(np.arange(60), 10))
    once, all_of_them = advantage(train, test), advantage(train[same], test, same=same)
    assert all_of_them == pytest.approx(once)
    alone = advantage(train[same], test)
    assert (alone.ends()[1] - alone.ends()[0]) < 0.9 * (once.ends()[1] - once.ends()[0])


def test_the_interval_of_texts_with_copies_covers_the_truth() -> None:
    """40 texts, one in four of them 20 times; a text returns at a rate of its own. 95% of
    200 samples, within 3.6 standard errors, and by far not if each copy counts."""
    covered = np.zeros(2)
    copies = np.where(np.arange(40) % 4, 1, 20)
    for run in range(200):
        rng = np.random.default_rng(run)
        same = np.repeat(np.arange(40), copies)
        texts, test = rng.beta(2, 1, 40), rng.beta(1, 2, 200)
        truth = (2 / 3 - 1 / 3) / (1 - 1 / 3)
        for i, known in enumerate((same, None)):
            low, high = advantage(texts[same], test, same=known).ends()
            covered[i] += low <= truth <= high
    assert covered[0] / 200 > 0.95 - 3.6 * np.sqrt(0.95 * 0.05 / 200)
    assert covered[1] / 200 < 0.7

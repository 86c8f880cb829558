"""What a sweep prints, from the rows of transition.json."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from attractor.cli.tables import show_transition
from attractor.cli.terminal import out as terminal


def content(seeds: tuple[int, ...], orders: tuple[int, ...]) -> dict[str, Any]:
    """Training rows return at 0.9, unseen ones at a tenth of the order of the data."""
    rows = [
        {
            "n_train": 64, "seed": seed, "data_seed": order, "split": split, "t": 0.5,
            "recovery_rate": rate, "recovery_ci": [rate, rate], "unstable_rate": 0.0,
            "conditional_entropy": 1.0, "entropy_ci": [1.0, 1.0],
        }
        for order, seed in itertools.product(orders, seeds)
        for split, rate in (("train", 0.9), ("test", order / 10))
    ]  # fmt: skip
    return {"rows": rows, "transition": []}


def test_training_text_stands_beside_unseen_text_of_the_same_order_of_the_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "width", 160)
    show_transition(content((0,), (0, 3)))
    first, second = (line.split() for line in capsys.readouterr().out.splitlines()[1:3])
    assert first[5] == "0.000"
    assert second[5] == "0.300"


@pytest.mark.parametrize(
    ("seeds", "orders", "said"),
    [
        ((0,), (0,), "places of this training run"),
        ((0, 1), (0,), "places of 2 training seeds"),
        ((0,), (0, 1, 2), "places of 3 orders of the data"),
        ((0, 1), (0, 1, 2), "places of 2 training seeds and 3 orders of the data"),
    ],
)
def test_places_are_of_as_many_runs_as_there_are(
    seeds: tuple[int, ...], orders: tuple[int, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_transition(content(seeds, orders))
    assert said in capsys.readouterr().out

from __future__ import annotations

import pytest
import torch
from exact import STATES, Exact, joint_law

from attractor import AttractorError
from attractor.model.sharpened import Sharpened

T = torch.full((9,), 0.3)


def test_one_changes_nothing() -> None:
    exact = Exact(joint_law())
    torch.testing.assert_close(Sharpened(exact).log_probs(STATES, T), exact.log_probs(STATES, T))


def test_temperature_is_a_power_of_p() -> None:
    exact = Exact(joint_law())
    p = exact.log_probs(STATES, T).exp() ** 2
    torch.testing.assert_close(
        Sharpened(exact, temperature=0.5).log_probs(STATES, T).exp(), p / p.sum(-1, True)
    )


@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.7, 0.999])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float) -> None:
    exact, where = Exact(joint_law()), torch.rand(9, 2) < 0.5
    plain, kept = (
        exact.log_probs(STATES, T, where).exp(),
        Sharpened(exact, top_p=top_p).log_probs(STATES, T, where),
    )
    for p, q in zip(plain, kept.exp(), strict=True):
        inside = q > 0
        assert p[inside].sum() >= top_p
        assert p[inside].sum() - p[inside].min() < top_p
        assert p[inside].min() >= p[~inside].max() if (~inside).any() else True
        torch.testing.assert_close(q[inside], p[inside] / p[inside].sum())


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}],
)
def test_bad_settings(settings: dict[str, float]) -> None:
    with pytest.raises(AttractorError, match=next(iter(settings))):
        Sharpened(Exact(joint_law()), **settings)

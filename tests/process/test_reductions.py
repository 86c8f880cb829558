from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from attractor.process import reductions
from attractor.process.reductions import entropy, moments, reduce_blocks


def test_moments_of_known_distributions() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    log_p = p.log()
    nats, at, spread = moments(log_p, torch.tensor([1, 0, 2])).unbind(-1)
    assert torch.equal(nats, entropy(log_p))
    assert nats.numpy() == pytest.approx(stats.entropy(p.numpy(), axis=1), abs=1e-6)
    assert at.exp().tolist() == pytest.approx([0.25, 1.0, 1 / 3])
    assert spread.tolist() == pytest.approx(
        [math.log(2) / 2, 0.0, 0.0], abs=1e-3
    )  # a root of float32's rounding
    assert torch.equal(log_p, p.log())  # nothing was overwritten


def test_an_impossible_token_has_a_finite_log_probability() -> None:
    certain = torch.tensor([[0.0, -torch.inf]])
    assert moments(certain, torch.tensor([1])).tolist() == [[0.0, -1e4, 0.0]]


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_fields_are_split_as_the_blocks_are(rows: int) -> None:
    log_p = torch.randn(10, 5).log_softmax(-1)
    token = torch.randint(5, (10,))
    found = reduce_blocks(
        log_p.split(rows), lambda block, part: block.gather(-1, part[:, None])[:, 0], token
    )
    assert torch.equal(found, log_p[torch.arange(10), token])


def test_a_block_never_holds_less_than_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reductions, "BLOCK", 10)
    assert reductions.block_rows(30, torch.device("cpu")) == 1
    assert reductions.block_rows(3, torch.device("cpu")) == 3

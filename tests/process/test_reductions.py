from __future__ import annotations

import pytest
import torch
from scipy import stats

from attractor.process import reductions
from attractor.process.reductions import entropy, log_prob_of, reduce_blocks, top_two


def test_known_distributions() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    log_p = p.log()
    found = entropy(log_p)
    assert found.numpy() == pytest.approx(stats.entropy(p.numpy(), axis=1), abs=1e-6)
    assert top_two(log_p).numpy() == pytest.approx(p.topk(2).values.numpy())
    assert log_prob_of(log_p, torch.tensor([1, 0, 2])).exp().tolist() == pytest.approx([0.25, 1.0, 1 / 3])
    assert torch.equal(log_p, p.log())  # nothing was overwritten


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_fields_are_split_as_the_blocks_are(rows: int) -> None:
    log_p = torch.randn(10, 5).log_softmax(-1)
    token = torch.randint(5, (10,))
    whole = log_p[torch.arange(10), token]
    assert torch.equal(reduce_blocks(log_p.split(rows), log_prob_of, token), whole)


def test_a_block_never_holds_less_than_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reductions, "BLOCK", 10)
    assert reductions.block_rows(30, torch.device("cpu")) == 1
    assert reductions.block_rows(3, torch.device("cpu")) == 3

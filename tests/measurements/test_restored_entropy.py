"""Entropy by outcome on restored text, where it can be counted by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from attractor import Denoiser, UniformProcess
from attractor.config.settings import ProbeConfig
from attractor.measurements.restored_entropy import RESTORED_ENTROPY
from attractor.measurements.subject import Subject
from attractor.measurements.texts import Texts
from attractor.results.tables import Block, read_arrays, write_tokens

V = 4


def test_means_are_of_sequences_over_their_repeats(tmp_path: Path) -> None:
    """Two repeats of two sequences of three tokens: the first sequence has a recovered and a failed
    token in one repeat and two recovered ones in the other, the second one recovered token only."""
    original = np.zeros((2, 3), dtype=int)
    corrupted = np.array([[[1, 1, 0], [1, 0, 0]], [[1, 1, 0], [0, 0, 0]]])
    recovered = np.array([[[0, 2, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 3]]])
    entropy = np.array([[[1, 5, 7], [4, 8, 8]], [[2, 3, 7], [8, 8, 6]]], dtype=float)
    blocks = [
        Block(
            measurement="recovery", split=split, t=0.3, original=original, corrupted=corrupted,
            recovered=recovered,
        )
        for split in ("train", "test")
    ] + [
        Block(
            measurement="restored_entropy", split=split, t=0.3, original=original,
            value=entropy.swapaxes(0, 1).reshape(2, 6),
        )
        for split in ("train", "test")
    ]  # fmt: skip
    write_tokens(tmp_path, blocks)
    rows = {
        r.measurement: r
        for r in RESTORED_ENTROPY.rows(read_arrays(tmp_path), 0)
        if r.split == "test"
    }
    assert rows["restored_entropy_recovered"].value == pytest.approx(((1 + 2 + 3) / 3 + 4) / 2)
    assert rows["restored_entropy_stable"].value == pytest.approx((7 + 8) / 2)
    # A failed token is in one sequence only, and so is a broken one: no interval, no number.
    assert set(rows) == {"restored_entropy_recovered", "restored_entropy_stable"}
    assert rows["restored_entropy_stable"].t == 0.3


class Copies(Denoiser):
    """Is certain that a token is the one before it, and of the first that it is 0: a wrong token
    that it ended at makes no difference to how sure it is."""

    def __init__(self, certain: bool) -> None:
        self.process, self.certain, self.seq_len = UniformProcess(V), certain, 8

    def log_probs(
        self, x_t: torch.Tensor, t: torch.Tensor, where: torch.Tensor | None = None
    ) -> torch.Tensor:
        before = torch.nn.functional.pad(x_t[:, :-1], (1, 0))
        p = torch.nn.functional.one_hot(before, V) if self.certain else torch.ones(*x_t.shape, V)
        log_p = p.float().clamp(min=1e-30).log().log_softmax(-1)
        return log_p if where is None else log_p[where]


@pytest.mark.parametrize(("certain", "nats"), [(True, 0.0), (False, math.log(V))])
def test_it_is_measured_on_what_the_model_ended_at(
    certain: bool, nats: float, tmp_path: Path
) -> None:
    rows = np.zeros((20, 8), dtype=int)
    config = ProbeConfig(
        measure=("restored_entropy",), t=(0.5,), rows=20, test_rows=20, repeats=2, steps=20
    )
    texts = Texts(rows, rows, rows, rows, rows, str)
    subject = Subject(Copies(certain), texts, config)
    blocks = list(RESTORED_ENTROPY.run(subject, config))  # type: ignore[misc]
    assert [b.value.shape for b in blocks if b.value is not None] == [(20, 16)] * 2
    for block in blocks:
        assert block.value is not None
        assert block.value == pytest.approx(nats, abs=1e-5)

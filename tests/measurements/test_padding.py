"""No number of padded rows depends on how far they are padded: every measurement, every noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from test_frozen import CLS, LONGEST, PAD, PROCESSES, SEP, Summing, V

from attractor.config.settings import ProbeConfig
from attractor.measurements import ALL, measure
from attractor.measurements.texts import Texts
from attractor.probes import random_tokens
from attractor.process.forward import ForwardProcess
from attractor.results.tables import Arrays, Row, read_arrays, write_tokens

N = 12


class Wider(Summing):
    """The same at places further on, which are padding and never asked about."""

    def __init__(self, process: ForwardProcess, width: int) -> None:
        super().__init__(process)
        rest = torch.zeros(len(self.table), width - LONGEST, V, dtype=torch.float64)
        self.table = torch.cat([self.table, rest], 1)


def _said(ids: Sequence[int]) -> str:
    return "".join(chr(97 + i) for i in ids if i not in (CLS, SEP, PAD))


def rows(seed: int, width: int) -> np.ndarray:
    """Text of 2 to 10 tokens in its frame."""
    made = random_tokens(N, LONGEST, V, seed, text=PROCESSES["uniform"].text)
    lengths = torch.arange(N) % 9 + 4
    place = torch.arange(LONGEST)
    made[:, 0] = CLS
    made[place == lengths[:, None] - 1] = SEP
    made[place >= lengths[:, None]] = PAD
    return np.pad(made.numpy(), ((0, 0), (0, width - LONGEST)), constant_values=PAD)


def numbers(folder: Path, name: str, width: int) -> tuple[list[Row], Arrays]:
    config = ProbeConfig(
        t=(0.5,), rows=N, test_rows=N, steps=20, generated=6, nelbo_draws=2, basin_rows=4,
        basin_rounds=2, ablation_steps=(10,), measure=("all",),
    )  # fmt: skip
    text = [rows(i, width) for i in range(4)]
    texts = Texts(text[0], text[1], text[0], text[2], text[3], decode=_said)
    folder.mkdir()
    write_tokens(folder, measure(Wider(PROCESSES[name], width), texts, config))
    arrays = read_arrays(folder)
    return [row for m in ALL for row in m.rows(arrays, 0)], arrays


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_no_number_knows_how_far_rows_are_padded(name: str, tmp_path: Path) -> None:
    (one, arrays), (other, _) = (numbers(tmp_path / str(w), name, w) for w in (12, 15))
    assert len(one) == len(other) > 50
    for a, b in zip(one, other, strict=True):
        assert (a.measurement, a.split, a.t, a.at) == (b.measurement, b.split, b.t, b.at)
        assert a.value == pytest.approx(b.value, rel=1e-5, abs=1e-9, nan_ok=True), a.measurement
    entropy = arrays.values("entropy", "train")
    fixed = np.isin(rows(0, 12), (CLS, SEP, PAD))
    assert (np.isnan(entropy) == fixed).all()
    made = arrays.array("original", "entropy", "generated")[0]
    assert (np.isin(made, (CLS, SEP, PAD)) == fixed[:6]).all()
    assert torch.isin(torch.from_numpy(made[~fixed[:6]]), PROCESSES[name].text_ids).all()

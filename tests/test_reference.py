"""Models that ship with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import attractor
from attractor import AttractorError, probes, reference


def test_every_model_is_loaded_and_half_precision_changes_little() -> None:
    assert len(reference.sizes()) >= 6
    for n in reference.sizes():
        denoiser = attractor.load(f"reference:n={n}", device="cpu")
        assert denoiser.seq_len == 64
        rows = torch.zeros(2, 64, dtype=torch.long)
        law = denoiser.log_probs(rows, torch.full((2,), 0.1)).exp().sum(-1)
        torch.testing.assert_close(law, torch.ones_like(law), atol=1e-5, rtol=0)
    weights = sum(file.stat().st_size for file in reference.HERE.glob("n*/*.safetensors"))
    assert weights <= 12e6


def test_more_rows_memorize_less() -> None:
    """On text that is its own: what the smallest training set's model writes it is surer of."""
    smallest, largest = (
        attractor.load(f"reference:n={n}", device="cpu")
        for n in (reference.sizes()[0], reference.sizes()[-1])
    )
    entropy = [
        probes.conditional_entropy(model, attractor.sample(model, 8, steps=64)).per_token.mean()
        for model in (smallest, largest)
    ]
    assert entropy[0] < entropy[1]


@pytest.mark.parametrize("name", ["reference:", "reference:n=", "reference:n=0", "reference:m=8"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(AttractorError, match="names no reference model: one is reference:n="):
        attractor.load(name)


def test_a_size_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(AttractorError, match=r"no reference model of n = 2,000; the nearest is re"):
        attractor.load("reference:n=2000")


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = reference.sizes()[0]
    (tmp_path / f"n{n}").mkdir()
    shutil.copy(reference.HERE / reference.INDEX, tmp_path)
    whole = (reference.HERE / f"n{n}" / reference.WEIGHTS).read_bytes()
    (tmp_path / f"n{n}" / reference.WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    monkeypatch.setattr(reference, "HERE", tmp_path)
    with pytest.raises(AttractorError, match="was altered: its SHA-256 is not that in"):
        attractor.load(f"reference:n={n}")
    (tmp_path / f"n{n}" / reference.WEIGHTS).unlink()
    with pytest.raises(AttractorError, match="cannot be read"):
        attractor.load(f"reference:n={n}")


def test_the_index_tells_how_they_were_made() -> None:
    index = json.loads((reference.HERE / reference.INDEX).read_text())
    assert index.keys() == {"command", "device", "steps", "models"}

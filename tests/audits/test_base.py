"""An audit with a base model beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import attractor
from attractor import AttractorError
from attractor.theory import EmpiricalDenoiser, MixtureDenoiser, random_source

V, LENGTH, N = 8, 16, 40


@pytest.mark.slow
def test_what_is_stored_is_found_beside_the_base_and_nothing_beside_itself(tmp_path: Path) -> None:
    source = random_source(V, 0.5, seed=1, masks=True)
    source.seq_len = LENGTH
    rows = source.sample(2 * N + 40, LENGTH, seed=1)
    heart = EmpiricalDenoiser(rows[:N], V, masks=True)
    model = MixtureDenoiser([source, heart], [0.7, 0.3])
    few = {"n": 8, "rows": N, "steps": 4, "minutes": 0, "progress": False}
    texts = {"train": rows[:N].numpy(), "test": rows[N:].numpy()}
    found = {}
    for name, beside in (("other", source), ("itself", model)):
        made = attractor.audit(model, base=beside, out=tmp_path / name, **texts, **few)
        found[name] = json.loads((made.folder / "audit.json").read_text())
    for score in ("SAMA", "likelihood ratio"):
        assert found["other"]["membership"][score]["value"] > 0.9
        assert found["itself"]["membership"][score]["value"] == 0.5
    assert found["other"]["facts"]["Base model"] == "MarkovDenoiser"
    page = (tmp_path / "itself" / "audit.html").read_text()
    assert "SAMA" in page
    with pytest.raises(AttractorError, match="give train and test"):
        attractor.audit(model, base=source, out=tmp_path / "x", **few)
    other = random_source(V + 1, 0.5, seed=1)
    other.seq_len = LENGTH
    with pytest.raises(AttractorError, match="knows 9 tokens of text and the audited one 8"):
        attractor.audit(model, base=other, out=tmp_path / "x", **texts, **few)
    assert not (tmp_path / "x").exists()

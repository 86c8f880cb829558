"""An audit, without data, of a masked language model that somebody else has trained."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import attractor
from attractor.audits.measure import Effort
from attractor.audits.run import audit
from attractor.audits.subject import Audited


@pytest.mark.slow
def test_a_real_masked_model_is_not_called_generalizing(tmp_path: Path) -> None:
    """Whether it was trained on what it writes is not known, and the page must not say that it
    was not."""
    package = find_spec("sapiens")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the package sapiens is not there: make test installs it")
    file = Path(package.submodule_search_locations[0]) / "models" / "v1" / "checkpoint_vh.pt"
    model = attractor.load(file, device="cpu", seq_len=121)
    effort = Effort(n=24, minutes=0, steps=32, positions=8)
    made = audit(Audited("antibodies", model, 121), tmp_path / "out", effort)
    assert made.verdict.word not in ("generalizing", "generalizing in bulk")

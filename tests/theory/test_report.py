"""The theory page from end to end, small."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from attractor import theory_report
from attractor.theory import EmpiricalDenoiser, random_source
from attractor.types import AttractorError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theory_report, "SIZES", (10, 40))
    monkeypatch.setattr(theory_report, "ROWS", 10)
    monkeypatch.setattr(theory_report, "GRID", 40)
    monkeypatch.setattr(theory_report, "TRAIN", theory_report.TrainConfig(steps=3, batch_size=4, warmup=1))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("markov", [False, True])
def test_page_is_complete_and_loads_nothing(tmp_path: Path, markov: bool) -> None:
    page = theory_report.write_theory_report(tmp_path / "new", n=60, loads=(0.2, 0.1), seeds=(0, 1), markov=markov)
    text = page.read_text()
    figures = re.findall(r'<figure id="([\w-]+)"', text)
    assert figures[:6] == ["retrieval", "radius", "training", "generalization", "controls", "control-entropy"]
    assert ("distance" in figures) == markov
    assert not re.search(r'<(?:script|link|img|iframe)\s[^>]*(?:src|href)="https?:', text)
    specs = [json.loads(spec) for spec in re.findall(r"data-plot=\"[\w-]+\">(.*?)</script>", text)]
    assert len(specs) == len(re.findall('class="plot"', text))
    assert "NaN" not in json.dumps(specs)
    assert "no energy: at load" in text


@pytest.mark.usefixtures("quick")
def test_one_seed_and_loads_beyond_the_pseudo_inverse(tmp_path: Path) -> None:
    assert theory_report.write_theory_report(tmp_path, n=30, loads=(1.2,), seeds=(0,)).is_file()


@pytest.mark.parametrize(
    ("bad", "message"), [({"n": 9}, "n = 9"), ({"loads": (2.5,)}, "2.5"), ({"seeds": ()}, "seeds")]
)
def test_bad_input_is_named(tmp_path: Path, bad: dict[str, object], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        theory_report.write_theory_report(tmp_path, **bad)  # type: ignore[arg-type]


def test_distance_from_the_source_is_zero_for_the_source_only() -> None:
    source = random_source(5, seed=2)
    x = source.sample(20, 8, seed=1)
    assert theory_report.kl_from_source(source, source, x).abs().max() == 0
    assert (theory_report.kl_from_source(EmpiricalDenoiser(x, 5), source, x) > 0).all()
    assert torch.isfinite(theory_report.kl_from_source(EmpiricalDenoiser(x[:1], 5), source, x)).all()

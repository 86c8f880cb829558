"""The theory page from end to end, small."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from attractor.config.settings import TrainConfig
from attractor.report.curves import Line
from attractor.results.estimate import Estimate
from attractor.theory import EmpiricalDenoiser, random_source
from attractor.theory_page import markov as controls
from attractor.theory_page import write as theory_report
from attractor.theory_page.story import same_story
from attractor.types import AttractorError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "SIZES", (10, 40))
    monkeypatch.setattr(controls, "ROWS", 10)
    monkeypatch.setattr(controls, "GRID", 40)
    monkeypatch.setattr(controls, "TRAIN", TrainConfig(steps=3, batch_size=4, warmup=1))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("markov", [False, True])
def test_page_is_complete_and_loads_nothing(tmp_path: Path, markov: bool) -> None:
    page = theory_report.write_theory_report(
        tmp_path / "new", n=60, loads=(0.2, 0.1), seeds=(0, 1), markov=markov
    )
    text = page.read_text()
    figures = re.findall(r'<figure id="([\w-]+)"', text)
    assert figures[:6] == [
        "retrieval",
        "radius",
        "training",
        "generalization",
        "controls",
        "control-entropy",
    ]
    assert ("distance" in figures) == markov
    assert not re.search(r'<(?:script|link|img|iframe)\s[^>]*(?:src|href)="https?:', text)
    specs = [json.loads(spec) for spec in re.findall(r"data-plot=\"[\w-]+\">(.*?)</script>", text)]
    assert len(specs) == len(re.findall('class="plot"', text))
    assert "NaN" not in json.dumps(specs)
    assert "no energy: at load" in text
    assert ("a network trained between the two" in text) == markov
    numbers = json.loads((page.parent / "theory.json").read_text())
    assert numbers["loads"] == [0.1, 0.2]
    assert {len(found) for line in numbers["recovery"] for _, found in line["points"]} == {3}
    assert {line["name"] for line in numbers["recovery"]} == (
        {"memorizer", "generalizer", "network"} if markov else {"memorizer", "generalizer"}
    )
    assert (page.parent / "why-basins.svg").is_file() == markov
    assert not list(page.parent.glob(".*"))


def test_the_picture_names_both_kinds_of_data_and_keeps_in_its_frame() -> None:
    def line(split: str, y: float) -> Line:
        return Line(
            name="x",
            split=split,
            points=((1.0, Estimate(y, y - 0.1, y + 0.1)), (32.0, Estimate(0.5))),
        )

    lines = (line("train", 0.9), line("test", 0.1))
    root = ElementTree.fromstring(same_story(lines, lines))
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("training") == texts.count("unseen") == 2
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 8
    assert all(
        0 <= float(c.attrib["cx"]) <= 860 and 50 <= float(c.attrib["cy"]) <= 240 for c in circles
    )


@pytest.mark.usefixtures("quick")
def test_one_seed_and_loads_beyond_the_pseudo_inverse(tmp_path: Path) -> None:
    assert theory_report.write_theory_report(tmp_path, n=30, loads=(1.2,), seeds=(0,)).is_file()


def test_what_cannot_be_written_to_is_known_before_the_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        theory_report.write_theory_report(tmp_path / "file", n=10**4)
    with pytest.raises(AttractorError, match="n = 9"):
        theory_report.write_theory_report(tmp_path / "nothing", n=9)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n": 9}, "n = 9"),
        ({"loads": (2.5,)}, "2.5"),
        ({"loads": ()}, "no loads"),
        ({"loads": (0.001,)}, "0.001"),
        ({"loads": (float("nan"),)}, "nan"),
        ({"seeds": ()}, "seeds"),
        ({"seeds": (1, 1)}, "none twice"),
        ({"seeds": (-1,)}, "seed = -1"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, bad: dict[str, object], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        theory_report.write_theory_report(tmp_path, **bad)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_network_goes_from_the_memorizer_to_the_generalizer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few rows: it holds them and is far from the source. Many: near the source, and no row is
    special."""
    monkeypatch.setattr(controls, "SIZES", (30, 3000))
    monkeypatch.setattr(controls, "TRAIN", dataclasses.replace(controls.TRAIN, steps=800))
    source = controls.markov_source()
    found = {
        (c.name, c.split, c.n_train): c
        for c in controls.measure_controls(source, with_network=True)
    }
    few, many = found["network", "test", 30], found["network", "test", 3000]
    assert many.distance.high < 0.1 * few.distance.low
    assert many.distance.high < 0.3
    known, unknown = found["network", "train", 30], found["generalizer", "train", 30]
    assert known.recovery.low > unknown.recovery.high
    assert known.entropy.high < 0.1 < unknown.entropy.low
    alike = found["network", "train", 3000].recovery
    assert alike.low < many.recovery.high
    assert alike.high > many.recovery.low


def test_distance_from_the_source_is_zero_for_the_source_only() -> None:
    source = random_source(5, seed=2)
    x = source.sample(20, 8, seed=1)
    assert controls.kl_from_source(source, source, x).abs().max() == 0
    assert (controls.kl_from_source(EmpiricalDenoiser(x, 5), source, x) > 0).all()
    assert torch.isfinite(controls.kl_from_source(EmpiricalDenoiser(x[:1], 5), source, x)).all()

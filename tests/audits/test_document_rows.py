"""An audit of a model whose rows are short texts: padding is in no number."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import tiny
from attractor.audits.measure import same_text
from attractor.cli import main
from attractor.config.settings import MonitorConfig, RunConfig
from attractor.data.tokenizer import Tokenizer
from attractor.probes.novelty import near_counts
from attractor.results.tables import read_arrays
from attractor.runs.run import run_alone

PAD = np.array([9])


def test_texts_are_the_same_by_their_own_lengths() -> None:
    """Rows of 16 with texts of 4 and 8: a quarter of 16 is a whole text of 4."""
    rows = np.full((4, 16), 9)
    rows[0, :4], rows[1, :4], rows[2, :4] = [0, 1, 2, 3], [0, 1, 2, 8], [4, 5, 6, 7]
    rows[3, :8] = [0, 1, 2, 8, 4, 5, 6, 7]
    assert same_text(rows)[:3, :3].all()
    same = same_text(rows, PAD)
    assert same.tolist() == [[i == j or i + j == 1 for j in range(4)] for i in range(4)]
    assert near_counts(rows, rows, np.array([1, 10, 100, 1000]), padding=PAD).tolist() == [
        11, 11, 100, 1000,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    (folder / "texts.txt").write_text("\n".join(tiny.short_texts(120)))
    base = tiny.config(folder / "texts.txt")
    config = RunConfig(
        n_train=40,
        process="uniform",
        data=dataclasses.replace(base.data, rows="document"),
        model=base.model,
        train=base.train,
        probe=base.probe,
        monitor=MonitorConfig(every=0),
    )
    run_alone(config, folder / "run", lambda progress: None)
    return folder


@pytest.mark.parametrize("own", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_padding_is_no_part_of_an_audit(own: bool, run: Path, tmp_path: Path) -> None:
    known, unseen = tmp_path / "known.txt", tmp_path / "unseen.txt"
    texts = tiny.short_texts(120)
    known.write_text("\n".join(texts[:40]))
    unseen.write_text("\n".join(texts[80:]))
    data = ["--own-data"] if own else ["--train", str(known), "--test", str(unseen)]
    row = [] if own else ["--row", "document"]
    limits = ["--n", "12", "--minutes", "0", "--steps", "4", "--rows", "12"]
    model, out = str(run / "run"), tmp_path / "out"
    assert main(["audit", model, *data, *row, *limits, "--out", str(out)]) == 0
    numbers = json.loads((out / "audit.json").read_text())
    assert numbers["verdict"]
    arrays, pad = read_arrays(out), Tokenizer.load(run / "run").pad_id
    for kind in ("train", "test"):
        rows = arrays.array("original", "recovery", kind, 0.3)[0]
        assert (rows == pad).any()
        after = arrays.array("recovered", "recovery", kind, 0.3)
        assert ((after == pad) == (rows == pad)).all()
        assert (arrays.frozen("recovery", kind, 0.3) == (rows == pad)).all()
    # What the model writes is as long as its texts are, and no text is near one of half its length.
    written = arrays.array("original", "echoes", "generated")[0]
    lengths = (written != pad).sum(1)
    assert 5 <= lengths.min() < lengths.max() <= 11  # two of them markers
    nearest = arrays.values("novelty_nearest", "generated")[:, 0]
    assert (nearest <= lengths + 1).all()

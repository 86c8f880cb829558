"""Audits from Python: the same files as those of the command line, and typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import attractor
from attractor.api import AuditResult
from attractor.data.tokenizer import Tokenizer

TEXTS = [f"{a} and {b} met {c}" for a in "abcdefgh" for b in "ijkl" for c in "mnop"]


class Guessing(attractor.Denoiser):
    """Any token is as likely as any other."""

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.train_characters(TEXTS)
        self.process = attractor.UniformProcess(self.tokenizer.vocab_size)
        self.seq_len = 8

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        size = self.process.vocab_size
        full = torch.full((*x_t.shape, size), 1 / size).log()
        return full if where is None else full[where]


EFFORT = {"n": 8, "rows": 8, "minutes": 0, "progress": False}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    folder = tmp_path_factory.mktemp("audits") / "one"
    return attractor.audit(Guessing(), train=TEXTS[:64], test=TEXTS[64:], out=folder, **EFFORT)


@pytest.mark.slow
def test_what_python_gets_is_what_the_files_say(audited: AuditResult) -> None:
    written = json.loads((audited.folder / "audit.json").read_text())
    assert (audited.verdict, audited.exit_code) == (written["verdict"], written["exit_code"])
    assert audited.verdict == "undecided"  # it has learned nothing
    for name, number in written["numbers"].items():
        assert audited.evidence[name][:4] == (number["value"], *number["ci"], number["sequences"])
    assert list(audited.to_pandas()["name"]) == list(written["numbers"])
    assert audited.page.is_file()
    assert "Audited with its training text" in audited.card
    opened = attractor.open(audited.folder)
    assert opened == audited
    assert repr(opened) == f"<Audit of Guessing: undecided; {audited.page}>"
    shown = opened._repr_html_()
    assert "Guessing: undecided" in shown
    assert "basin advantage of training text" in shown


@pytest.mark.slow
def test_rows_of_ids_are_audited_as_their_text_is(audited: AuditResult, tmp_path: Path) -> None:
    model = Guessing()
    rows = [model.encode(part) for part in (TEXTS[:64], TEXTS[64:])]
    found = attractor.audit(
        model, train=rows[0], test=rows[1].numpy(), out=tmp_path / "ids", **EFFORT
    )
    assert found.verdict == audited.verdict
    # The probed rows are other ones: those of text are in an order of their own.
    assert found.evidence["repeats"] == audited.evidence["repeats"]


@pytest.mark.slow
def test_a_run_is_audited_with_its_own_rows(copied_sweep: Path, tmp_path: Path) -> None:
    run = attractor.open(f"{copied_sweep}:n=64")
    assert isinstance(run, attractor.api.Run)
    found = attractor.audit(run, own_data=True, out=tmp_path / "own", **EFFORT)
    assert found.numbers["model"] == run.folder.name
    assert "advantage" in found.evidence


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"own_data": True}, "own_data is for a run"),
        ({"own_data": True, "train": TEXTS}, "give it without train and test"),
        ({"train": ["é" * 40], "test": TEXTS}, r"of the tokens of train are \[UNK\]"),
        ({"test": np.zeros((1, 8), int)}, "^test gives 1 row of 8 tokens: at least 2 are needed"),
        ({"train": np.zeros((3, 9), int), "test": np.ones((3, 9), int)}, "the model wants 8"),
    ],
)
def test_bad_input_is_one_line(given: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(attractor.AttractorError, match=message) as error:
        attractor.audit(Guessing(), out=tmp_path / "x", **given, **EFFORT)
    assert "\n" not in str(error.value)

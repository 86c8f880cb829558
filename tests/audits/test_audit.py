"""Audits of models whose behaviour is known, of every family, and of bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import hub_folder

from attractor import AttractorError
from attractor.audits.folders import place_of
from attractor.audits.measure import Effort
from attractor.audits.run import audit
from attractor.audits.subject import Audited
from attractor.audits.texts import texts_from_files
from attractor.cli import main
from attractor.data.corpus import read_documents
from attractor.data.packing import pack
from attractor.data.tokenizer import Tokenizer
from attractor.measurements.texts import Texts
from attractor.theory import EmpiricalDenoiser, MarkovDenoiser, bigram_source

GOLDEN = Path(__file__).parents[1] / "golden"
EFFORT = Effort(n=40, minutes=0, rows=60)
LENGTH = 32


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train_characters(read_documents("bible")[:3000])


@pytest.fixture(scope="module")
def language(tokenizer: Tokenizer) -> MarkovDenoiser:
    """The exact generalizer: a source with the pairs of characters of the reference's own
    language."""
    encoded = tokenizer.encode(read_documents("bible")[:3000])
    rows = pack(encoded, LENGTH, tokenizer.bos_id, tokenizer.eos_id)
    return bigram_source(torch.from_numpy(rows).long(), tokenizer.vocab_size)


@pytest.fixture(scope="module")
def texts(language: MarkovDenoiser, tokenizer: Tokenizer) -> Texts:
    rows = language.sample(480, LENGTH, seed=3).numpy()
    parts = rows[:120], rows[120:240], rows[:120], rows[240:360], rows[360:]
    return Texts(*parts, tokenizer.decode)


@pytest.mark.slow
def test_the_exact_generalizer(
    language: MarkovDenoiser, texts: Texts, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    every_row = EFFORT._replace(rows=len(texts.train))
    found = audit(
        Audited("source", language, LENGTH, tokenizer, texts), tmp_path / "out", every_row
    )
    assert found.alone.word == "generalizing"
    # 120 rows of each kind cannot rule out that a score finds 5% of them.
    assert (found.verdict.word, found.verdict.exit_code) == ("generalizing in bulk", 3)
    assert "not ruled out" in found.verdict.objection
    for name in ("advantage", "recombination", "excess_copies"):
        low, high = found.against.get(name, found.numbers.get(name)).ends()
        assert low < 0 < high  # 95%
    assert found.numbers["recombined_kappa"].value == pytest.approx(1, abs=0.25)
    assert all(each.ever["train"].value == 0 for each in found.targeted)
    assert not found.brought_back
    assert found.patterns.found.pairs == 0
    page, numbers, card = (
        (tmp_path / "out" / name).read_text() for name in ("audit.html", "audit.json", "card.md")
    )
    assert json.loads(numbers)["verdict"] == "generalizing in bulk"
    for text in (page, card):
        assert "This model generalizes in bulk" in text
    assert "http" not in page.replace("https://plotly", "").partition("<script>")[0]


@pytest.mark.slow
def test_the_exact_memorizer(texts: Texts, tokenizer: Tokenizer, tmp_path: Path) -> None:
    stored = Texts(texts.train[:40], *texts[1:2], texts.train[:40], *texts[3:])
    model = EmpiricalDenoiser(torch.from_numpy(stored.train).long(), tokenizer.vocab_size)
    subject = Audited("store", model, LENGTH, tokenizer, stored)
    found = audit(subject, tmp_path / "out", EFFORT)
    assert (found.alone.word, found.verdict.word, found.verdict.exit_code) == (
        "memorizing",
        "memorizing",
        1,
    )
    low, high = found.patterns.found.texts.ends()
    assert low < 40 < high  # 95%
    assert found.numbers["recombined_kappa"].value > 10
    assert found.numbers["recombination"].value > 0.95
    assert found.against["advantage"].value > 0.95
    half = [each for each in found.targeted if each.given == 0.5 and each.steps == EFFORT.steps]
    assert len(half) == 5
    assert all(each.ever["train"].value > 0.9 for each in half)
    assert all(each.ever["test"].value == 0 for each in found.targeted)
    passages = {"".join(tokenizer.pieces(row)) for row in stored.train.tolist()}
    least = found.brought_back[0]
    assert least.given < LENGTH / 2
    assert "".join(piece for piece, _ in least.tokens) in passages
    # The texts that it settled into are training rows: extraction without data.
    assert found.recovered
    rows = {tokenizer.decode(row) for row in stored.train.tolist()}
    assert all(pattern.text in rows for pattern in found.recovered)
    assert found.recovered[0].text in (tmp_path / "out" / "audit.html").read_text().replace(
        "&#39;", "'"
    )


@pytest.mark.parametrize("kind", ["duo", "udlm", "mdlm", "gidd", "lightning"])
def test_every_family_passes_through(kind: str, tmp_path: Path) -> None:
    """Random weights have learned nothing, whatever their entropy: that must not pass for
    generalization."""
    places = {"gidd": GOLDEN / "gidd_hf", "lightning": GOLDEN / "am_ld" / "lm1b-toy-0.01.ckpt"}
    if kind not in places:
        hub_folder(tmp_path / "model", kind)
    model = places.get(kind, tmp_path / "model")
    code = main(
        ["audit", str(model), "--n", "6", "--steps", "4", "--out", str(tmp_path / "out"), "--gate"]
    )
    assert code == 3
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["verdict"] == "undecided"


def test_a_model_that_always_says_one_word_passes_no_gate(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """It treats training and unseen text alike, and has no structure that could be missed."""
    model = EmpiricalDenoiser(torch.full((1, LENGTH), 7), tokenizer.vocab_size)
    found = audit(Audited("collapsed", model, LENGTH, tokenizer), tmp_path / "out", EFFORT)
    assert (found.verdict.word, found.verdict.exit_code) == ("undecided", 3)
    assert "settles into one" in found.verdict.objection


def test_two_models_of_one_name_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for parent in ("a", "b"):
        hub_folder(Path(parent, "best"), "duo")

    def audited(*arguments: str) -> set[str]:
        assert main(["audit", *arguments, "--n", "6", "--steps", "4"]) == 0
        return {folder.name for folder in Path("audits").iterdir()}

    assert audited("a/best") == {"best"}
    first = Path("audits/best/audit.json").read_text()
    (second,) = audited("b/best") - {"best"}
    assert re.fullmatch("best-[0-9a-f]{6}", second)
    assert Path("audits/best/audit.json").read_text() == first
    # The same model again, however its path is written, replaces its own audit.
    assert audited("./b/../b/best") == {"best", second}
    places = [place_of("a/best", *which) for which in (("ema", None), ("raw", None), ("ema", "x"))]
    assert len({*places}) == 3  # other weights, and other revisions, are other models


def test_time_that_is_up_leaves_fewer_generations_and_the_same_ones(
    language: MarkovDenoiser, tmp_path: Path
) -> None:
    subject = Audited("source", language, LENGTH)
    short = audit(subject, tmp_path / "short", Effort(n=500, minutes=1e-6, steps=4))
    long = audit(subject, tmp_path / "long", Effort(n=24, minutes=0, steps=4))
    assert short.generations == 8
    assert short.samples == long.samples


def test_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    known, unseen = tmp_path / "known.txt", tmp_path / "unseen.txt"
    documents = read_documents("bible")
    known.write_text("\n".join(documents[:60]))
    unseen.write_text("\n".join(documents[3000:3060]))
    made = texts_from_files(known, unseen, "text", tokenizer, LENGTH, tokenizer.vocab_size, 50)
    assert len(made.train) == len(made.test) == 50
    assert len(made.corpus) == 50 + len(made.other_train)
    np.save(tmp_path / "rows.npy", made.corpus)
    with pytest.raises(AttractorError, match="0 rows of 32 tokens that are no training rows"):
        texts_from_files(
            known, tmp_path / "rows.npy", "text", tokenizer, LENGTH, tokenizer.vocab_size, 50
        )
    for size in (10, 30_522):
        with pytest.raises(
            AttractorError, match=f"tokens, and the model knows {size:,}: it is not the model's"
        ):
            texts_from_files(known, unseen, "text", tokenizer, LENGTH, size, 50)
    (tmp_path / "greek.txt").write_text("γνῶθι σεαυτόν " * 40)
    with pytest.raises(AttractorError, match=r"86% of the tokens of .*greek.txt' are \[UNK\]"):
        texts_from_files(
            known, tmp_path / "greek.txt", "text", tokenizer, LENGTH, tokenizer.vocab_size, 50
        )
    np.save(tmp_path / "empty.npy", made.corpus[:0])
    with pytest.raises(AttractorError, match=r"empty.npy' holds no row"):
        texts_from_files(
            tmp_path / "empty.npy", unseen, "text", tokenizer, LENGTH, tokenizer.vocab_size, 50
        )
    np.save(tmp_path / "foreign.npy", made.corpus + 1000)
    with pytest.raises(AttractorError, match="tokenizer is not the model's"):
        texts_from_files(
            tmp_path / "foreign.npy", unseen, "text", tokenizer, LENGTH, tokenizer.vocab_size, 50
        )
    with pytest.raises(AttractorError, match="needs the model's tokenizer"):
        texts_from_files(known, unseen, "text", None, LENGTH, tokenizer.vocab_size, 50)
    with pytest.raises(AttractorError, match="rows of 32 tokens, the model wants 16"):
        texts_from_files(
            tmp_path / "rows.npy", unseen, "text", tokenizer, 16, tokenizer.vocab_size, 50
        )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--n", "1"], "n = 1"),
        (["--minutes", "-1"], "minutes = -1"),
        (["--minutes", "nan"], "minutes = nan"),
        (["--steps", "1"], "steps = 1"),
        (["--seed", "-1"], "seed = -1"),
        (["--train", "a.txt"], "--train needs --test beside it"),
        (["--train", "a.txt", "--test", "b.txt", "c.txt"], "2 files of --test"),
        (["--own-data", "--test", "a.txt"], "without --train and --test"),
        (["--own-data"], "does not exist|neither in"),
        (["--train", "a.txt", "--test", "b.txt"], "does not exist"),
        (["--settings", "heads"], "name=value"),
        (["--settings", "heads=2"], "unknown setting 'heads'"),
        (["--reference", "nowhere.json"], "nowhere.json"),
        (["--tokenizer", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    hub_folder(tmp_path / "model", "udlm")
    assert (
        main(
            ["audit", str(tmp_path / "model"), "--out", str(tmp_path / "out"), "--gate", *arguments]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert re.search(complaint, said)
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_folder_is_not_overwritten(tmp_path: Path, language: MarkovDenoiser) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AttractorError, match="not empty"):
        audit(Audited("source", language, LENGTH), tmp_path, Effort(n=4, minutes=0, steps=4))

"""Models of known state on which audits were wrong once, and what else must not mislead them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from attractor import AttractorError, adapters
from attractor.audits.measure import Effort
from attractor.audits.page import standfirst
from attractor.audits.run import audit
from attractor.audits.subject import Audited
from attractor.audits.texts import fresh_from_files, texts_from_files
from attractor.measurements.texts import Texts
from attractor.theory import EmpiricalDenoiser, MixtureDenoiser, random_source

EFFORT = Effort(n=48, minutes=0, rows=200)
SAPIENS = os.environ.get("ATTRACTOR_SAPIENS", "")
"""Folder of a pretrained masked model of antibodies, with text.npy beside it."""


def decode(ids: list[int]) -> str:
    return " ".join(map(str, ids))


@pytest.mark.slow
def test_eight_sequences_of_a_masked_model_are_no_verdict(tmp_path: Path) -> None:
    """A masked model of 25 letters and length 119 was told to generalize from 8 sequences, laid on
    curves of the Bible."""
    model = random_source(25, 0.1, seed=1, masks=True)
    subject = Audited("antibodies", model, 119)
    found = audit(subject, tmp_path / "out", Effort(n=8, minutes=0, steps=8))
    assert (found.verdict.word, found.verdict.exit_code) == ("undecided", 3)
    assert "rests on 8 sequences, fewer than 30" in found.verdict.objection
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["reference"] is None


@pytest.mark.slow
def test_a_language_of_low_entropy_is_no_store(tmp_path: Path) -> None:
    """Exact Markov generalizers of 24 tokens were told to memorize."""
    model = random_source(24, 0.05, seed=1)
    assert model.token_entropy() < 0.4
    fresh = {"more of it": model.sample(100, 32, seed=2).numpy()}
    subject = Audited("low entropy", model, 32, fresh=fresh)
    found = audit(subject, tmp_path / "out", EFFORT)
    assert found.with_fresh is not None
    assert found.with_fresh.word == "generalizing"
    assert found.alone.word != "memorizing"


@pytest.mark.slow
def test_a_perfect_generalizer_passes_on_text_that_is_full_of_near_copies(tmp_path: Path) -> None:
    """Unseen rows of such text are copies of training rows by chance, and so are generations."""
    model = random_source(8, 0.3, seed=1)
    rows = model.sample(3000, 16, seed=1).numpy()
    texts = Texts(rows[:800], rows[1000:2000], rows[:1000], rows[800:1000], rows[2000:], decode)
    found = audit(
        Audited("near copies", model, 16, texts=texts), tmp_path / "out", EFFORT._replace(rows=800)
    )
    assert found.against["copies"].value > 0.11
    assert found.against["excess_copies"].ends()[0] < 0.05
    assert found.verdict.word == "generalizing", found.verdict.objection
    assert found.verdict.exit_code == 0


@pytest.mark.slow
def test_fifty_rows_of_a_thousand_copies_do_not_pass(tmp_path: Path) -> None:
    """In bulk such a model generalizes, and its 50 rows are perfectly identifiable."""
    source = random_source(25, 0.3, seed=1)
    rows = source.sample(6000, 24, seed=1).numpy()
    known, plain, unseen = rows[:50], rows[50:3000], rows[3000:]
    model = MixtureDenoiser([source, EmpiricalDenoiser(torch.from_numpy(known), 25)], [0.98, 0.02])
    file = np.concatenate([plain[:200], np.repeat(known, 1000, 0), plain[200:]])
    texts = Texts(file[:200], unseen[:200], file, file[200:], unseen[200:], decode)
    found = audit(Audited("repeats", model, 24, texts=texts), tmp_path / "out", EFFORT)
    assert (found.verdict.word, found.verdict.exit_code) == ("generalizing in bulk", 3)
    assert "the 50 rows of 100 copies or more are identifiable" in found.verdict.objection
    assert found.rows is not None
    many = found.rows.strata[-1]
    assert many.membership["log-probability"].auroc.value > 0.999
    # They lead the list of rows that stand out, with their text.
    listed = {row.text for row in found.standing_out[:50]}
    assert listed == {decode(row) for row in known.tolist()}
    assert any("lie beyond the 99.9% quantile" in line for line in standfirst(found))


@pytest.mark.slow
def test_ten_rows_are_enough_to_convict_and_too_few_to_acquit(tmp_path: Path) -> None:
    """All ten rows that a store holds fell 20 times each; a language has ten rows of its own text
    for its training file, of which it knows none."""
    source = random_source(16, 0.3, seed=1)
    rows = source.sample(700, 16, seed=1).numpy()
    texts = Texts(rows[:10], rows[10:210], rows[:10], rows[:0], rows[210:], decode)
    store = EmpiricalDenoiser(torch.from_numpy(rows[:10]), 16)
    words = {}
    for name, model in (("store", store), ("language", source)):
        found = audit(Audited(name, model, 16, texts=texts), tmp_path / name, EFFORT)
        assert found.with_data is not None
        words[name] = found.with_data.word, found.with_data.objection
        assert found.against["advantage"].n >= 150  # some falls of 16 tokens change none
        # The table of basins is of the same falls, and not of ten sequences.
        largest = max((more for _, _, _, more in found.rates), key=lambda e: e.value)
        assert largest[::3] == found.against["advantage"][::3]
        assert min(train.n for _, train, _, _ in found.rates) >= 150
    assert words["store"] == ("memorizing", "")
    assert words["language"][0] == "undecided"
    assert "the training file has 10 different rows, fewer than 30" in words["language"][1]


@pytest.mark.slow
@pytest.mark.skipif(not SAPIENS, reason="ATTRACTOR_SAPIENS names no antibody model")
def test_a_real_model_of_antibodies(tmp_path: Path) -> None:
    """Calibrated on chains that it was perhaps not trained on, it must not be called a store."""
    try:
        model = adapters.load(SAPIENS)
    except AttractorError as error:
        pytest.skip(f"no adapter reads it: {error}")
    rows = np.load(Path(SAPIENS) / "text.npy")
    subject = Audited("antibodies", model, rows.shape[1], fresh={"chains": rows})
    found = audit(subject, tmp_path / "out", Effort(n=32, minutes=4))
    assert found.verdict.word != "memorizing"


def test_overlap_is_found_whatever_the_types_of_numbers(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 9, (60, 12))
    np.save(tmp_path / "train.npy", rows[:40].astype(np.int32))
    np.save(tmp_path / "test.npy", rows[20:].astype(np.int64))
    made = texts_from_files(
        tmp_path / "train.npy", tmp_path / "test.npy", "text", None, 12, 9, rows=20
    )
    assert len(made.test) + len(made.other_test) == 20


def test_one_fresh_sequence_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((1, 12), dtype=int))
    with pytest.raises(AttractorError, match="gives 1 row of 12 tokens: at least 2"):
        fresh_from_files([tmp_path / "one.npy"], "text", None, 12, 9)


def test_fresh_texts_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "x.npy", np.zeros((3, 12), dtype=int))
    paths = [tmp_path / folder / "x.npy" for folder in ("a", "b")]
    assert len(fresh_from_files(paths, "text", None, 12, 9)) == 2

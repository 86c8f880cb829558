"""Extraction from models whose answer is known, spans, and bad input."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import attractor
from attractor import AttractorError
from attractor.audits.attack import Attack
from attractor.audits.brought import came_back
from attractor.audits.extracted import Found
from attractor.audits.extraction import extract
from attractor.audits.extraction_page import standfirst
from attractor.audits.measure import Effort
from attractor.audits.page import standfirst as standfirst_of_audit
from attractor.audits.run import audit
from attractor.audits.spans import read_spans
from attractor.audits.subject import Audited
from attractor.cli import main
from attractor.data.packing import pack
from attractor.data.tokenizer import Tokenizer
from attractor.measurements.texts import Texts
from attractor.results.geometries import GEOMETRIES
from attractor.theory import EmpiricalDenoiser, MixtureDenoiser, random_source

LENGTH, V = 16, 12
ATTACK = Attack(given=(0.5, 0.25), falls=4, steps=(4, 24), rows=12, minutes=0)


def texts_of(known: np.ndarray, unseen: np.ndarray) -> Texts:
    return Texts(known[:12], unseen[:12], known, known[12:], unseen[12:], str)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return random_source(V, 1.0, seed=1).sample(80, LENGTH, seed=1).numpy()


@pytest.fixture(scope="module")
def found(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Path]:
    """A store of 30 rows, the last of which stands ten times in its file; two spans are named."""
    file = np.concatenate([rows[:30], rows[29:30].repeat(9, 0)])
    store = EmpiricalDenoiser(torch.from_numpy(file), V)
    folder = tmp_path_factory.mktemp("extracted")
    spans = folder / "spans.jsonl"
    spans.write_text(
        '{"row": 3, "start": 2, "end": 6}\n{"row": 29, "start": 0, "end": 8, "name": "canary"}\n'
    )
    subject = Audited("store", store, LENGTH, texts=texts_of(file, rows[40:]))
    return extract(subject, folder / "out", ATTACK, spans), folder / "out"


def test_a_store_gives_back_its_rows_and_no_unseen_ones(found: tuple[Found, Path]) -> None:
    made, _ = found
    assert made.rows == {"train": 12, "repeated": 1, "test": 12}
    halves = [each for each in made.tried if each.steps == 24 and each.given == 0.5]
    assert len(halves) == 5
    for each in halves:
        assert each.ever["train"].value == 1
        assert each.once["train"].value == 1
        assert each.ever["test"].value == 0
        assert each.excess is not None
        assert each.excess.ends()[0] > 0.5
    assert made.headline == (
        "12 of 12 training passages came back word for word; of the 1 repeated most often 1 more "
        "did."
    )
    assert any("of the unseen ones" in sentence for sentence in standfirst(made))
    # The least that was given is what is told of a row.
    assert {p.given for p in made.passages} == {4}
    assert all(p.back > 0 and p.needed.ends()[0] >= 1 for p in made.passages)


def test_a_row_that_is_repeated_is_told_with_its_copies(found: tuple[Found, Path]) -> None:
    (often,) = (p for p in found[0].passages if p.split == "repeated")
    assert (often.row, often.copies) == (29, 10)


def test_spans_come_back(found: tuple[Found, Path], rows: np.ndarray) -> None:
    made, folder = found
    assert {(p.row, p.name, p.given, p.copies) for p in made.spans} == {
        (3, "row 3, tokens 2 to 6", 12, 1),
        (29, "canary", 8, 10),
    }
    (canary,) = (p for p in made.spans if p.name == "canary")
    assert "".join(t for t, given in canary.tokens if not given).split() == [
        str(i) for i in rows[29, :8]
    ]
    (beside,) = (t for t in made.tried if t.geometry == "spans" and t.steps == 24)
    assert beside.ever["test"].value == 0
    page = (folder / "extraction.html").read_text()
    assert "canary" in page
    assert "lower bound" in page
    assert "http" not in page
    assert json.loads((folder / "extraction.json").read_text())["came_back"] == 13


def test_rows_that_repeat_come_back_where_no_others_do(found: tuple[Found, Path]) -> None:
    """What is said of the least that was enough is said of them, so that they must be named."""
    made, folder = found
    # Two spans are tried first; the caption is of the rows.
    caption = "Each of 12 training rows and 12 unseen ones is tried in 4 independent falls"
    assert caption in (folder / "extraction.html").read_text()
    alone = [p for p in made.passages if p.split == "repeated"]
    assert came_back(alone, made.rows) == (
        "None of 12 training passages came back word for word; of the 1 repeated most often 1 more "
        "did."
    )
    assert came_back([], made.rows) == "None of 12 training passages came back word for word."


def test_known_rows_are_found_within_a_language(rows: np.ndarray, tmp_path: Path) -> None:
    """Five rows known by heart among 40 of a language, which gives back hardly any other."""
    source = random_source(V, 1.0, seed=1, masks=True)
    heart = EmpiricalDenoiser(torch.from_numpy(rows[:5]), V, masks=True)
    model = MixtureDenoiser([source, heart], [0.9, 0.1])
    subject = Audited("mixture", model, LENGTH, texts=texts_of(rows[:40], rows[40:]))
    made = extract(subject, tmp_path / "out", ATTACK._replace(rows=20, given=(0.5,), steps=(32,)))
    assert {0, 1, 2, 3, 4} <= {p.row for p in made.passages}
    assert len(made.passages) < 10


@pytest.mark.slow
def test_an_audit_tells_what_comes_back_from_how_little(rows: np.ndarray, tmp_path: Path) -> None:
    """A store of 12 rows gives back each, of a quarter too, and none of the unseen ones."""
    store = EmpiricalDenoiser(torch.from_numpy(rows[:12]), V)
    subject = Audited("store", store, LENGTH, texts=texts_of(rows[:12], rows[40:]))
    made = audit(subject, tmp_path / "out", Effort(n=4, minutes=0, steps=16, rows=12))
    tried = {(each.geometry, each.given, each.steps) for each in made.targeted}
    assert tried == {(g, *w) for g in GEOMETRIES for w in ((0.5, 16), (0.25, 16), (0.5, 4))}
    for each in made.targeted:
        assert each.ever["test"].value == 0
        if (each.given, each.steps) == (0.5, 16):
            assert each.ever["train"].value == 1
    assert sorted(p.row for p in made.brought_back) == list(range(12))
    page, numbers = ((tmp_path / "out" / f"audit.{e}").read_text() for e in ("html", "json"))
    title = "Which training passages come back, from how little"
    assert page.count(f">{title}</h2>") == 1
    assert "Each of 12 training rows and 12 unseen ones is tried in 4" in page
    assert "a coarse number of reverse steps brings back less" in page
    said = "12 of 12 training passages came back word for word. The least that was enough are 4 of"
    assert any(sentence.startswith(said) for sentence in standfirst_of_audit(made))
    assert {p["row"] for p in json.loads(numbers)["brought_back"]} == set(range(12))


def test_time_that_is_up_leaves_the_same_few_rows_of_each_part(
    rows: np.ndarray, tmp_path: Path
) -> None:
    store = EmpiricalDenoiser(torch.from_numpy(rows[:12]), V)
    subject = Audited("store", store, LENGTH, texts=texts_of(rows[:12], rows[40:]))
    made = audit(subject, tmp_path / "out", Effort(n=4, minutes=1e-6, steps=4, rows=12))
    assert {e.n for each in made.targeted for e in each.ever.values()} == {2}


@pytest.mark.slow
def test_the_excess_over_unseen_rows_holds_zero_for_a_language(tmp_path: Path) -> None:
    """The null: 40 pairs of texts of one language. As many misses as 5% would give at most once in
    1,000 times, each pair being looked at in one part of a row."""
    source = random_source(4, 0.3, seed=2, masks=True)
    rows = source.sample(1600, 6, seed=9).numpy()
    missed = 0
    for i in range(40):
        some = rows[40 * i : 40 * i + 40]
        texts = Texts(some[:20], some[20:], some[:20], some[:0], some[20:][:0], str)
        made = extract(
            Audited("language", source, 6, texts=texts),
            tmp_path / str(i),
            Attack(given=(0.5,), falls=2, steps=(6,), rows=20, minutes=0, seed=i),
        )
        (edge,) = (each for each in made.tried if each.geometry == "edge")
        assert edge.excess is not None
        low, high = edge.excess.ends()
        missed += not low <= 0 <= high
    assert missed <= 7  # P(more | 40, 0.05) < 0.001


def test_text_is_found_wherever_it_stands_whole(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train_characters(["write to ann@x.org or bob@x.org now"])
    (ids,) = tokenizer.encode(["to ann@x.org or bob@x.org "])
    rows = np.array([ids, ids[::-1], ids])
    file = tmp_path / "spans.txt"
    file.write_text("ann@x.org\n\nnobody@x.org\n")
    found = read_spans(file, rows, tokenizer)
    (span,) = found.found  # the third row is the first again
    assert (span.row, found.missing) == (0, ("nobody@x.org",))
    assert "".join(tokenizer.pieces(rows[0][span.wanted].tolist())) == "ann@x.org"


def test_of_text_that_packing_has_cut_in_two_the_longer_part_is_wanted(tmp_path: Path) -> None:
    texts = ["to ann@x.org and eve@x.org, or cleo@x.org: now"]
    tokenizer = Tokenizer.train_characters([*texts, "bdfz"])
    rows = pack(tokenizer.encode(texts), 13, tokenizer.bos_id, tokenizer.eos_id)
    rows = np.concatenate([rows[::-1], rows[:1]])  # a shuffle, and a row that is repeated
    file = tmp_path / "spans.txt"
    # The last two have an end that begins a row, and no row ends with what would stand before it.
    file.write_text("ann@x.org\neve@x.org\ncleo@x.org\nbob@x.org\nzeo@x.org\n")
    found = read_spans(file, rows, tokenizer)
    said = {
        span.name: ("".join(tokenizer.pieces(rows[span.row][span.wanted].tolist())), span.row)
        for span in found.found
    }
    assert said == {
        "ann@x.org (its first 8 characters)": ("ann@x.or", 3),
        "eve@x.org (its first 5 characters)": ("eve@x", 2),
        "cleo@x.org (its last 8 characters)": ("eo@x.org", 0),
    }
    assert found.missing == ("bob@x.org", "zeo@x.org")


def test_many_spans_are_sought_across_many_rows_in_one_pass(tmp_path: Path) -> None:
    """100 names in 3,000 rows take 0.2 s; every part of each, tried on every row, took 3."""
    tokenizer = Tokenizer.train_characters(["abcdefgh"])
    drawn = np.random.default_rng(0)
    letters = tokenizer.encode(["abcdefgh"])[0]
    rows = drawn.choice(letters, (3000, 60))
    names = ["".join(drawn.choice([*"abcdefgh"], 30)) for _ in range(100)]
    (tmp_path / "spans.txt").write_text("\n".join(names))
    begun = time.process_time()
    with pytest.raises(AttractorError, match="none of the 100 spans"):
        read_spans(tmp_path / "spans.txt", rows, tokenizer)
    assert time.process_time() - begun < 1.5


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "a.jsonl",
            '{"row": 0, "start": 3, "end": 17}',
            r"outside the text: tokens 3 to 17 of row 0",
        ),
        ("a.jsonl", '{"row": 99, "start": 3, "end": 4}', r"row 99, and there are 30 rows of 16"),
        ("a.jsonl", '{"row": 0, "start": 3, "end": 3}', r"outside the text"),
        ("a.jsonl", '{"row": 0, "start": "3", "end": 4}', r"line 1 .* whole numbers"),
        ("a.jsonl", "3 to 4", r"line 1 of the spans .* is wanted"),
        ("a.txt", "ann@x.org", r"needs the model's tokenizer"),
        ("a.txt", "  \n", r"name nothing"),
    ],
)
def test_spans_outside_the_text_are_one_line(
    name: str, content: str, complaint: str, rows: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(AttractorError, match=complaint) as error:
        read_spans(tmp_path / name, rows[:30], None)
    assert "\n" not in str(error.value)


def test_text_that_stands_nowhere_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("zebra\n")
    tokenizer = Tokenizer.train_characters(["zebra crossing"])
    with pytest.raises(AttractorError, match=r"none of the 1 spans .* not even 'zebra'"):
        read_spans(tmp_path / "a.txt", np.full((2, 8), tokenizer.encode(["c"])[0][0]), tokenizer)


def test_from_python_with_and_without_unseen_text(rows: np.ndarray, tmp_path: Path) -> None:
    store = EmpiricalDenoiser(torch.from_numpy(rows[:8]), V)
    few = {"given": (0.5,), "falls": 2, "steps": (8,), "minutes": 0, "progress": False}
    alone = attractor.extract(store, train=rows[:8], out=tmp_path / "alone", **few)
    assert alone.headline.startswith("8 of 8")
    assert "give --test" in alone.page.read_text()
    both = attractor.extract(store, train=rows[:8], test=rows[40:], out=tmp_path / "both", **few)
    assert both.numbers["rows"] == {"train": 8, "test": 40}
    assert list(both.to_pandas()["row"]) == sorted(both.to_pandas()["row"])
    opened = attractor.open(tmp_path / "both")
    assert opened == both
    assert repr(opened) == (
        "<Extraction from EmpiricalDenoiser: 8 of 8 training passages came back word for word. "
        f"{both.page}>"
    )
    shown = opened._repr_html_()
    assert "both ends, 50%" in shown
    assert "unseen rows" in shown
    assert shown.count("<td") == 4 * len(both.numbers["tried"])
    written = json.loads((tmp_path / "both" / "extraction.json").read_text())
    (tmp_path / "old").mkdir()
    del written["headline"]
    (tmp_path / "old" / "extraction.json").write_text(json.dumps(written))
    with pytest.raises(AttractorError, match=r"has no headline: an earlier version wrote it"):
        repr(attractor.open(tmp_path / "old"))
    unsaid = random_source(V, 1.0, seed=1)
    with pytest.raises(AttractorError, match=r"'MarkovDenoiser' does not .*: set its seq_len$"):
        attractor.extract(unsaid, train=rows[:8], out=tmp_path / "unsaid", **few)
    with pytest.raises(AttractorError, match="no run, no audit and no extraction"):
        attractor.open(tmp_path)
    with pytest.raises(AttractorError, match="has no setting fals; did you mean 'falls'"):
        attractor.extract(store, train=rows, fals=3)
    with pytest.raises(AttractorError, match="give train, or own_data"):
        attractor.extract(store)
    with pytest.raises(AttractorError, match="1 row of 16 tokens: at least 2 are needed"):
        attractor.extract(store, train=rows[:1], out=tmp_path / "one", **few)
    with pytest.raises(AttractorError, match=r"not empty and holds no extraction\.json"):
        attractor.extract(store, train=rows[:8], out=tmp_path, **few)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--train is needed, or --own-data"),
        (["--own-data", "--train", "a.txt"], "without --train and --test"),
        (["--train", "a.txt", "--given", "1"], "given = 1.0 is outside [0, 1)"),
        (["--train", "a.txt", "--falls", "0"], "falls = 0: at least 1"),
        (["--train", "a.txt", "--steps", "4", "4"], "none twice"),
        (["--train", "a.txt", "--probability", "1"], "probability = 1.0 is outside (0, 1)"),
        (["--train", "a.txt", "--rows", "1"], "rows = 1: an interval needs at least 2"),
        (["--train", "a.txt", "--minutes", "-1"], "minutes = -1"),
        (["--train", "a.txt"], "'nowhere'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["extract", "nowhere", *arguments]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1

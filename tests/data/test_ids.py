"""The same ids are the same, however they are stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attractor.audits.texts import texts_from_files
from attractor.data.ids import among, read_ids
from attractor.data.tokenizer import Tokenizer
from attractor.types import AttractorError

FAULTS = Path(__file__).parent / "faults"
ROWS = np.arange(60).reshape(10, 6)


def stored(folder: Path, kind: str) -> Path:
    file = folder / f"rows.{kind if kind in ('json', 'jsonl') else 'npy'}"
    if kind == "json":
        file.write_text(json.dumps(ROWS.tolist()))
    elif kind == "jsonl":
        file.write_text("\n".join(json.dumps({"input_ids": row}) for row in ROWS.tolist()))
    elif kind == "lists":
        file = folder / "rows.jsonl"
        file.write_text("\n".join(map(json.dumps, ROWS.tolist())))
    elif kind == "columns":
        np.save(file, np.asfortranarray(ROWS))
    else:
        np.save(file, ROWS.astype(kind))
    return file


KINDS = [
    "u1", "u2", "i4", "i8", "u8", ">i4", "f2", "f4", "f8", "json", "jsonl", "lists", "columns",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_read_by_their_values(kind: str, tmp_path: Path) -> None:
    found = read_ids(stored(tmp_path, kind), "input_ids")
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == ROWS.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_an_overlap_is_found_whatever_the_types(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", ROWS[:7].astype(np.int32))
    made = texts_from_files(
        tmp_path / "train.npy", stored(tmp_path, kind), "input_ids", None, 6, 60, 10
    )
    assert made.test.tolist() == ROWS[7:].tolist()


def test_the_same_rows_as_int32_and_int64_overlap_wholly() -> None:
    narrow, wide = (np.load(FAULTS / name) for name in ("m32.npy", "m64.npy"))
    length = narrow.shape[1]
    with pytest.raises(AttractorError, match=f"0 rows of {length} tokens that are no training"):
        texts_from_files(FAULTS / "m32.npy", FAULTS / "m64.npy", "text", None, length, 2**16, 50)
    assert among(wide, narrow).all()
    assert not among(wide + 1, narrow).all()


def test_documents_that_rows_cut_at_other_places_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["".join(rng.choice([*"abcdefgh "], 30)) for _ in range(60)]
    (tmp_path / "train.txt").write_text("\n".join(lines[:40]))
    (tmp_path / "test.txt").write_text("\n".join(["ten", *lines[20:]]))
    tokenizer = Tokenizer.train_characters([*lines, "ten"])
    made = texts_from_files(
        tmp_path / "train.txt", tmp_path / "test.txt", "text", tokenizer, 16,
        tokenizer.vocab_size, 99,
    )  # fmt: skip
    written = len("ten") + 1 + sum(len(line.strip()) + 1 for line in lines[40:])
    assert len(made.test) == written // 14
    (tmp_path / "test.txt").write_text("\n".join(lines[3:9]))
    with pytest.raises(AttractorError, match="no document that is not in"):
        texts_from_files(
            tmp_path / "train.txt", tmp_path / "test.txt", "text", tokenizer, 16,
            tokenizer.vocab_size, 99,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (np.array([[0.5, 1]]), "holds 0.5, which is no token id"),
        (np.array([[np.nan, 1]]), "holds nan, which is no token id"),
        (np.array([[2**63, 1]], np.uint64), "holds 9223372036854775808, which is no token id"),
        (np.array([["a"]]), "does not hold token rows"),
        (np.zeros((0, 4), int), "holds no row"),
        ([[1, 2], [3]], "does not hold token rows"),
        ([["a"]], "does not hold token rows"),
        ([[True]], "does not hold token rows"),
        ([[10**400]], "does not hold token rows"),
        (7, "holds no rows of token ids"),
        ([], "does not hold token rows"),
    ],
)
def test_what_is_no_matrix_of_ids_is_named(content: object, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / ("rows.npy" if isinstance(content, np.ndarray) else "rows.json")
    if isinstance(content, np.ndarray):
        np.save(file, content)
    else:
        file.write_text(json.dumps(content))
    with pytest.raises(AttractorError, match=complaint):
        read_ids(file, "text")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ("[[1, " + "7" * 5000 + "]]", "it holds a number of too many digits"),
        ("[[1,\n", "line 2, character 1, is no JSON"),
    ],
)
def test_what_no_parser_takes_is_told_in_words(
    content: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(AttractorError, match=complaint):
        read_ids(tmp_path / "rows.json", "text")


@pytest.mark.parametrize("written", [b"{'descr", b"(3, 32)", b"False"])
def test_a_damaged_head_of_a_matrix_is_one_line(written: bytes, tmp_path: Path) -> None:
    """numpy lets Python parse it, whose tokenizer has errors of its own."""
    np.save(tmp_path / "rows.npy", np.zeros((3, 32), np.int32))
    whole = (tmp_path / "rows.npy").read_bytes()
    (tmp_path / "rows.npy").write_bytes(whole.replace(written, b"(" * len(written), 1))
    with pytest.raises(AttractorError, match=r"rows\.npy' is not a complete \.npy file") as error:
        read_ids(tmp_path / "rows.npy", "text")
    assert "\n" not in str(error.value)


def test_text_is_no_ids(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", "[1, 2]"),
        ("a.jsonl", '{"text": "[1]"}\n'),
        ("b.jsonl", "[1\n"),
        ("c.jsonl", ""),
        ("gone.jsonl", None),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        assert read_ids(tmp_path / name, "text") is None

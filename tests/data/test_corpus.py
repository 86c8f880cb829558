from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attractor.data.corpus import read_documents
from attractor.data.subsets import SplitCounts, split_documents
from attractor.types import AttractorError


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_built_in_corpus_and_its_split() -> None:
    documents = read_documents("bible")
    assert len(documents) == 31_102
    assert documents[0] == "In the beginning God created the heavens and the earth."
    assert all(document == " ".join(document.split()) != "" for document in documents)
    assert not any("`" in document for document in documents)

    split = split_documents(documents, test_share=0.1, seed=0)
    assert split.counts == SplitCounts(
        documents=31_102,
        duplicates=350,
        near_duplicates=212,
        train_documents=27_465,
        test_documents=3_075,
    )
    assert len(split.test) == 3_075
    assert len(split.train) == 31_102 - 350 - 212 - 3_075
    assert not set(split.train) & set(split.test)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("one\ntwo \n  three\n", ["one", "two", "three"]),
        ("\n\none\ntwo\n\n\n", ["one", "two"]),
        ("one\ntwo\n \t\n\nthree\n", ["one\ntwo", "three"]),
        ("one\r\n\r\ntwo\r\nthree", ["one", "two\nthree"]),
        ("\ufeffone\ntwo\u2028three", ["one", "two\u2028three"]),
    ],
    ids=[
        "lines",
        "outer blank lines do not count",
        "paragraphs",
        "windows",
        "byte order mark, line separator",
    ],
)
def test_text_file(tmp_path: Path, text: str, documents: list[str]) -> None:
    assert read_documents(write(tmp_path / "a.txt", text)) == documents


def test_jsonl_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '{"body": " één "}\n\n{"body": null}\n{"body": "two\\n\\nparts", "n": 1}\n',
    )
    assert read_documents(path, column="body") == ["één", "two\n\nparts"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_parquet_file(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"n": [1, 2, 3], "body": pa.array(["one ", None, "three"], kind)}), path
    )
    assert read_documents(str(path), column="body") == ["one", "three"]


def test_folder_is_read_flat_in_name_order(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "two\nthree")
    write(tmp_path / "a.jsonl", '{"text": "one"}')
    write(tmp_path / "c.TXT", "four")
    write(tmp_path / "empty.txt", "")
    write(tmp_path / "notes.md", "no document")
    (tmp_path / "deeper").mkdir()
    write(tmp_path / "deeper" / "d.txt", "no document")
    assert read_documents(str(tmp_path)) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "text\none",
            r"a\.csv' \(suffix '\.csv'\); accepted: 'bible', a \.txt, \.jsonl or \.parquet",
        ),
        ("a.txt", " \n\n", r"a\.txt' is empty: at least one document"),
        ("a.txt", b"caf\xe9", r"a\.txt' is not valid UTF-8.*position 3"),
        ("a.jsonl", '{"text": "one"}\n{"text": ', r"a\.jsonl', line 2: invalid JSON"),
        ("a.jsonl", '["one"]', r"a\.jsonl', line 1: expected a JSON object, got list"),
        (
            "a.jsonl",
            '{"body": "one", "n": 1}',
            r"a\.jsonl', line 1: no column 'text'; available: body, n",
        ),
        ("a.jsonl", '{"text": 3}', r"a\.jsonl', line 1: column 'text' must be text, got int"),
        ("a.jsonl", '{"text": "\\ud800"}', r"a\.jsonl' is not valid UTF-8.*surrogates"),
        ("a.parquet", "no table", r"a\.parquet' is not a Parquet file"),
    ],
)
def test_bad_file(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        read_documents(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"body": ["one"], "n": [1]}, r"a\.parquet': no column 'text'; available: body, n"),
        ({"text": [1]}, r"a\.parquet': column 'text' must be text, got int64"),
        ({"text": [None, " "]}, r"a\.parquet' is empty: at least one document"),
    ],
)
def test_bad_parquet(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(AttractorError, match=message):
        read_documents(str(tmp_path / "a.parquet"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        AttractorError, match=r"gone\.txt' does not exist; accepted: 'bible', a \.txt"
    ):
        read_documents(str(tmp_path / "gone.txt"))


def test_folder_without_documents(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match=r"holds no file ending in \.txt, \.jsonl, \.parquet"):
        read_documents(str(tmp_path))

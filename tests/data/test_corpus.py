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


def test_another_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"body": " één "}\n{"body": "two", "n": 1}\n')
    assert read_documents(path, column="body") == ["één", "two"]
    pq.write_table(pa.table({"n": [1, 2], "body": ["one ", None]}), tmp_path / "a.parquet")
    assert read_documents(str(tmp_path / "a.parquet"), column="body") == ["one"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        AttractorError, match=r"gone\.txt' does not exist; accepted: 'bible', a \.txt"
    ):
        read_documents(str(tmp_path / "gone.txt"))


def test_folder_without_documents(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match=r"holds no file ending in \.txt, \.jsonl, \.parquet"):
        read_documents(str(tmp_path))

"""A document is a row: framed, padded, cut where it is too long, which is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from attractor import AttractorError
from attractor.config.settings import DataConfig
from attractor.data.dataset import prepare_dataset, read_rows
from attractor.data.packing import document_rows
from attractor.data.tokenizer import Tokenizer

BOS, EOS, PAD = 0, 1, 9


def prepare(folder: Path, source: Path, **settings: Any) -> Any:
    given: dict[str, Any] = {
        "column": "text", "tokenizer": "char", "vocab_size": 300, "seq_len": 10,
        "test_share": 0.2, "seed": 0, "rows": "document",
    }  # fmt: skip
    return prepare_dataset(folder, DataConfig(source=str(source), **{**given, **settings}))


def lines(folder: Path, texts: list[str]) -> Path:
    file = folder / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return file


def test_a_row_is_a_document_between_its_markers() -> None:
    rows = document_rows([[3, 4], [], [3, 4, 5, 6, 7]], 5, BOS, EOS, PAD)
    assert rows.tolist() == [[0, 3, 4, 1, 9], [0, 1, 9, 9, 9], [0, 3, 4, 5, 1]]
    assert rows.dtype == np.int32


def test_a_data_folder_of_documents(tmp_path: Path) -> None:
    texts = tiny.short_texts(60)
    with pytest.warns(UserWarning, match="are longer than a row of 10 tokens and are cut"):
        data = prepare(tmp_path / "data", lines(tmp_path, texts))
    pad = data.tokenizer.pad_id
    assert pad == data.tokenizer.vocab_size - 1
    said = {data.tokenizer.decode(row) for row in np.concatenate([data.train, data.test])}
    assert said == {text[:8] for text in texts}
    assert len(data.train) == data.counts.train_documents == 48
    for row in data.train.tolist():
        text = row[: row.index(pad)] if pad in row else row
        assert (text[0], text[-1]) == (data.tokenizer.bos_id, data.tokenizer.eos_id)
        assert set(row[len(text) :]) <= {pad}
    assert data.counts.cut + data.counts.test_cut == sum(len(text) > 8 for text in texts)
    assert sorted(data.origins.train[:, 0].tolist()) == list(range(48))


def test_streamed_text_gives_the_same_kind_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed as large files are."""
    monkeypatch.setattr("attractor.data.sources.LARGE", 1)
    texts = [text[:8] for text in tiny.short_texts(200)]
    data = prepare(tmp_path / "data", lines(tmp_path, texts))
    said = {data.tokenizer.decode(row) for row in np.concatenate([data.train, data.test])}
    assert said == set(texts)
    assert sorted(data.origins.train[:, 0].tolist()) == list(range(len(data.train)))


def test_other_text_is_read_as_documents(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train_characters(["abcdefgh"]).padded()
    file = lines(tmp_path, ["abc", "fedcba"])
    rows = read_rows(file, "text", tokenizer, 8, pad_id=tokenizer.pad_id)
    assert sorted(map(tokenizer.decode, rows.tolist())) == ["abc", "fedcba"]
    packed = read_rows(file, "text", tokenizer, 5)
    assert not (packed == tokenizer.pad_id).any()


def test_padding_that_is_there_is_taken(tmp_path: Path) -> None:
    made = Tokenizer.train_characters(["ab"])
    assert made.pad_id is None
    again = made.padded()
    assert again.padded() is again
    again.save(tmp_path)
    assert Tokenizer.load(tmp_path).pad_id == again.pad_id == made.vocab_size
    assert again.encode(["[PAD]ab"]) == made.encode(["[PAD]ab"])


def test_the_papers_wrapping_makes_no_documents() -> None:
    with pytest.raises(AttractorError, match="wrap = 'paper' packs documents"):
        DataConfig(rows="document", wrap="paper")

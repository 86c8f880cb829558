"""Named corpora and data sets of the Hub in their own layouts, with a few lines in each."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from attractor.data import sources
from attractor.data.corpora import Corpus, lm1b_detokenized, wikitext_detokenized
from attractor.data.sources import TextSource
from attractor.types import AttractorError

TRAIN = ["The quick fox , he said .", 'It cost $ 3 ( or " more " ) .', "Why ?", "That 's it !"]
READABLE = ["The quick fox, he said.", 'It cost $3 (or "more") .', "Why?", "That's it!"]
TEST = ["Unseen : here ; there .", "See http : / / a.b ."]
ROOT = "1-billion-word-language-modeling-benchmark-r13output"


def find(source: str, **settings: str) -> TextSource | None:
    asked = {
        "subset": "",
        "split": "",
        "test_split": "",
        "revision": "",
        "column": "text",
        **settings,
    }
    return sources.find_source(source, **asked)


def both(source: TextSource | None) -> tuple[list[str], list[str]]:
    assert source is not None
    assert source.test is not None
    found = list(source.train()), list(source.test())
    assert found == (list(source.train()), list(source.test()))  # each call starts anew
    return found


@pytest.fixture
def lm1b(tmp_path: Path) -> Path:
    root = tmp_path / ROOT
    for folder, name, lines in (
        ("training-monolingual.tokenized.shuffled", "news.en-00001-of-00100", TRAIN[:2]),
        ("training-monolingual.tokenized.shuffled", "news.en-00002-of-00100", TRAIN[2:]),
        ("heldout-monolingual.tokenized.shuffled", "news.en.heldout-00000-of-00050", TEST),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).write_text("\n".join(lines) + "\n")
    (root / "README").write_text("not text of the corpus")
    return root


def test_lm1b_as_folder_tar_and_parquet(lm1b: Path, tmp_path: Path) -> None:
    expected = READABLE, ["Unseen: here; there.", "See http://a.b ."]
    assert both(find(f"lm1b:{lm1b}")) == expected
    for kind in ("gz", ""):
        archive = tmp_path / f"lm1b.tar.{kind or 'x'}"
        with tarfile.open(archive, f"w:{kind}") as tar:
            tar.add(lm1b, ROOT)
        assert both(find(f"lm1b:{archive}")) == expected
    for split, lines in (("train", TRAIN), ("test", TEST)):
        for file in (f"one/{split}-00000-of-00001.parquet", f"two/plain_text/{split}/0000.parquet"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"text": lines}), tmp_path / file)
    for folder in ("one", "two"):
        assert both(find(f"lm1b:{tmp_path / folder}")) == expected


def test_detokenizers() -> None:
    """What the published code of MDLM returns for these."""
    said = "\" Yes , \" he said ; ' no ' : 3 / 4 [ sic ] £ 5 . https : / / x ! "
    assert lm1b_detokenized(said) == "\"Yes,\" he said; 'no': 3/4 [sic] £5. https://x! "
    assert (
        wikitext_detokenized(" = = Title = = \n 1 @,@ 000 @-@ 2 , ( a ) ' b ' ")
        == " == Title ==\n1,000-2, (a) 'b' "
    )


def test_text8(tmp_path: Path) -> None:
    text = "the quick brown fox " * 1000
    (tmp_path / "text8").write_text(text)
    with zipfile.ZipFile(tmp_path / "text8.zip", "w") as archive:
        archive.write(tmp_path / "text8", "text8")
    for path in (tmp_path, tmp_path / "text8", tmp_path / "text8.zip"):
        train, test = both(find(f"text8:{path}"))
        assert ("".join(train), "".join(test)) == (text[:18_000], text[19_000:])
    (tmp_path / "text8").write_text(text + "Not text8!")
    with pytest.raises(AttractorError, match="is not text8"):
        find(f"text8:{tmp_path}")
    with pytest.raises(AttractorError, match=r"download http://mattmahoney\.net/dc/text8\.zip"):
        find("text8")


def test_wikitext(tmp_path: Path) -> None:
    (tmp_path / "wiki.train.tokens").write_text(" = Title = \n\n A , b . \n")
    (tmp_path / "wiki.test.tokens").write_text(" c . \n")
    assert both(find(f"wikitext:{tmp_path}")) == ([" = Title = ", "", " A, b. "], [" c. "])


def test_a_data_set_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def load(hub_id: str, **asked: Any) -> Any:
        calls.append({"id": hub_id, **asked})
        return [{"body": f"{asked['split']} {i}", "n": i} for i in range(3)]

    monkeypatch.setattr("datasets.load_dataset", load)
    monkeypatch.setattr(sources, "why_closed", lambda *asked: None)
    found = find(
        "owner/name",
        column="body",
        subset="en",
        split="train[:5]",
        test_split="dev",
        revision="abc",
    )
    assert both(found) == ([f"train[:5] {i}" for i in range(3)], [f"dev {i}" for i in range(3)])
    assert calls[0] == {
        "id": "owner/name",
        "streaming": True,
        "name": "en",
        "split": "train[:5]",
        "revision": "abc",
    }
    alone = find("owner/name", column="body")
    assert alone is not None
    assert alone.test is None
    missing = find("owner/name")
    assert missing is not None
    with pytest.raises(AttractorError, match="no column 'text'; available: body, n"):
        next(missing.train())


def test_real_files_through_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "why_closed", lambda *asked: None)
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "train-00000.parquet")
    assert [row["text"] for row in sources._open(Corpus(str(tmp_path)), "train", "x")] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "owner/name",
            "hf download --repo-type dataset owner/name --local-dir FOLDER; then give 'FOLDER'",
        ),
        (
            "lm1b",
            "--revision refs/convert/parquet, or http://www.statmt.org/.* then give 'lm1b:FOLDER'",
        ),
        ("openwebtext", "Skylion007/openwebtext .* then give 'openwebtext:FOLDER'"),
    ],
)
def test_a_closed_network_says_what_to_do(
    source: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any, **asked: Any) -> Any:
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", closed)
    monkeypatch.setenv("HF_DATASETS_CACHE", "nowhere")
    with pytest.raises(AttractorError, match=told) as error:
        find(source)
    assert "\n" not in str(error.value)


def test_a_cached_copy_is_taken_where_streaming_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(hub_id: str, streaming: bool, **asked: Any) -> Any:
        assert not streaming
        assert constants.HF_HUB_OFFLINE
        return [{"text": "cached"}]

    monkeypatch.setattr("datasets.load_dataset", load)
    monkeypatch.setattr(sources, "why_closed", lambda *asked: "no route to host")
    found = find("owner/name")
    assert found is not None
    assert list(found.train()) == ["cached"]
    assert not constants.HF_HUB_OFFLINE


def test_bad_sources(tmp_path: Path, lm1b: Path) -> None:
    for source, complaint in (
        (f"lm1b:{tmp_path / 'gone'}", "does not exist"),
        (f"text8:{lm1b}", "is not text8"),
        (f"wikitext:{lm1b}", "does not hold wikitext"),
        (f"lm1b:{lm1b / 'README'}", "neither a folder nor a tar archive"),
    ):
        with pytest.raises(AttractorError, match=complaint):
            find(source)
    with pytest.raises(AttractorError, match="revision = 'x' is for data sets of the Hub"):
        find(str(lm1b), revision="x")
    name = "training-monolingual.tokenized.shuffled/news.en-00001-of-00100"
    archive = tmp_path / "cut.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(lm1b, ROOT)
    archive.write_bytes(archive.read_bytes()[:-40])
    (lm1b / name).write_bytes(b"good\n\xff\xfe\n")
    found = find(f"lm1b:{lm1b}")
    assert found is not None
    with pytest.raises(AttractorError, match="not valid UTF-8"):
        list(found.train())
    with pytest.raises(AttractorError, match="cannot be read to its end"):
        list(sources._members(archive, "news.en-*", "text"))
    assert find("bible") is None
    assert find(str(tmp_path / "some.txt")) is None  # small or missing: read at once

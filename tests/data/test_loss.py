"""Text that a tokenizer does not know: measured exactly, said, and refused above a tenth."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from attractor.config.identity import config_hash
from attractor.config.settings import DataConfig
from attractor.data import stream
from attractor.data.corpus import read_documents
from attractor.data.dataset import open_dataset, prepare_dataset, read_rows
from attractor.data.loss import (
    Loss,
    UnknownTextError,
    encode_known,
    loss_of,
    lost_characters,
)
from attractor.data.tokenizer import Tokenizer, make_tokenizer
from attractor.types import AttractorError

FAULTS = Path(__file__).parent / "faults"
CYRILLIC, CHINESE = (read_documents(str(FAULTS / name)) for name in ("cyr.txt", "cjk.txt"))
ENGLISH = read_documents("bible")[:400]
CHARACTERS = Tokenizer.train_characters(read_documents("bible")[:3000])
LOSSY = Tokenizer.load(FAULTS / "lossy.json")
MARKERS = ["[BOS]", "[EOS]"]
SETTINGS: dict[str, Any] = {
    "column": "text", "vocab_size": 0, "seq_len": 16, "test_share": 0.2, "seed": 0,
}  # fmt: skip


def of_bytes(alphabet: list[str], has_decoder: bool) -> Tokenizer:
    tokens = {token: i for i, token in enumerate([*MARKERS, *alphabet])}
    backend = tokenizers.Tokenizer(models.BPE(tokens, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if has_decoder:
        backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend)


def of_words(*words: str, unknown: str = "<UNK>") -> tokenizers.Tokenizer:
    tokens = {token: i for i, token in enumerate([unknown, *MARKERS, *words])}
    backend = tokenizers.Tokenizer(models.WordLevel(tokens, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return backend


def normalized(normalizer: Any) -> Tokenizer:
    backend = tokenizers.Tokenizer.from_str(CHARACTERS._backend.to_str())
    backend.normalizer = normalizer
    return Tokenizer(backend)


EVERY_BYTE = pre_tokenizers.ByteLevel.alphabet()
ASCII = [c for c in EVERY_BYTE if ord(c) < 128 or c == "Ġ"]
UNIGRAM = tokenizers.Tokenizer(
    models.Unigram([("?", -9.0), *((c, -1.0) for c in [*MARKERS, *"abc"])], unk_id=0)
)


@pytest.mark.parametrize(
    ("tokenizer", "documents", "share"),
    [
        (CHARACTERS, ["catω"], 1 / 4),
        (CHARACTERS, ["cat\tω"], 2 / 5),  # the tab is unknown too
        (CHARACTERS, CHINESE, 1),
        (LOSSY, ["aж bжж"], 3 / 5),  # dropped without a trace: white space does not make up for it
        (LOSSY, ["жabc", "abcd"], 1 / 8),
        (LOSSY, ["a b c"], 0),
        (LOSSY, ["жж", "aaaaaaжж"], 4 / 10),  # letters of one document say nothing of another
        (of_bytes(ASCII, True), ["aé"], 1 / 2),
        (of_bytes(ASCII, False), ["aé"], 1 / 2),
        (of_bytes(EVERY_BYTE, True), [*CYRILLIC, *CHINESE, "😀"], 0),
        (of_bytes(EVERY_BYTE, False), [*CYRILLIC, *CHINESE, "😀"], 0),
        # The first of the two bytes of é alone: half of a character is none.
        (of_bytes([*ASCII, "Ã"], True), ["aé"], 1 / 2),
        (Tokenizer(of_words("the", "cat")), ["the cat sat"], 3 / 9),
        (Tokenizer(of_words("the", "cat")), ["the the unbelievably"], 12 / 18),
        (Tokenizer(UNIGRAM), ["abcω"], 1 / 4),
        (normalized(normalizers.Lowercase()), ["The Cat"], 0),
        (normalized(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
         ["café cafe\u0301"], 0),
        (normalized(normalizers.NFKC()), ["ﬁne"], 0),
        (normalized(normalizers.Replace(Regex("[^a-z]"), "")), ["abc 123"], 3 / 6),
        (CHARACTERS, [""], 0),
        (CHARACTERS, [], 0),
    ],
)  # fmt: skip
def test_the_share_that_is_lost(tokenizer: Tokenizer, documents: list[str], share: float) -> None:
    loss = loss_of(tokenizer, documents, tokenizer.encode(documents))
    assert loss.share == pytest.approx(share)


@given(st.text(alphabet="abxyжщ \n", max_size=30))
def test_of_a_tokenizer_that_drops_what_it_lacks_the_loss_is_counted(text: str) -> None:
    (ids,) = LOSSY.encode([text])
    lost, characters = lost_characters([text], LOSSY.said_again([ids]))
    assert lost == sum(c in "жщ" for c in text)
    assert characters == sum(not c.isspace() for c in text)


def test_parts_add_up_and_many_documents_are_looked_at_evenly() -> None:
    documents = [*ENGLISH, *CHINESE] * 3
    encoded = CHARACTERS.encode(documents)
    whole = loss_of(CHARACTERS, documents, encoded)
    parts = Loss()
    for i in range(0, len(documents), 50):
        parts += loss_of(CHARACTERS, documents[i : i + 50], encoded[i : i + 50])
    assert parts == whole
    some = loss_of(CHARACTERS, documents, encoded, most=len("".join(documents)) // 4)
    assert some.unknown == whole.unknown
    assert some.characters < whole.characters / 3
    assert some.lost / some.characters == pytest.approx(whole.lost / whole.characters, abs=0.02)


def test_a_little_is_said_and_much_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encode_known(CHARACTERS, ENGLISH, "it")[1] < 0.001
    with pytest.warns(UserWarning, match=r"2.0% of it is lost"):
        assert encode_known(CHARACTERS, ["a" * 49 + "ω"], "it")[1] == pytest.approx(0.02)
    with pytest.raises(UnknownTextError, match=r"100% of the tokens of it are \[UNK\]"):
        encode_known(CHARACTERS, CHINESE, "it")
    with pytest.raises(UnknownTextError, match="drops 90% of the characters of it") as error:
        encode_known(of_bytes(ASCII, True), CYRILLIC, "it")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("large", [0, 2**27], ids=["streamed", "read at once"])
@pytest.mark.parametrize(
    ("tokenizer", "text"), [(LOSSY, "cyr.txt"), (CHARACTERS, "cjk.txt")], ids=["drops", "[UNK]"]
)
def test_training_text_is_refused(
    large: int, tokenizer: Tokenizer, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", large)
    tokenizer.save(tmp_path)
    # In another order of its letters, since its lines are near-duplicates.
    rng, letters = np.random.default_rng(0), sorted({*(FAULTS / text).read_text()} - {"\n"})
    source = tmp_path / text
    source.write_text("\n".join("".join(rng.choice(letters, 30)) for _ in range(60)))
    building = tmp_path / "building"
    config = DataConfig(source=str(source), tokenizer=str(tmp_path / "tokenizer.json"), **SETTINGS)
    with pytest.raises(UnknownTextError, match=r"does not know such text|which it does not know"):
        prepare_dataset(tmp_path / "out", config, building=building)
    assert not building.exists()
    with pytest.raises(UnknownTextError):
        read_rows(FAULTS / text, "text", tokenizer, 16)


def test_a_stream_is_refused_at_the_first_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", 0)
    monkeypatch.setattr(stream, "SAVE", 1000)
    CHARACTERS.save(tmp_path)
    source = tmp_path / "a.jsonl"
    # Unseen documents are known, and training documents are not.
    (tmp_path / "b.jsonl").write_text("")
    lines = [json.dumps({"text": f"{i} {text}"}) for i, text in enumerate(CHINESE * 60)]
    source.write_text("\n".join(lines))
    seen: list[int] = []
    monkeypatch.setattr("attractor.data.streamed.unseen_documents", lambda *_: ENGLISH)
    config = DataConfig(source=str(source), tokenizer=str(tmp_path / "tokenizer.json"), **SETTINGS)
    with pytest.raises(UnknownTextError, match="the training text of"):
        prepare_dataset(
            tmp_path / "out",
            config,
            building=tmp_path / "building",
            on_progress=lambda p: seen.append(p.documents),
        )
    assert len(lines) > 2000
    assert not seen


def test_what_was_lost_is_kept_with_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.txt"
    source.write_text("\n".join(f"{text} ωω" for text in ENGLISH))
    CHARACTERS.save(tmp_path)
    config = DataConfig(source=str(source), tokenizer=str(tmp_path / "tokenizer.json"), **SETTINGS)
    shares = []
    for large in (0, 2**27):
        monkeypatch.setattr("attractor.data.sources.LARGE", large)
        (tmp_path / str(large)).mkdir()
        with pytest.warns(UserWarning, match="text of .* is lost"):
            prepare_dataset(tmp_path / str(large), config)
        counts = open_dataset(tmp_path / str(large)).counts
        shares.append((counts.lost, counts.test_lost))
    expected = 2 * len(ENGLISH) / sum(len("".join(text.split())) + 2 for text in ENGLISH)
    assert np.array(shares) == pytest.approx(np.full((2, 2), expected), rel=0.25)


def of_llama() -> tokenizers.Tokenizer:
    names = ["<|begin_of_text|>", "<|end_of_text|>", *"abcdefgh ij"]
    backend = tokenizers.Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    backend.decoder = decoders.Fuse()
    return backend


def test_markers_of_other_tokenizers(tmp_path: Path) -> None:
    of_llama().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(AttractorError, match=r"--data\.markers BOS EOS"):
        make_tokenizer(str(tmp_path), [], 0)
    names = ("<|begin_of_text|>", "<|end_of_text|>")
    tokenizer = make_tokenizer(str(tmp_path), [], 0, names)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (0, 1)
    assert tokenizer.decode([0, 2, 3, 1]) == "ab"
    tokenizer.save(tmp_path / "saved")
    again = Tokenizer.load(tmp_path / "saved")
    assert (again.bos_id, again.eos_id, again.fingerprint) == (0, 1, tokenizer.fingerprint)
    again.save(tmp_path / "twice")
    assert Tokenizer.load(tmp_path / "twice").eos_id == 1
    swapped = make_tokenizer(str(tmp_path), [], 0, names[::-1])
    assert (swapped.bos_id, swapped.eos_id) == (1, 0)
    assert swapped.fingerprint != tokenizer.fingerprint
    for wrong in (("<|begin_of_text|>", "</s>"), ("</s>",)):
        with pytest.raises(AttractorError, match="has no </s>"):
            make_tokenizer(str(tmp_path), [], 0, wrong)
    with pytest.raises(AttractorError, match="'char' is trained"):
        make_tokenizer("char", ["a"], 0, names)
    (tmp_path / "saved" / "markers.json").write_text("{}")
    with pytest.raises(AttractorError, match=r"markers\.json' is damaged"):
        Tokenizer.load(tmp_path / "saved")


def test_markers_are_part_of_the_data_and_old_names_stay(tmp_path: Path) -> None:
    of_llama().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.txt").write_text(
        "\n".join(f"{'abcdefgh'[i % 8]} {'abc' * i} ij" for i in range(60))
    )
    (tmp_path / "out").mkdir()
    names = ("<|end_of_text|>", "<|begin_of_text|>")
    config = DataConfig(
        source=str(tmp_path / "a.txt"), markers=names,
        tokenizer=str(tmp_path / "tokenizer.json"), **SETTINGS,
    )  # fmt: skip
    made = prepare_dataset(tmp_path / "out", config)
    assert set(made.train[:, 0]) == {1}
    assert set(made.train[:, -1]) == {0}
    assert open_dataset(tmp_path / "out").tokenizer.bos_id == 1
    old = {"source": "bible", "column": "text", "tokenizer": "bpe", "vocab_size": 512,
           "seq_len": 128, "test_share": 0.1, "seed": 0}  # fmt: skip
    assert config_hash(DataConfig()) == config_hash(old)
    assert config_hash(DataConfig(markers=names)) != config_hash(old)

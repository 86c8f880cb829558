from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.data.corpus import read_documents
from attractor.data.duplicates import NearDuplicates
from attractor.data.subsets import SplitCounts, nested_sizes, split_documents, words
from attractor.types import AttractorError

WORDS = [f"w{i}" for i in range(100)]


def text(first: int, last: int) -> str:
    return " ".join(WORDS[first:last])


def near_duplicates(a: str, b: str) -> int:
    """Split two documents in train and test, and a third into train so that train is never
    empty."""
    test_is_first = next(
        seed for seed in range(100) if np.random.default_rng(seed).permutation(3)[0] == 1
    )
    split = split_documents([a, b, "something else"], test_share=0.3, seed=test_is_first)
    assert split.test == [b]
    return split.counts.near_duplicates


def test_split_is_one_seeded_shuffle() -> None:
    documents = [f"document {i}" for i in range(10)]
    split = split_documents(documents, test_share=0.2, seed=7)
    shuffled = [documents[i] for i in np.random.default_rng(7).permutation(10)]
    assert split == (shuffled[2:], shuffled[:2], SplitCounts(10, 0, 0, 8, 2))
    assert split_documents(documents, test_share=0.2, seed=8).test != split.test


def test_exact_duplicates_are_dropped_before_the_split() -> None:
    split = split_documents(["a", "b", "a", "c", "b", "a"], test_share=0.34, seed=0)
    assert sorted(split.train + split.test) == ["a", "b", "c"]
    assert split.counts == SplitCounts(6, 3, 0, train_documents=2, test_documents=1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # 16 words have nine 8-grams; two texts which overlap in m words share m - 7 of them.
        (text(0, 16), text(4, 20), 1),  # 5 of 9
        (text(0, 16), text(5, 21), 0),  # 4 of 9
        (text(0, 9), text(1, 21), 1),  # 1 of 2: exactly one half of the shorter text
        (text(0, 10), text(2, 22), 0),  # 1 of 3
        (text(0, 50), text(10, 19), 1),  # the shorter text inside the longer one
        (text(0, 12).upper(), text(0, 12).replace(" ", ", "), 1),
        (text(0, 5), text(0, 5) + "!", 1),
        (text(0, 5), text(0, 6), 0),
        (text(0, 5), text(0, 30), 0),
        ("?!", "...", 0),
    ],
)
def test_near_duplicates(a: str, b: str, expected: int) -> None:
    assert near_duplicates(a, b) == expected
    assert near_duplicates(b, a) == expected


def test_near_duplicates_of_test_documents_leave_train_in_order() -> None:
    # Twelve words have five 8-grams: neighbours (ten words in common) share three of them, next
    # neighbours one.
    documents = [text(2 * i, 2 * i + 12) for i in range(40)]
    split = split_documents(documents, test_share=0.2, seed=1)
    order = np.random.default_rng(1).permutation(40)
    test, candidates = set(order[:8]), order[8:]
    kept = [i for i in candidates if not {i - 1, i + 1} & test]
    assert split.train == [documents[i] for i in kept]
    assert split.counts == SplitCounts(
        40, 0, 32 - len(kept), train_documents=len(kept), test_documents=8
    )
    assert len(kept) < 32


SENTENCES = {
    "Chinese": "今天天气很好所以我们一家人去公园散步回家的路上在小店里买了很多新鲜的水果",
    "Japanese": "今日は天気が良いので公園へ行きました帰りに小さな店で新しい果物をたくさん買った",
    "Thai": "วันนี้อากาศดีมากพวกเราจึงไปเดินเล่นที่สวนสาธารณะและซื้อผลไม้สดระหว่างทางกลับบ้าน",
    "Lao": "ມື້ນີ້ອາກາດດີຫຼາຍພວກເຮົາຈຶ່ງໄປຍ່າງຫຼິ້ນຢູ່ສວນສາທາລະນະແລະຊື້ໝາກໄມ້",
    "Khmer": "ថ្ងៃនេះអាកាសធាតុល្អណាស់ដូច្នេះយើងបានទៅដើរលេងនៅសួនច្បារហើយទិញផ្លែឈើ",
    "Burmese": "ယနေ့ရာသီဥတုသာယာသောကြောင့်ကျွန်ုပ်တို့ပန်းခြံသို့လမ်းလျှောက်သွားခဲ့ကြသည်",
}
"""Sentences without a space."""


def in_pieces(sentence: str, rng: np.random.Generator) -> str:
    """Other text of the same letters: its pieces of three, shuffled."""
    pieces = [sentence[i : i + 3] for i in range(0, len(sentence), 3)]
    return "".join(pieces[i] for i in rng.permutation(len(pieces)))


@pytest.mark.parametrize("language", [*SENTENCES, "English"])
def test_near_duplicates_in_scripts_without_spaces(language: str) -> None:
    """Of 100 pairs that differ in the last character, those on both sides of the split are found,
    as in English; of 200 texts of the same letters none is."""
    rng = np.random.default_rng(0)
    if language == "English":
        originals = [" ".join(rng.choice(WORDS, 24)) + " " for _ in range(100)]
        last = WORDS[:2]
    else:
        originals = [in_pieces(SENTENCES[language], rng) for _ in range(100)]
        last = list(SENTENCES[language][:2])
    pairs = [text + end for text in originals for end in last]
    split = split_documents(pairs, test_share=0.1, seed=0)
    apart = {text[: -len(last[0])] for text in split.test}
    whole = sum(f"{text}{last[0]}" in split.test and f"{text}{last[1]}" in split.test
                for text in apart)  # fmt: skip
    assert split.counts.near_duplicates == len(split.test) - 2 * whole
    assert split.counts.near_duplicates > 10
    near = NearDuplicates(split.test)
    left = [text for text in pairs if text not in split.test]
    assert sum(near.among(left)) == split.counts.near_duplicates
    assert split_documents(pairs[::2], test_share=0.1, seed=0).counts.near_duplicates == 0


def test_words_elsewhere_are_what_they_were() -> None:
    """To the last one: what is dropped must not change."""
    for verse in read_documents("bible")[::7]:
        assert words(verse) == re.findall(r"\w+", verse.lower())


SPACED = st.characters(max_codepoint=0x0DFF) | st.characters(
    min_codepoint=0xAC00, max_codepoint=0xD7AF
)


@given(st.text(SPACED))
def test_words_of_scripts_with_spaces_are_what_they_were(text: str) -> None:
    assert words(text) == re.findall(r"\w+", text.lower())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天，Hello World 2024年！", ["今", "天", "hello", "world", "2024", "年"]),
        ("人々のコーヒー。ｶﾞ", [*"人々のコーヒー", "ｶ", "ﾞ"]),
        ("ที่นี่ café_1", [*"ที่นี่", "café_1"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("𠀀𠀁", ["𠀀", "𠀁"]),
        ("a " + "ab" * 20, ["a", "ab" * 20]),
        ("a " + "ab" * 20 + "c", ["a", *"ab" * 20, "c"]),
    ],
)
def test_characters_are_words_where_no_spaces_are(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_near_duplicates_of_text_without_spaces_whatever_its_letters() -> None:
    """Proteins of 60 letters: of 100 pairs that differ in the last one, 20 documents are unseen."""
    letters, rng = np.array([*"ACDEFGHIKLMNPQRSTVWY"]), np.random.default_rng(0)
    proteins = ["".join(rng.choice(letters, 60)) for _ in range(100)]
    split = split_documents([p + end for p in proteins for end in "AC"], test_share=0.1, seed=0)
    pairs = {document[:-1] for document in split.test}
    assert split.counts.near_duplicates == 2 * len(pairs) - len(split.test) > 0
    assert not pairs & {document[:-1] for document in split.train}


def test_the_file_of_sentences_that_differ_in_a_number() -> None:
    """All are near-duplicates of one another, so that nothing is left beside any of them."""
    sentences = read_documents(str(Path(__file__).parent / "faults" / "cjk.txt"))
    with pytest.raises(AttractorError, match="of 54, each is a near-duplicate of a test document"):
        split_documents(sentences, test_share=0.1, seed=0)
    others = [text(i, i + 9) for i in range(0, 90, 9)]
    split = split_documents([*sentences, *others], test_share=0.1, seed=0)
    assert 50 < split.counts.near_duplicates < 60


@pytest.mark.parametrize("test_share", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_bad_test_share(test_share: float) -> None:
    with pytest.raises(AttractorError, match=rf"test_share={test_share} is outside \(0, 1\)"):
        split_documents(["a", "b"], test_share, seed=0)


@pytest.mark.parametrize(
    ("documents", "test_share"), [([], 0.5), (["a", "a"], 0.5), (["a", "b", "c"], 0.1)]
)
def test_too_few_documents(documents: list[str], test_share: float) -> None:
    with pytest.raises(
        AttractorError,
        match=rf"{len(set(documents))} different (document is|documents are) too few",
    ):
        split_documents(documents, test_share, seed=0)


def test_nothing_left_to_train_on() -> None:
    with pytest.raises(AttractorError, match="of 1, each is a near-duplicate of a test document"):
        split_documents(["the same", "The same!"], 0.5, seed=0)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([16, 256, 1000], [16, 256, 1000]),
        ([1, 1.0], [1, 1000]),
        ([0.5, 0.1, 500, 100.0], [100, 500]),
        ([0.00001, 0.0016], [2]),  # at least two, as an interval needs
        ([0.0039, 0.9999], [3, 999]),  # int(total * fraction), as in the paper's code
        ([np.int64(3), np.float64(0.25)], [3, 250]),
    ],
)
def test_nested_sizes(sizes: list[int | float], expected: list[int]) -> None:
    assert nested_sizes(sizes, available=1000) == expected


@given(
    st.lists(st.integers(1, 500) | st.floats(0, 1, exclude_min=True), min_size=1),
    st.integers(500, 10_000),
)
def test_nested_sizes_increase_strictly(sizes: list[int | float], available: int) -> None:
    rows = nested_sizes(sizes, available)
    assert all(isinstance(n, int) for n in rows)
    assert all(
        small < large for small, large in zip([0, *rows], [*rows, available + 1], strict=True)
    )


@pytest.mark.parametrize("size", [0, -3, 0.0, -0.5, 1.5, math.nan, math.inf])
def test_bad_size(size: int | float) -> None:
    with pytest.raises(
        AttractorError,
        match=rf"n_train={size} is neither a whole number of rows >= 1 nor a fraction",
    ):
        nested_sizes([1, size], available=10)


def test_a_small_fraction_is_two_rows_and_all_of_one_is_one() -> None:
    assert nested_sizes([1e-4, 2e-4, 0.5], available=100) == [2, 50]
    assert nested_sizes([1e-4], available=1) == [1]


@pytest.mark.parametrize("size", [11, 11.0])
def test_size_above_the_training_set(size: int | float) -> None:
    with pytest.raises(AttractorError, match="n_train=11 but the training set has only 10 rows"):
        nested_sizes([size], available=10)


def test_no_size() -> None:
    with pytest.raises(AttractorError, match="no training-set size given"):
        nested_sizes([], available=10)

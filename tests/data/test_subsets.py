from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.data.subsets import SplitCounts, nested_sizes, split_documents
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


@pytest.mark.parametrize("test_share", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_bad_test_share(test_share: float) -> None:
    with pytest.raises(AttractorError, match=rf"test_share={test_share} is outside \(0, 1\)"):
        split_documents(["a", "b"], test_share, seed=0)


@pytest.mark.parametrize(
    ("documents", "test_share"), [([], 0.5), (["a", "a"], 0.5), (["a", "b", "c"], 0.1)]
)
def test_too_few_documents(documents: list[str], test_share: float) -> None:
    with pytest.raises(
        AttractorError, match=rf"{len(set(documents))} different documents are too few"
    ):
        split_documents(documents, test_share, seed=0)


def test_nothing_left_to_train_on() -> None:
    with pytest.raises(AttractorError, match="all 1 training documents are near-duplicates"):
        split_documents(["the same", "The same!"], 0.5, seed=0)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([16, 256, 1000], [16, 256, 1000]),
        ([1, 1.0], [1, 1000]),
        ([0.5, 0.1, 500, 100.0], [100, 500]),
        ([0.00001, 0.0016], [1, 2]),
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


@pytest.mark.parametrize("size", [11, 11.0])
def test_size_above_the_training_set(size: int | float) -> None:
    with pytest.raises(AttractorError, match="n_train=11 but the training set has only 10 rows"):
        nested_sizes([size], available=10)


def test_no_size() -> None:
    with pytest.raises(AttractorError, match="no training-set size given"):
        nested_sizes([], available=10)

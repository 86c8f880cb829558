from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from attractor import AttractorError
from attractor.probes import novelty
from attractor.probes.novelty import SuffixArray, longest_overlaps, nearest_distances


def rows(n: int, length: int, vocab: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocab, (n, length))


def test_planted_copies_are_found() -> None:
    corpus, generated = rows(50, 16, 1000, 0), rows(6, 16, 1000, 1)
    generated[0] = corpus[17]  # a copy
    generated[1] = corpus[3]
    generated[1, [2, 9]] = 999_99  # two substitutions
    generated[2, :15] = corpus[8, 1:]  # moved by one: one deletion and one insertion at most
    generated[4] = generated[3]
    generated[4, 0] = 999_98
    found = novelty(generated, corpus)
    assert found.nearest[:2].tolist() == [0, 2]
    assert found.nearest[2] == 2
    assert (found.nearest[3:] == 16 // 2 + 1).all()
    assert found.own[3:5].tolist() == [1, 1]
    assert found.overlap[:3].tolist() == [16, 6, 15]


def test_nearest_distances_agree_with_those_to_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tokens, so that most rows have much in common in another order, and parts of 3 rows."""
    corpus, generated = rows(40, 12, 5, 0), rows(9, 12, 5, 1)
    generated[0], generated[1] = np.roll(corpus[3], 1), corpus[4][::-1]
    expected = [
        min(Levenshtein.distance(bytes(a),
        bytes(b)) for b in corpus.tolist()) for a in generated.tolist()
    ]  # fmt: skip
    monkeypatch.setitem(nearest_distances.__globals__, "PAIRS", 27)
    for word in (12, 11):
        monkeypatch.setitem(nearest_distances.__globals__, "WORD", word)
        assert nearest_distances(generated, corpus).tolist() == [min(x, 7) for x in expected]


def test_overlap_agrees_with_brute_force() -> None:
    corpus, generated = rows(20, 9, 3, 0), rows(8, 9, 3, 1)
    grams = {tuple(row[i:j]) for row in corpus.tolist() for i in range(9) for j in range(i + 1, 10)}

    def longest(row: list[int], start: int) -> int:
        return max(
            (j - start for j in range(start + 1, 10) if tuple(row[start:j]) in grams), default=0
        )

    expected = [[longest(row, start) for start in range(9)] for row in generated.tolist()]
    assert SuffixArray(corpus).matches(generated).tolist() == expected
    assert longest_overlaps(generated, corpus).tolist() == [max(row) for row in expected]


def test_runs_do_not_cross_rows_nor_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = np.array([[1, 2, 3], [4, 5, 6]])
    generated = np.array([[2, 3, 4], [4, 5, 6], [9, 9, 9]])
    assert longest_overlaps(generated, corpus).tolist() == [2, 3, 0]
    monkeypatch.setitem(longest_overlaps.__globals__, "TOKENS", 3)
    assert longest_overlaps(generated, corpus).tolist() == [2, 3, 0]


def test_tokens_that_are_no_characters_are_tokens_all_the_same() -> None:
    corpus, generated = np.array([[0xD800, 1, 2]]), np.array([[0xD800, 1, 2], [0xDFFF, 1, 2]])
    assert novelty(generated, corpus).nearest.tolist() == [0, 1]


def test_too_few_sequences_are_named() -> None:
    with pytest.raises(AttractorError, match="1 generated and 3 training sequences"):
        novelty(rows(1, 4, 9, 0), rows(3, 4, 9, 1))


def test_sequences_of_another_length_are_named() -> None:
    with pytest.raises(AttractorError, match="of 80 tokens, training sequences of 70"):
        novelty(rows(3, 80, 9, 0), rows(3, 70, 9, 1))

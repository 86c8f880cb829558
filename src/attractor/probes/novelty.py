"""Is a generated text a copy? Edit distances to the training set, and the longest training n-gram
in it.

Both are exact. Edit distances cost L^2 a pair, so for long rows a bound that costs next to nothing
first sorts out the pairs that cannot be near; longest overlaps come from a suffix array, in which
each one is found by bisection.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from scipy import sparse

from attractor.results.thresholds import NEAR
from attractor.types import AttractorError

Ids = Int[np.ndarray, "..."]
PAIRS = 2**22
"""Generated with training sequences compared at a time."""
WORD = 64
"""Tokens up to which an edit distance takes a machine word each step: cheaper than to tell whether
it is needed."""
TOKENS = 2**22
"""Training tokens in one suffix array."""


class Novelty(NamedTuple):
    """How close each generated sequence is to other text, each (G,), in tokens."""

    nearest: Ids
    """edit distance to the nearest training sequence; beyond half of the length, where no text is
    near, L // 2 + 1"""
    own: Ids
    """edit distance to the nearest other generated sequence"""
    overlap: Ids
    """length of the longest run of tokens that occurs in a training sequence"""


def novelty(generated: Ids, corpus: Ids, padding: Ids | None = None) -> Novelty:
    """Compare generated sequences with each other and with every training sequence.

    Args:
        generated: token ids, (G, L).
        corpus: token ids of the training set, (N, L); it may be mapped from a file, and is read in
            parts.
        padding: ids that are left out of all texts, which then differ in length.

    Raises:
        AttractorError: for fewer than two generated sequences, no training sequence, or different
            lengths.
    """
    generated, corpus = np.asarray(generated), np.asarray(corpus)
    if len(generated) < 2 or not len(corpus):
        raise AttractorError(
            f"{len(generated)} generated and {len(corpus)} training sequences: at least 2 and 1"
        )
    if generated.shape[1] != corpus.shape[1]:
        raise AttractorError(
            f"generated sequences of {generated.shape[1]} tokens, training sequences of "
            f"{corpus.shape[1]}: their lengths must be equal"
        )
    own = own_distances(generated, padding).min(1)
    nearest = nearest_distances(generated, corpus, padding)
    return Novelty(nearest, own, longest_overlaps(generated, corpus, padding))


def nearest_distances(generated: Ids, corpus: Ids, padding: Ids | None = None) -> NDArray[np.int32]:
    """Edit distance of each generated sequence to the nearest training sequence; beyond L // 2 it
    is L // 2 + 1. Ids of `padding` are no part of a sequence."""
    most, step = generated.shape[1] // 2, max(1, PAIRS // len(generated))
    parts = (np.asarray(corpus[start : start + step]) for start in range(0, len(corpus), step))
    # Up to 64 tokens the distance is computed in the bits of a machine word, and no bound is
    # cheaper.
    if generated.shape[1] <= WORD:
        own = _strings(generated, padding)
        return np.min(
            [_edit_distances(own, _strings(rows, padding), most).min(1) for rows in parts], 0
        )
    return np.min(list(_likely(generated, parts, most, padding)), 0)


def _likely(
    generated: Ids, parts: Iterable[Ids], most: int, padding: Ids | None
) -> Iterator[NDArray[np.int32]]:
    """The nearest distances of each part, (G,), from the pairs that can be near.

    An edit distance is at least the number of tokens that two sequences of one length do not have
    in common, in whatever order, and that number is one product of sparse matrices: nearly all
    pairs need nothing else. No near pair is missed, so the result is exact. Padding fills the
    shorter one up to that length, where the number is that by which the longer one is not matched.
    """
    own = _strings(generated, padding)
    plain = _plain(generated, padding)
    known = np.unique(_features(plain))
    bags = _bags(plain, known)
    for rows in parts:
        near = (bags @ _bags(_plain(rows, padding), known).T).toarray() >= generated.shape[1] - most
        # Only training rows that are near to something are turned into strings.
        wanted = near.any(0)
        others, near = np.array(_strings(rows[wanted], padding), dtype=object), near[:, wanted]
        nearest = np.full(len(generated), most + 1, dtype=np.int32)
        for i in near.any(1).nonzero()[0]:
            nearest[i] = _edit_distances(own[i : i + 1], others[near[i]].tolist(), most).min()
        yield nearest


def _plain(rows: Ids, padding: Ids | None) -> Ids:
    """The rows with padding of one kind."""
    return rows if padding is None else np.where(np.isin(rows, padding), padding[0], rows)


def _features(rows: Ids) -> Ids:
    """Each token with how often its row had it before, as one number, (N, L), sorted by token.

    Two rows have as many of these numbers in common as tokens: what is compared are multisets, and
    the number turns "the second a" into an element of its own, so that sets are enough.
    """
    # In the sorted row equal tokens are neighbours: the number of earlier ones is the distance to
    # the beginning of their run.
    ordered, place = np.sort(rows.astype(np.int64), 1), np.arange(rows.shape[1])
    begins = np.where(np.diff(ordered, axis=1, prepend=-1) != 0, place, 0)
    return ordered * rows.shape[1] + place - np.maximum.accumulate(begins, 1)


def _bags(rows: Ids, known: Ids) -> sparse.csr_array:
    """Which of the known features each row has, (N, F), as zeros and ones."""
    # Features that no generated sequence has are left out: they add nothing to a product.
    features = _features(rows)
    at = np.searchsorted(known, features).clip(max=len(known) - 1)
    there = known[at] == features
    ends = np.concatenate([[0], there.sum(1).cumsum()])
    ones = np.ones(ends[-1], dtype=np.int32)
    return sparse.csr_array((ones, at[there], ends), shape=(len(rows), len(known)))


def own_distances(generated: Ids, padding: Ids | None = None) -> NDArray[np.int32]:
    """Edit distance of each generated sequence to each other one, (G, G); to itself it is beyond
    all, L + 1. Ids of `padding` are no part of a sequence."""
    strings = _strings(np.asarray(generated), padding)
    own = _edit_distances(strings, strings)
    np.fill_diagonal(own, np.shape(generated)[1] + 1)
    return own


def near_counts(
    rows: Ids, corpus: Ids, copies: Ids, share: float = NEAR, padding: Ids | None = None
) -> NDArray[np.int64]:
    """How many rows of a corpus lie within an edit distance of a share of each row's length, (N,).

    Args:
        rows: token ids, (N, L).
        corpus: the different rows of the corpus, (M, L).
        copies: how often each of those stands in it, (M,).
        share: of the length.
        padding: ids that are no part of a row.
    """
    own, step = _strings(rows, padding), max(1, PAIRS // max(1, len(rows)))
    most = (share * lengths(rows, padding)).astype(np.int64)
    bound, found = int(most.max(initial=0)), np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(corpus), step):
        part = slice(start, start + step)
        distances = _edit_distances(own, _strings(corpus[part], padding), bound)
        found += (distances <= most[:, None]) @ copies[part]
    return found


def lengths(rows: Ids, padding: Ids | None = None) -> NDArray[np.int64]:
    """How many tokens of each row are no padding, (N,)."""
    if padding is None:
        return np.full(len(rows), rows.shape[1], dtype=np.int64)
    counted: NDArray[np.int64] = (~np.isin(rows, padding)).sum(1)
    return counted


def longest_overlaps(generated: Ids, corpus: Ids, padding: Ids | None = None) -> Ids:
    """Length of the longest run of tokens of each generated sequence that a training sequence
    holds; exact. Ids of `padding` are no part of a run."""
    if padding is not None:  # like nothing in the corpus, not even the end of a row
        generated = np.where(np.isin(generated, padding), -3, generated)
    rows = max(1, TOKENS // corpus.shape[1])
    parts = (corpus[i : i + rows] for i in range(0, len(corpus), rows))
    return np.max([SuffixArray(part).matches(generated).max(1) for part in parts], 0)


class SuffixArray:
    """All suffixes of all rows in order; runs never cross from one row to the next.

    Built by prefix doubling (Manber and Myers, SIAM J. Comput. 22, 935): suffixes sorted by their
    first h tokens are sorted by 2h with one more sort of pairs of ranks.
    """

    def __init__(self, rows: Ids) -> None:
        self.length = rows.shape[1]
        # `rank` orders the suffixes that start at each place by their first h tokens; equal ones
        # have equal ranks. The rank at place + h is that of the h tokens after these.
        rank = np.unique(rows, return_inverse=True)[1].reshape(rows.shape).astype(np.int64)
        h = 1
        while h < self.length:
            following = np.zeros_like(rank)  # the end of a row comes before every token
            following[:, :-h] = rank[:, h:] + 1
            pairs = rank * (int(rank.max()) + 2) + following
            rank = np.unique(pairs, return_inverse=True)[1].reshape(rows.shape).astype(np.int64)
            h *= 2
        self.order = rank.ravel().argsort(kind="stable")
        # A row's end is -1, below every token, so that all suffixes can be read at one length.
        self.padded = np.pad(rows.astype(np.int64), ((0, 0), (0, self.length)), constant_values=-1)

    def matches(self, queries: Ids) -> Ids:
        """Longest run that starts at each token of each query and occurs in a row, (Q, L)."""
        found = [self._matches(query) for query in np.asarray(queries, dtype=np.int64)]
        return np.stack(found)

    def _matches(self, query: Ids) -> Ids:
        # Every suffix of the query looks for its place in the order, all by one bisection. What has
        # most in common with it is then one of the two neighbours of that place.
        length = len(query)
        padded = np.concatenate([query, np.full(self.length, -2)])  # unlike the end of a row
        suffixes = np.lib.stride_tricks.sliding_window_view(padded, self.length)[:length]
        low, high = np.zeros(length, dtype=np.int64), np.full(length, len(self.order))
        while (low < high).any():
            middle = (low + high) // 2
            there = self._suffixes(np.minimum(middle, len(self.order) - 1))
            differs = there != suffixes
            first = differs.argmax(1)
            at = np.arange(length)
            smaller = differs.any(1) & (there[at, first] < suffixes[at, first])
            active = low < high
            low = np.where(active & smaller, middle + 1, low)
            high = np.where(active & ~smaller, middle, high)
        neighbours = (np.clip(low + i, 0, len(self.order) - 1) for i in (-1, 0))
        around = [self._suffixes(at) == suffixes for at in neighbours]
        # The product of equalities is 1 up to the first difference.
        return np.max([same.cumprod(1).sum(1) for same in around], 0)

    def _suffixes(self, at: Ids) -> Ids:
        row, position = np.divmod(self.order[at], self.length)
        return self.padded[row[:, None], position[:, None] + np.arange(self.length)]


def _edit_distances(a: list[str], b: list[str], most: int | None = None) -> NDArray[np.int32]:
    """(A, B); what is larger than `most` is `most` + 1."""
    return np.asarray(cdist(a, b, scorer=Levenshtein.distance, score_cutoff=most, dtype=np.int32))


def _strings(rows: Ids, padding: Ids | None = None) -> list[str]:
    """One character a token; the surrogates, which are no characters, are stepped over, and padding
    is left out."""
    rows = np.asarray(rows)
    kept = np.ones(rows.shape, dtype=bool) if padding is None else ~np.isin(rows, padding)
    ids = rows[kept]
    # All rows as one text, since a character at a time takes longer than the comparisons do.
    text = (ids + 0x800 * (ids >= 0xD800)).astype("<u4").tobytes().decode("utf-32-le")
    ends = [0, *kept.sum(1).cumsum().tolist()]
    return [text[start:end] for start, end in itertools.pairwise(ends)]

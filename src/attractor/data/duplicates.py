"""Duplicates among more documents than fit into memory: 64-bit digests instead of text.

Among n documents, two different ones share a digest with a probability of about n^2 / 2^65: 1 in
41,000 for 30 million documents.

Near-duplicates are found exactly, by counting the shingles (word 8-grams) that two documents have
in common, and not estimated by MinHash: only few documents, the unseen ones, are compared with all
others, and an index of their shingles fits into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attractor.data.subsets import GRAM_WORDS, NEAR_DUPLICATE_SHARE, words

Digests = NDArray[np.uint64]
Indices = NDArray[np.int64]
MERGE = 2**19
"""New digests that are kept in a set before they are sorted into the array of all others: a set
takes some ten times the memory, and sorting all for each new one would take for ever."""
PART = 1_000
"""Known documents whose grams are made together."""
BASE = np.uint64(0x9E3779B97F4A7C15)
"""Of the rolling hash of shingles, odd: 2^64 over the golden ratio."""


def digest(document: str, key: str = "") -> int:
    """64 bits that stand for a document; with another key, other bits."""
    return int.from_bytes(
        hashlib.blake2b(document.encode(), digest_size=8, key=key.encode()).digest(), "little"
    )


class Seen:
    """The documents that have come by: eight bytes each.

    Args:
        sorted_digests: those of an earlier time, ascending.
    """

    def __init__(self, sorted_digests: Digests | None = None) -> None:
        self.old = np.zeros(0, np.uint64) if sorted_digests is None else sorted_digests
        self.new: set[int] = set()

    def add(self, documents: Sequence[str]) -> list[bool]:
        """Remember the documents, and say of each whether it is the first of its kind."""
        digests = [digest(document) for document in documents]
        found = np.array(digests, np.uint64)
        known = np.zeros(len(found), bool)
        if len(self.old):
            at = np.searchsorted(self.old, found)
            known = self.old[np.minimum(at, len(self.old) - 1)] == found
        fresh = []
        for value, is_known in zip(digests, known.tolist(), strict=True):
            fresh.append(not is_known and value not in self.new)
            if fresh[-1]:
                self.new.add(value)
        if len(self.new) > MERGE:
            self.all()
        return fresh

    def all(self) -> Digests:
        """Every digest that has been seen, ascending."""
        if self.new:
            # They are different, so sorting is enough: np.union1d makes a hash table of them all.
            self.old = np.concatenate([self.old, np.fromiter(self.new, np.uint64, len(self.new))])
            self.old.sort()
            self.new = set()
        return self.old


class NearDuplicates:
    """Tells documents that share at least half of their word 8-grams, counted in the shorter text,
    with one of a few known ones.

    Args:
        known: the documents to compare with, such as all unseen ones.
    """

    def __init__(self, known: Sequence[str]) -> None:
        # An inverted index: the grams of all known documents in order, and beside each its
        # document.
        # Where characters are words there are as many grams: they are made in parts, and what is
        # not needed any more goes.
        parts, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
        for first in range(0, len(known), PART):
            part, own = grams(known[first : first + PART])
            parts.append(part)
            owners.append((own + first).astype(np.int32))
        every, owner = np.concatenate(parts), np.concatenate(owners)
        del parts, owners
        order = every.argsort(kind="stable")
        self.grams, self.owner = every[order], owner[order]
        self.sizes = np.bincount(owner, minlength=len(known))

    def among(self, documents: Sequence[str]) -> list[bool]:
        """Say of each document whether it is a near-duplicate of a known one."""
        own, document = grams(documents)
        sizes = np.bincount(document, minlength=len(documents))
        low = np.searchsorted(self.grams, own)
        shared = low < len(self.grams)
        shared[shared] = self.grams[low[shared]] == own[shared]
        own, document, low = own[shared], document[shared], low[shared]
        count = np.searchsorted(self.grams, own, "right") - low
        # Each shared gram meets every known document that has it: a run of `count` places of the
        # index from `low` on. All runs are written out one after the other, without a loop.
        first = np.repeat(low - np.cumsum(count) + count, count)
        pairs = np.stack([np.repeat(document, count), self.owner[first + np.arange(len(first))]])
        (which, who), together = np.unique(pairs, axis=1, return_counts=True)
        # Every pair stands for one gram, since the grams of a document are different.
        near = together >= NEAR_DUPLICATE_SHARE * np.minimum(sizes[which], self.sizes[who])
        found = np.zeros(len(documents), bool)
        found[which[near]] = True
        return found.tolist()


def grams(documents: Sequence[str]) -> tuple[Digests, Indices]:
    """The different 8-grams of lower-case words of each document, as digests, and which document
    each is of.

    A document of fewer words is one gram, one without words has none. Digests are good for this
    process only.
    """
    # Python's own hash is the quickest there is, and another one in every process. Words of one
    # document at a time are in memory: where characters are words, their objects are what counts.
    each = [np.fromiter(map(hash, words(document)), np.int64) for document in documents]
    lengths = np.fromiter(map(len, each), np.int64, len(each))
    codes = np.concatenate([np.zeros(0, np.int64), *each]).view(np.uint64)
    widths = np.minimum(lengths, GRAM_WORDS)
    counts = np.where(lengths > 0, lengths - widths + 1, 0)
    document = np.repeat(np.arange(len(each)), counts)
    # The n-th gram of a document starts at its n-th word: from the place of a gram among all grams
    # to the place of its first word among all words, by the difference of where a document begins.
    first_word, first_gram = np.cumsum(lengths) - lengths, np.cumsum(counts) - counts
    start = np.arange(len(document)) + np.repeat(first_word - first_gram, counts)
    # A polynomial in BASE modulo 2^64, for all grams at once, a word of each at a time.
    rolled = np.zeros(len(document), np.uint64)
    for i in range(GRAM_WORDS):
        inside = slice(None) if (widths >= GRAM_WORDS).all() else i < widths[document]
        rolled[inside] = rolled[inside] * BASE + codes[start[inside] + i]
    # Sorted by document, then by gram: repeats within a document are neighbours and go.
    order = np.lexsort((rolled, document))
    rolled, document = rolled[order], document[order]
    new = np.ones(len(rolled), bool)
    new[1:] = (rolled[1:] != rolled[:-1]) | (document[1:] != document[:-1])
    return rolled[new], document[new]

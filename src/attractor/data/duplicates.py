"""Duplicates among more documents than fit into memory: 64-bit digests instead of text.

Two different documents share a digest with a probability of n^2 / 2^65: one in 37,000 for 30 million documents.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attractor.data.subsets import GRAM_WORDS, NEAR_DUPLICATE_SHARE

Digests = NDArray[np.uint64]
MERGE = 2**19
"""Digests that are kept apart before they are sorted into the rest."""
BASE = np.uint64(0x9E3779B97F4A7C15)


def digest(document: str, key: str = "") -> int:
    """64 bits of a document."""
    return int.from_bytes(hashlib.blake2b(document.encode(), digest_size=8, key=key.encode()).digest(), "little")


class Seen:
    """The documents that have come by: eight bytes each.

    Args:
        sorted_digests: those of an earlier time, ascending.
    """

    def __init__(self, sorted_digests: Digests | None = None) -> None:
        self.old = np.zeros(0, np.uint64) if sorted_digests is None else sorted_digests
        self.new: set[int] = set()

    def add(self, documents: Sequence[str]) -> list[bool]:
        """Remember the documents; which of them were not known."""
        digests = [digest(document) for document in documents]
        found = np.array(digests, np.uint64)
        at = np.searchsorted(self.old, found)
        known = self.old[np.minimum(at, len(self.old) - 1)] == found if len(self.old) else np.zeros(len(found), bool)
        fresh = []
        for value, is_known in zip(digests, known.tolist(), strict=True):
            fresh.append(not is_known and value not in self.new)
            self.new.add(value)
        if len(self.new) > MERGE:
            self.all()
        return fresh

    def all(self) -> Digests:
        """Every digest, ascending."""
        if self.new:
            self.old = np.union1d(self.old, np.fromiter(self.new, np.uint64, len(self.new)))
            self.new = set()
        return self.old


class NearDuplicates:
    """Tells documents that share half of their word 8-grams, of the shorter text, with one of a few known ones.

    Args:
        known: such as the test documents.
    """

    def __init__(self, known: Sequence[str]) -> None:
        parts = [grams(document) for document in known]
        self.sizes = np.array([len(part) for part in parts], np.int64)
        every = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
        order = every.argsort(kind="stable")
        self.grams = every[order]
        self.owner = np.repeat(np.arange(len(parts), dtype=np.int32), self.sizes)[order]

    def __contains__(self, document: str) -> bool:
        own = grams(document)
        low, high = (np.searchsorted(self.grams, own, side) for side in ("left", "right"))
        if (low == high).all():
            return False
        owners = np.concatenate([self.owner[i:j] for i, j in zip(low.tolist(), high.tolist(), strict=True)])
        who, shared = np.unique(owners, return_counts=True)
        return bool((shared / np.minimum(len(own), self.sizes[who]) >= NEAR_DUPLICATE_SHARE).any())


def grams(document: str) -> Digests:
    """The different 8-grams of lower-case words, as digests; a shorter document is one, one without words has none."""
    words = re.findall(r"\w+", document.lower())
    if not words:
        return np.zeros(0, np.uint64)
    codes = np.array([zlib.crc32(word.encode()) for word in words], np.uint64)
    width = min(GRAM_WORDS, len(codes))
    rolled = np.zeros(len(codes) - width + 1, np.uint64)
    for i in range(width):
        rolled = rolled * BASE + codes[i : len(codes) - width + 1 + i]
    return np.unique(rolled)

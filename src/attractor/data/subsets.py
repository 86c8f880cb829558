"""The train/test split without shared text, and the sizes of nested training sets."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attractor.machine.units import counted
from attractor.types import AttractorError

__all__ = ["Split", "SplitCounts", "nested_sizes", "split_documents"]

COUNTS = "counts.json"
"""File of `SplitCounts` in a data folder."""
GRAM_WORDS = 8
"""Words of a shingle: long enough that two documents share one only where one is copied. In scripts
without spaces between words each character stands for a word."""
LONGEST_WORD = 40
"""Letters above which something is no word, but text that is written without spaces."""
NEAR_DUPLICATE_SHARE = 0.5
"""Share of shingles in common, of the shorter document, from which two are near-duplicates."""

SEPARATION = (
    "documents are the paragraphs of a .txt file if it has a blank line between text, else its "
    "lines, or the records of a .jsonl or .parquet file"
)
"""What to tell whoever has too few documents."""
_SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59"  # Thai
    "\u0e80-\u0eff"  # Lao
    "\u1000-\u1049\u1050-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u17e0-\u17e9"  # Khmer
    "\u1950-\u19df\u1a20-\u1aad\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f"  # Japanese
    "\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # rare ones of both
)
"""Letters, vowel signs and digits of scripts that put no spaces between words, as ranges."""
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+")

Gram = tuple[str, ...]


class SplitCounts(NamedTuple):
    """How many documents came in and how many were dropped."""

    documents: int
    """Documents before anything is dropped."""
    duplicates: int
    """Exact copies of an earlier document."""
    near_duplicates: int
    """Training documents that share at least half of their 8-grams with a test document."""
    train_documents: int
    """Documents left for training."""
    test_documents: int
    """Documents held out."""
    lost: float = 0.0
    """Share of the training text that the tokenizer does not know, see `loss.Loss.share`."""
    test_lost: float = 0.0
    """The same of the unseen text."""
    cut: int = 0
    """Training documents that are longer than a row, where each is a row of its own, and so cut."""
    test_cut: int = 0
    """The same of unseen documents."""


class Split(NamedTuple):
    """Disjoint documents in shuffled order."""

    train: list[str]
    test: list[str]
    counts: SplitCounts


def check_share(test_share: float) -> None:
    """Raise AttractorError unless both sides get something."""
    if not 0 < test_share < 1:
        raise AttractorError(f"test_share={test_share} is outside (0, 1)")


def split_documents(
    documents: Sequence[str],
    test_share: float,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """Split into train and test documents so that no test text is known from training.

    Exact duplicates are dropped (the first stays), the n unique documents are shuffled once, the
    first `round(test_share * n)` are the test documents. A training document is dropped as a
    near-duplicate if for any test document `|A & B| / min(|A|, |B|) >= 0.5`, where A and B are the
    two sets of 8-grams of lower-cased words; see `words`.

    With `groups`, from documents to their groups, whole groups are held out: in shuffled order each
    that does not make more than that many documents, so that a single large one does not become all
    of the unseen text. A document without a group is one by itself.

    Raises:
        AttractorError: for a test share outside (0, 1) or if either side would be empty.
    """
    check_share(test_share)
    # Copies go before the split, or one of two could be training text and the other unseen. Of near
    # copies the one in training goes, so that the unseen text does not depend on what it is like.
    unique = list(dict.fromkeys(documents))
    order = np.random.default_rng(seed).permutation(len(unique))
    shuffled = [unique[i] for i in order]
    n_test = round(test_share * len(unique))
    if groups is None:
        test, candidates = shuffled[:n_test], shuffled[n_test:]
    else:
        held = _held_out(shuffled, groups, n_test, seed)
        test = [document for document in shuffled if groups.get(document, document) in held]
        candidates = [d for d in shuffled if groups.get(d, d) not in held]
    if not test or not candidates:
        are = "is" if len(unique) == 1 else "are"
        raise AttractorError(
            f"{counted(len(unique), 'different document')} {are} too few for "
            f"test_share={test_share}: train and test each need at least one; {SEPARATION}"
        )
    train = _without_near_duplicates(candidates, test)
    if not train:
        raise AttractorError(
            f"no training document is left: of {len(candidates):,}, each is a near-duplicate of a "
            "test document"
        )
    near = len(candidates) - len(train)
    counts = SplitCounts(len(documents), len(documents) - len(unique), near, len(train), len(test))
    return Split(train, test, counts)


def _held_out(
    documents: Sequence[str], groups: Mapping[str, str], most: int, seed: int
) -> set[str]:
    """Groups of together at most so many documents."""
    sizes = Counter(groups.get(document, document) for document in documents)
    order, held, left = sorted(sizes), set(), most
    for i in np.random.default_rng([seed, 1]).permutation(len(order)).tolist():
        if sizes[order[i]] <= left:
            held.add(order[i])
            left -= sizes[order[i]]
    if not held:
        raise AttractorError(
            f"split_by = 'group': the smallest of {len(order)} groups has {min(sizes.values())} "
            f"documents, and test_share asks for {most}"
        )
    return held


def _without_near_duplicates(candidates: Iterable[str], test: Iterable[str]) -> list[str]:
    # From each gram to the test documents that hold it: a candidate is compared only with documents
    # that share something with it, not with all.
    test_grams = [_grams(document) for document in test]
    holders: defaultdict[Gram, list[int]] = defaultdict(list)
    for index, grams in enumerate(test_grams):
        for gram in grams:
            holders[gram].append(index)

    def is_near_duplicate(document: str) -> bool:
        grams = _grams(document)
        shared = Counter(index for gram in grams & holders.keys() for index in holders[gram])
        return any(
            count / min(len(grams), len(test_grams[index])) >= NEAR_DUPLICATE_SHARE
            for index, count in shared.items()
        )

    return [document for document in candidates if not is_near_duplicate(document)]


def _grams(document: str) -> set[Gram]:
    """Return the word 8-grams; a shorter document is one gram, a document without words has
    none."""
    found = words(document)
    if not found:
        return set()
    return {tuple(found[i : i + GRAM_WORDS]) for i in range(max(1, len(found) - GRAM_WORDS + 1))}


def words(document: str) -> list[str]:
    """The lower-cased words of a document, in order.

    In scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Myanmar, Tai)
    each character is one; so it is in whatever else is longer than any word, such as a protein.
    """
    found = _WORD.findall(document.lower())
    if not found or max(map(len, found)) <= LONGEST_WORD:
        return found
    return [piece for word in found for piece in (word if len(word) > LONGEST_WORD else (word,))]


def nested_sizes(
    sizes: Sequence[int | float], available: int, whole: Callable[[float], int] = int
) -> list[int]:
    """Return training-set sizes in rows, strictly increasing, at most `available`.

    An integer is a number of rows, and so is a float above 1 without a fractional part. A float in
    (0, 1] is a fraction of `available`, made `whole` as in the paper's code, int(total * fraction),
    and at least two rows, as an interval needs: 1.0 means all rows, 1 means one. Equal sizes are
    merged.

    Raises:
        AttractorError: if no size is given, or for a size that is not positive, is above 1 and not
            whole, or exceeds `available`.
    """
    if not sizes:
        raise AttractorError("no training-set size given: at least one count or fraction is needed")
    return sorted({_rows(size, available, whole) for size in sizes})


def _rows(size: int | float, available: int, whole: Callable[[float], int]) -> int:
    if isinstance(size, float) and 0 < size <= 1:
        return min(available, max(2, whole(size * available)))
    if not size >= 1 or (isinstance(size, float) and not size.is_integer()):
        raise AttractorError(
            f"n_train={size} is neither a whole number of rows >= 1 nor a fraction in (0, 1]"
        )
    if size > available:
        raise AttractorError(
            f"n_train={int(size)} but the training set has only {available} rows; "
            f"take sizes of at most {available}"
        )
    return int(size)

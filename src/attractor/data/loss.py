"""How much of a text a tokenizer does not know: measured on what the tokens say again.

A tokenizer with an unknown token puts it in place of what it lacks; one without drops that without
a trace, and its offsets then point to the wrong places. So text and tokens are compared by the
characters that the tokens decode to.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attractor.types import AttractorError

if TYPE_CHECKING:
    from attractor.data.tokenizer import Tokenizer

MOST_LOST = 0.1
"""Share of unknown tokens, or of lost characters, above which text is no text of a model."""
WORTH_SAYING = 0.001
"""The share from which it is said."""
DECODED = 2**20
"""Characters that are decoded again, of documents evenly spaced over all; unknown tokens are
counted in all of them."""
SHOWN = 5
"""Characters that a message names at most."""
INVISIBLE = ("Cc", "Cf")
"""Categories of Unicode that tokenizers remove as no part of the text: controls and formats."""


class UnknownTextError(AttractorError):
    """Raised for text of which a tokenizer loses too much."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a tokenizer lost of some text; losses of parts of a text add up."""

    unknown: int = 0
    """unknown tokens"""
    tokens: int = 0
    """tokens, without markers"""
    lost: int = 0
    """characters that the tokens do not say again, unknown ones included"""
    characters: int = 0
    """characters of the text that was decoded again, see `visible`"""

    def __add__(self, other: Loss) -> Loss:
        """The loss of two texts together."""
        return Loss(
            unknown=self.unknown + other.unknown,
            tokens=self.tokens + other.tokens,
            lost=self.lost + other.lost,
            characters=self.characters + other.characters,
        )

    @property
    def unknown_share(self) -> float:
        """Unknown tokens as a share of all tokens."""
        return self.unknown / max(1, self.tokens)

    @property
    def share(self) -> float:
        """The share that is lost: of tokens or of characters, whichever is larger."""
        return max(self.unknown_share, self.lost / max(1, self.characters))

    def require_known(self, name: str) -> None:
        """Raise UnknownTextError if more than `MOST_LOST` is lost; `name` says whose text it is."""
        if self.unknown_share > MOST_LOST:
            raise UnknownTextError(
                f"{self.unknown_share:.0%} of the tokens of {name} are [UNK]: the tokenizer does "
                f"not know such text; take one that does (at most {MOST_LOST:.0%} may be unknown)"
            )
        if self.share > MOST_LOST:
            raise UnknownTextError(
                f"the tokenizer drops {self.share:.0%} of the characters of {name}, which it does "
                f"not know; take one that does (at most {MOST_LOST:.0%} may be lost)"
            )

    def said(self, name: str) -> float:
        """The share that is lost, said in a warning from `WORTH_SAYING` on; raises as
        `require_known`."""
        self.require_known(name)
        if self.share >= WORTH_SAYING:
            warnings.warn(
                f"{self.share:.1%} of {name} is lost: the tokenizer does not know it", stacklevel=3
            )
        return self.share


def encode_known(
    tokenizer: Tokenizer, documents: Sequence[str], name: str
) -> tuple[list[list[int]], float]:
    """Token ids of each document, and the share of the text that the tokenizer lost.

    Args:
        tokenizer: turns text into tokens.
        documents: the text.
        name: whose text it is, for messages.

    Raises:
        UnknownTextError: if more than `MOST_LOST` of it is lost.
    """
    encoded = tokenizer.encode(documents)
    return encoded, loss_of(tokenizer, documents, encoded).said(name)


def loss_of(
    tokenizer: Tokenizer,
    documents: Sequence[str],
    encoded: Sequence[Sequence[int]],
    most: int = DECODED,
) -> Loss:
    """What was lost between documents and their tokens.

    Args:
        tokenizer: that made the tokens.
        documents: the text.
        encoded: token ids of each document.
        most: characters that are decoded again, at most about.
    """
    step = 1 + sum(map(len, documents)) // most
    some = documents[::step]
    lost, characters = lost_characters(some, tokenizer.said_again(encoded[::step]))
    return Loss(
        unknown=sum(list(ids).count(tokenizer.unk_id) for ids in encoded),
        tokens=sum(map(len, encoded)),
        lost=lost,
        characters=characters,
    )


def require_all_known(
    tokenizer: Tokenizer, texts: Sequence[str], encoded: Sequence[Sequence[int]]
) -> None:
    """Raise UnknownTextError, which shows them, if there are characters that the tokens of some
    texts do not say again."""
    wanted = sum(map(visible, texts), Counter[str]())
    again = tokenizer.said_again(encoded)
    said = sum(map(visible, again), Counter[str]())
    lost = wanted - said
    if lost:
        # As they stand in the text, where an accent may be what is not known.
        wrong = [c for c in dict.fromkeys("".join(texts)) if visible(c).keys() & lost.keys()]
        wrong = [c for c in wrong if c not in "".join(again)] or wrong
        shown = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise UnknownTextError(
            f"the tokenizer does not know {shown}{more}: {lost.total():,} of {wanted.total():,} "
            "characters; leave them out, or write them with characters that it knows"
        )


def lost_characters(texts: Iterable[str], again: Iterable[str]) -> tuple[int, int]:
    """How many visible characters of some texts are not in what their tokens say again, and how
    many there are."""
    lost = characters = 0
    for text, said in zip(texts, again, strict=True):
        if said == text:  # nearly always, and nothing is to be counted
            characters += len("".join(text.split()))
            continue
        wanted = visible(text)
        characters += wanted.total()
        lost += (wanted - visible(said)).total()
    return lost, characters


def visible(text: str) -> Counter[str]:
    """How often each character occurs, whatever tokenizers change on purpose left aside: white
    space, upper and lower case, accents, compatible forms (Unicode's NFKD), and what is not
    seen."""
    folded = text.casefold()
    if not text.isascii():
        folded = unicodedata.normalize("NFKD", folded)
    counts = Counter(folded)
    for c in list(counts):
        if c.isspace() or unicodedata.combining(c) or unicodedata.category(c) in INVISIBLE:
            del counts[c]
    return counts

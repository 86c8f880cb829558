"""Micro-attractors: tokens of unseen text that a generalizing model is still certain of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import clustered_share
from attractor.results.tables import Arrays
from attractor.results.thresholds import VANISHING
from attractor.types import AttractorError


class MicroAttractor(NamedTuple):
    """One token of the vocabulary, over all the places where it occurs in unseen text."""

    token: int
    rank: int
    """by frequency in training text, 1 for the most frequent"""
    occurrences: int
    vanishing: int
    """of them, those with vanishing entropy"""
    ci: tuple[float, float]
    """of vanishing among all occurrences, see `statistics.clustered_share`: tokens of a sequence
    are not independent"""
    position: float
    """median position of the vanishing ones, from 0 at the beginning of a row to 1 at its end"""


def micro_attractors(
    arrays: Arrays, frequency: NDArray[np.int64], split: str = "test"
) -> list[MicroAttractor]:
    """Tokens with a vanishing occurrence, those with the most first.

    Args:
        arrays: of one model, with its entropies.
        frequency: how often each token of the vocabulary occurs in training text.
        split: the kind of text.
    """
    tokens = arrays.array("original", "entropy", split)[0]
    vanishing = arrays.values("entropy", split) < VANISHING
    # Sorting once gives the tokens in order of frequency; sorting that gives each token its place.
    rank = (-frequency).argsort(kind="stable").argsort() + 1
    span = max(1, tokens.shape[1] - 1)
    found = []
    for token in np.unique(tokens[vanishing]).tolist():
        here = tokens == token
        sure = here & vanishing
        micro_attractor = MicroAttractor(
            token=token,
            rank=int(rank[token]),
            occurrences=int(here.sum()),
            vanishing=int(sure.sum()),
            ci=clustered_share(sure.sum(1), here.sum(1)).ends(),
            position=float(np.median(sure.nonzero()[1]) / span),
        )
        found.append(micro_attractor)
    return sorted(found, key=lambda m: (-m.vanishing, m.token))


def load_tagger(name: str) -> Callable[[str], str]:
    """A word tagger: `nltk`, which tags a word by itself with the universal tag set.

    Raises:
        AttractorError: if it is unknown or not installed.
    """
    if name != "nltk":
        raise AttractorError(f"tagger = {name!r}: allowed is 'nltk'")
    try:
        import nltk
    except ImportError:
        raise AttractorError("the tagger 'nltk' needs the package nltk: pip install nltk") from None

    def tag(word: str) -> str:
        return str(nltk.pos_tag([word], tagset="universal")[0][1]) if word else ""

    try:
        tag("word")
    except LookupError:
        names = "averaged_perceptron_tagger_eng universal_tagset"
        raise AttractorError(
            f"the tagger 'nltk' needs its data: python -m nltk.downloader {names}"
        ) from None
    return tag

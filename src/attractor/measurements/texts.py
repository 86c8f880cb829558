"""The text on which a model is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from attractor.data.replicas import Planted

NGRAM = "ngram"
"""The built-in judge."""
REFERENCE = 20_000
"""Rows at most from which the built-in judge and the blind baseline learn."""


class Texts(NamedTuple):
    """What a model is measured on; rows are token matrices, (N, L)."""

    train: np.ndarray
    """training rows that are probed"""
    test: np.ndarray
    """unseen rows that are probed"""
    corpus: np.ndarray
    """every row the model was trained on"""
    other_train: np.ndarray
    """rows of the training documents that are not probed"""
    other_test: np.ndarray
    """unseen rows that are not probed"""
    decode: Callable[[Sequence[int]], str]
    planted: Planted | None = None
    """rows that are repeated in the training set, if there are any"""
    origins: Mapping[str, np.ndarray] = MappingProxyType({})
    """the document and the group of each probed row of a kind of text, (N, 2), where they are
    known; a group of -1 is none"""

"""The model that is audited, and what is known of its text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from attractor.data.tokenizer import Tokenizer
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser


class Audited(NamedTuple):
    """The model that is audited, and what is known of its text."""

    name: str
    denoiser: Denoiser
    length: int
    """tokens of a sequence"""
    tokenizer: Tokenizer | None = None
    texts: Texts | None = None
    place: str = ""
    """which model it is, see `folders.place_of`"""
    fresh: Mapping[str, np.ndarray] = MappingProxyType({})
    """texts that the model has not seen, by their names, (N, L) each"""
    base: Denoiser | None = None
    """a model of the same tokenizer that did not see the training text"""
    base_name: str = ""

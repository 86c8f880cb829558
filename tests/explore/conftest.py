"""Two small trained models with their text, as the explorer shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attractor
from attractor import reference
from attractor.data.tokenizer import Tokenizer
from attractor.explore.collect import Collection
from attractor.explore.content import Content, content

MODELS = Path(__file__).parents[1] / "data" / "models"


@pytest.fixture(scope="session")
def collection() -> Collection:
    """The models of 32 and of 1,024 rows, on characters of the Bible as the reference models."""
    return Collection(
        name="small",
        corpus="the World English Bible",
        models={n: attractor.load(MODELS / f"n{n}", device="cpu") for n in (32, 1024)},
        tokenizer=Tokenizer.load(reference.folder("reference:n=1024")),
        stored=np.load(MODELS / "train32.npy"),
        unseen=np.load(MODELS / "test96.npy")[:24],
    )


@pytest.fixture(scope="session")
def made(collection: Collection) -> Content:
    return content(collection)

"""The picture of the house is that of the import contract."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from docs.architecture import PICTURE, STEPS, WORDS, Contract, draw, read_contract

ROOT = Path(__file__).parents[1]


def test_the_picture_is_drawn_from_the_contract() -> None:
    assert PICTURE.read_text() == draw(read_contract()), "run: python -m docs.architecture"


def test_words_are_of_rooms_that_there_are() -> None:
    rooms = [room for floor in read_contract().floors for room in floor]
    assert sorted(WORDS) == sorted(rooms)
    places = (ROOT / "src/attractor" / room for room in rooms)
    assert all(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


def test_the_way_of_the_data_names_files_that_are_written() -> None:
    page = (ROOT / "docs/file-formats.md").read_text()
    for step in STEPS:
        assert step.room in WORDS
        assert f"{step.leaves}` |" in page


def test_a_room_without_words_is_an_error() -> None:
    with pytest.raises(KeyError, match="cellar"):
        draw(Contract((("cli",), ("cellar",)), frozenset()))


def test_text_stays_inside_the_picture() -> None:
    root = ElementTree.fromstring(PICTURE.read_text())
    width, height = (float(x) for x in root.attrib["viewBox"].split()[2:])
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        assert 0 <= x < width
        assert 0 <= y < height

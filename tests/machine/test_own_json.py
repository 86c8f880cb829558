"""Every JSON file of ours that is damaged is one line, or as if it were not there: no damage is a
traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.data.fingerprint import SOURCE, read_fingerprint
from attractor.data.stream import STATE as PACKED
from attractor.data.stream import _read_state
from attractor.data.tokenizer import MARKERS, _saved_markers
from attractor.machine.checkpoint import STATE, read_state
from attractor.report.fields import read_fields
from attractor.runs.folder import read_json
from attractor.sweeps.follow import last_line
from attractor.train.logbook import METRICS, SPEED
from attractor.types import AttractorError

DAMAGES = {
    "empty": b"",
    "half": b'{"schema": 1, "bos"',
    "list": b"[]",
    "number": b"7",
    "digits": b'{"schema": ' + b"7" * 5000 + b"}",
    "deep": b'{"a":' * 50_000,
    "null": b"null",
    "bytes": b"\xff\xfe\x00",
}
REFUSED: dict[str, Callable[[Path], object]] = {
    "counts.json": read_json,
    "transition.json": read_fields,
    MARKERS: _saved_markers,
    STATE: lambda file: read_state(file.parent),
}
AS_IF_NOT_THERE: dict[str, Callable[[Path], object]] = {
    SOURCE: lambda file: read_fingerprint(file.parent),
    PACKED: lambda file: _read_state(file.parent)[0].documents or None,
    METRICS: lambda file: last_line(file.parent),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_file_is_one_line_that_names_it(name: str, damage: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(DAMAGES[damage])
    with pytest.raises(AttractorError) as error:
        REFUSED[name](file)
    assert name in str(error.value)
    for word in ("\n", "recursion", "sys.", "object is not", "Expecting"):
        assert word not in str(error.value)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", AS_IF_NOT_THERE)
def test_a_damaged_file_that_can_be_made_again_is_as_if_it_were_not_there(
    name: str, damage: str, tmp_path: Path
) -> None:
    for each in (name, SPEED):
        (tmp_path / each).write_bytes(DAMAGES[damage])
    assert AS_IF_NOT_THERE[name](tmp_path / name) is None

"""What a killed writer leaves, and what a full disk says, whoever writes."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from attractor.machine.files import (
    LOCK,
    atomic_directory,
    is_full,
    locked,
    naming_full_disk,
    read_json,
)
from attractor.types import AttractorError


def test_a_new_writer_clears_away_what_killed_ones_left(tmp_path: Path) -> None:
    target = tmp_path / "au[d]it"
    for name in (".au[d]it.1.partial", ".au[d]it.99999.partial", ".other.1.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
    with atomic_directory(target) as partial:
        (partial / "whole").write_text("x")
    assert sorted(os.listdir(tmp_path)) == [".other.1.partial", "au[d]it"]
    assert os.listdir(target) == ["whole"]


def test_a_writer_that_is_at_work_keeps_what_it_has(tmp_path: Path) -> None:
    busy = tmp_path / ".audit.1.partial"
    busy.mkdir()
    with locked(busy), atomic_directory(tmp_path / "audit"):
        assert (busy / LOCK).is_file()
    assert sorted(os.listdir(tmp_path)) == [".audit.1.partial", "audit"]


def _write_and_die(target: Path) -> None:
    with atomic_directory(target) as partial:
        (partial / "half").write_text("x")
        os._exit(9)


def test_a_process_that_is_killed_gives_its_lock_back(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(
        target=_write_and_die, args=(tmp_path / "audit",)
    )
    writer.start()
    writer.join(60)
    assert len(list(tmp_path.glob(".audit.*.partial"))) == 1
    with atomic_directory(tmp_path / "audit"):
        pass
    assert os.listdir(tmp_path) == ["audit"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_whatever_library_found_it(error: Exception, tmp_path: Path) -> None:
    assert is_full(error)
    with (
        pytest.raises(AttractorError, match=r"the disk is full: '.*' could not be written"),
        naming_full_disk(tmp_path / "x"),
    ):
        raise error


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "no"), ValueError("(os error 13)")):
        with pytest.raises(type(error), match=r"no|13"), naming_full_disk(tmp_path / "x"):
            raise error


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{nonsense", "line 1, character 2, is no JSON"),
        (b"", "line 1, character 1, is no JSON"),
        (b'{"a":\n', "line 2, character 1, is no JSON"),
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "it holds a number of too many digits"),
        (b"[]", "it holds no JSON object"),
        (json.dumps("text").encode(), "it holds no JSON object"),
    ],
)
def test_a_damaged_file_of_ours_is_one_line(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    file.write_bytes(content)
    with pytest.raises(AttractorError) as error:
        read_json(file)
    assert said in str(error.value)
    assert "counts.json' is damaged" in str(error.value)
    assert "\n" not in str(error.value)

"""Rows know the text they were made of: a path that holds another text now is not gone on from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.config.settings import DataConfig
from attractor.data import fingerprint as marks
from attractor.data import stream
from attractor.data.corpus import read_documents
from attractor.data.dataset import Dataset, prepare_dataset
from attractor.data.fingerprint import changed, fingerprint, folder_digest, same
from attractor.data.sources import TextSource
from attractor.data.stream import Packed
from attractor.runs.folder import prepare
from attractor.types import AttractorError

LINES = [f"{i} {verse}" for i, verse in enumerate(read_documents("bible")[:2500])]
CONFIG = DataConfig(tokenizer="char", seq_len=16)


def touch(file: Path) -> None:
    os.utime(file, ns=(1, 1))


def append(file: Path) -> None:
    file.write_text(file.read_text() + "\none more line")


def swap_unseen(file: Path) -> None:
    """As long as before, and of the same time."""
    before, text = file.stat(), file.read_text()
    file.write_text(text[:50].swapcase() + text[50:])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_in_the_middle(file: Path) -> None:
    before, text = file.stat(), file.read_text()
    half = len(text) // 2
    file.write_text(text[:half] + text[half:].swapcase()[:50] + text[half + 50 :])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def add_a_file(file: Path) -> None:
    (file.parent / "b.txt").write_text("another file\nof text")


def add_a_run(file: Path) -> None:
    run = file.parent / "runs" / "x"
    run.mkdir(parents=True)
    (run / ".lock").touch()
    (run / "metrics.jsonl").write_text("{}")


def add_what_is_no_text(file: Path) -> None:
    (file.parent / "README.md").write_text("no text")
    (file.parent / "._a.txt").write_text("hidden")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join(LINES))
    return folder / "a.txt"


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        (touch, True),
        (append, False),
        (swap_unseen, False),
        (add_a_file, False),
        (add_what_is_no_text, True),
        (add_a_run, True),
    ],
)
def test_what_is_another_text(text: Path, change: Callable[[Path], None], is_same: bool) -> None:
    source = str(text.parent)
    mark = fingerprint(source, "char")
    assert changed(mark, source, "char") == ""
    change(text)
    assert same(mark, fingerprint(source, "char")) == is_same
    assert (changed(mark, source, "char") == "") == is_same


def test_a_change_inside_a_large_file_is_seen_where_its_time_is_another(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "ENDS", 100)
    mark = fingerprint(str(text), "char")
    swap_in_the_middle(text)
    assert changed(mark, str(text), "char") == ""  # taken for the same, at a glance
    assert not same(mark, fingerprint(str(text), "char"))
    touch(text)
    assert changed(mark, str(text), "char") == str(text)


def test_a_commit_and_a_tokenizer_are_part_of_it(text: Path, tmp_path: Path) -> None:
    assert not same(fingerprint("owner/name", "char", "a"), fingerprint("owner/name", "char", "b"))
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    mark = fingerprint(str(text), str(tokenizer))
    tokenizer.write_text("[]")
    assert changed(mark, str(text), str(tokenizer)) == str(tokenizer)
    text.unlink()
    assert changed(fingerprint("bible", "char"), "bible", "char") == ""


def test_a_folder_is_its_content(text: Path) -> None:
    digest = folder_digest(text.parent)
    touch(text)
    (text.parent / ".cache").mkdir()
    (text.parent / ".cache" / "time").write_text("now")
    assert folder_digest(text.parent) == digest
    add_a_file(text)
    assert folder_digest(text.parent) != digest


def packed(text: Path, out: Path, **changes: Any) -> Dataset:
    config = dataclasses.replace(CONFIG, source=str(text))
    return prepare(config, out / "data", **changes)


def documents_of(data: Dataset) -> int:
    return data.counts.documents


@pytest.mark.slow
@pytest.mark.parametrize("change", [append, swap_unseen, swap_in_the_middle, touch])
def test_packing_goes_on_over_the_same_text_only(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", 0)
    monkeypatch.setattr(stream, "SAVE", 10_000)
    monkeypatch.setattr(marks, "ENDS", 100)
    seen: list[Packed] = []

    def stop(progress: Packed) -> None:
        if progress.documents >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(text, tmp_path / "s", on_packing=stop)
    (left,) = tmp_path.glob(".s.packing-*")
    change(text)
    found = packed(text, tmp_path / "s", on_packing=seen.append)
    assert (seen[0].documents > 1000) == (change is touch)
    afresh = packed(text, tmp_path / "other")
    assert found.train.tobytes() == afresh.train.tobytes()
    assert found.test.tobytes() == afresh.test.tobytes()
    assert found.counts == afresh.counts
    assert found.digest == afresh.digest != ""
    assert not left.exists()


def test_force_packs_anew_and_leaves_nothing_behind(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", 0)
    monkeypatch.setattr(stream, "SAVE", 10_000)

    def stop(progress: Packed) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(text, tmp_path / "s", on_packing=stop)
    other = tmp_path / ".s.packing-of-another-config"
    other.mkdir()
    beside = tmp_path / ".t.packing-of-another-sweep"
    beside.mkdir()
    seen: list[Packed] = []
    packed(text, tmp_path / "s", on_packing=seen.append, anew=True)
    assert seen[0].documents == 1000
    assert not other.exists()
    assert beside.exists()


@pytest.mark.parametrize("large", [0, 2**27], ids=["streamed", "read at once"])
def test_a_finished_folder_is_not_taken_for_that_of_another_text(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", large)
    first = packed(text, tmp_path / "s")
    touch(text)
    assert packed(text, tmp_path / "s").digest == first.digest
    append(text)
    with pytest.raises(AttractorError, match=r"a.txt' has changed since .*--force") as error:
        packed(text, tmp_path / "s")
    assert "\n" not in str(error.value)
    text.unlink()  # what is packed needs it no more
    assert packed(text, tmp_path / "s").digest == first.digest
    (tmp_path / "s" / "data" / "source.json").unlink()  # as earlier versions wrote it
    assert packed(text, tmp_path / "s").digest == ""


def test_text_that_changes_while_it_is_read_is_refused(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.data.sources.LARGE", 0)
    with pytest.raises(AttractorError, match="has changed while it was read"):
        packed(text, tmp_path / "s", on_packing=lambda progress: append(text))
    assert not (tmp_path / "s" / "data").exists()


def test_a_new_commit_of_a_data_set_is_packed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SAVE", 10_000)
    commits: list[str] = []

    def found(*_: Any, **__: Any) -> TextSource:
        return TextSource(lambda: iter(LINES), None, "owner/name", commits[-1])

    monkeypatch.setattr("attractor.data.dataset.find_source", found)
    first: list[int] = []

    def stop(progress: Packed) -> None:
        first.append(progress.documents)
        if progress.documents >= 2000:
            raise KeyboardInterrupt

    config = dataclasses.replace(CONFIG, source="owner/name")
    for commit, start in (("a", 1000), ("a", 2500), ("b", 1000)):
        first.clear()
        commits.append(commit)
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(
                tmp_path / "out", config, building=tmp_path / "building", on_progress=stop
            )
        assert first[0] == start

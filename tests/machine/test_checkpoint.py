from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from attractor import AttractorError
from attractor.machine import checkpoint
from attractor.machine.checkpoint import load_checkpoint, save_checkpoint
from attractor.machine.files import atomic_directory, write_atomically

TENSORS = {
    "model": {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(1)},
    "ema": {"a": torch.zeros(2, 3)},
}


def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "step-1", TENSORS, {"step": 1})
    return tmp_path / "step-1"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    found = load_checkpoint(saved(tmp_path), "model", "ema")
    assert found.state["step"] == 1
    for name, group in TENSORS.items():
        assert all(torch.equal(found.tensors[name][key], value) for key, value in group.items())
    assert [p.name for p in tmp_path.iterdir()] == ["step-1"]


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_flipped_bit_is_noticed(tmp_path: Path, position: int) -> None:
    file = saved(tmp_path) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    with pytest.raises(AttractorError, match="does not match its checksum"):
        load_checkpoint(file.parent, "model")
    load_checkpoint(file.parent, "ema")


def test_missing_and_newer_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttractorError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "nothing", "model")
    folder = saved(tmp_path)
    (folder / "ema.safetensors").unlink()
    with pytest.raises(AttractorError, match=r"ema.safetensors' cannot be read"):
        load_checkpoint(folder, "ema")
    state = json.loads((folder / "state.json").read_text())
    del state["checksum"]
    with monkeypatch.context() as later:
        later.setattr(checkpoint, "SCHEMA", 3)
        newer = saved(tmp_path / "later")
    with pytest.raises(
        AttractorError, match=r"is of schema 3, made by a newer attractor; this one reads 2"
    ):
        load_checkpoint(newer, "model")
    (folder / "state.json").write_text(json.dumps(state | {"schema": 1}))
    with pytest.raises(AttractorError, match="made by an older attractor"):
        load_checkpoint(folder, "model")


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stop"), atomic_directory(target) as partial:  # noqa: PT012
        (partial / "half").write_text("x")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    with atomic_directory(target) as partial:
        (partial / "file").write_text("new")
        assert not target.exists()
    assert (target / "file").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_text_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", "1")
    write_atomically(tmp_path / "a.json", "2")
    assert (tmp_path / "a.json").read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]

"""Checkpoints of other people, by the sizes in their names, as a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import attractor
import tiny
from attractor import AttractorError
from attractor.cli import main
from attractor.config.settings import DataConfig, ProbeConfig
from attractor.data.dataset import open_dataset
from attractor.model.ddit import DDiT
from attractor.sweeps.checkpoints import find_checkpoints, measure_checkpoints

LENGTH = 12


def lightning(path: Path, vocab_size: int, seed: int, length: int = LENGTH) -> None:
    """A checkpoint in the layout of the paper's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DDiT(vocab_size, 16, 1, 2, 8, dropout=0.0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.05 * torch.randn(parameter.shape)
    named = {name: value.detach() for name, value in network.named_parameters()}
    told: dict[str, Any] = {
        "algo": {"name": "duo", "time_conditioning": True, "causal_attention": False},
        "noise": {"type": "log-linear", "eps": 1e-3},
        "model": {"length": length, "n_heads": 2, "hidden_size": 16, "n_blocks": 1, "cond_dim": 8},
    }
    content = {
        "state_dict": {f"backbone.{name}": value for name, value in named.items()},
        "ema": {"decay": 0.9999, "num_updates": 3, "shadow_params": list(named.values())},
        "hyper_parameters": {"config": told},
    }
    torch.save(content, path)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, and three checkpoints named by fractions of it."""
    folder = tmp_path_factory.mktemp("family")
    source = tiny.corpus(folder)
    tokenizer = attractor.data.tokenizer.Tokenizer.train_characters([source.read_text()])
    (folder / "models").mkdir()
    for seed, name in enumerate(("lm1b-toy-0.05", "lm1b-toy-0.2", "lm1b-toy-0.8")):
        lightning(folder / "models" / f"{name}.ckpt", tokenizer.vocab_size, seed)
    return folder


def options(family: Path, out: Path) -> list[str]:
    return [
        "measure", str(family / "models" / "*.ckpt"), "--sizes-from-names",
        "--data.source", str(family / "corpus.txt"), "--data.tokenizer", "char",
        "--out", str(out), "--t", "0.5", "--rows", "6", "--test-rows", "6", "--steps", "6",
        "--measure", "recovery", "entropy",
    ]  # fmt: skip


@pytest.mark.slow
def test_three_checkpoints_become_a_transition_and_a_report(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    assert main(options(family, out)) == 0
    summary = json.loads((out / "transition.json").read_text())
    total = len(open_dataset(out / "data").train)
    sizes = sorted({row["n_train"] for row in summary["rows"]})
    assert sizes == [int(total * share) for share in (0.05, 0.2, 0.8)]
    assert (out / "report.html").is_file()
    # The smallest size is measured with the checkpoint of its name.
    rows = open_dataset(out / "data").train[: min(6, sizes[0])]
    denoiser = attractor.load(family / "models" / "lm1b-toy-0.05.ckpt")
    expected = attractor.probes.conditional_entropy(denoiser, rows[:]).mean
    (found,) = (
        row["conditional_entropy"]
        for row in summary["rows"]
        if row["n_train"] == sizes[0] and row["split"] == "train"
    )
    assert found == pytest.approx(expected, rel=1e-5)
    # Asked once more, nothing is loaded or measured.
    before = (out / "transition.json").read_bytes()
    for path in (family / "models").glob("*.ckpt"):
        assert path.stat().st_size
    assert main(options(family, out)) == 0
    assert json.loads((out / "transition.json").read_text())["rows"] == json.loads(before)["rows"]


def measured(family: Path, pattern: str, out: Path) -> None:
    data = DataConfig(source=str(family / "corpus.txt"), tokenizer="char")
    probe = ProbeConfig(
        t=(0.5,), rows=4, test_rows=4, steps=4, measure=("recovery", "entropy"), generated=4
    )
    measure_checkpoints(find_checkpoints(pattern), data, probe, out)


def test_names_tell_the_sizes(family: Path, tmp_path: Path) -> None:
    found = find_checkpoints(str(family / "models" / "*.ckpt"))
    assert [checkpoint.size for checkpoint in found] == [0.05, 0.2, 0.8]
    with pytest.raises(AttractorError, match="matches no checkpoint"):
        find_checkpoints(str(tmp_path / "*.ckpt"))
    for name in ("final.ckpt", "n=64.ckpt", "b-64.ckpt"):
        (tmp_path / name).touch()
    with pytest.raises(AttractorError, match="does not end in the size of a training set"):
        find_checkpoints(str(tmp_path / "*.ckpt"))
    (tmp_path / "final.ckpt").unlink()
    with pytest.raises(AttractorError, match="are both of size 64"):
        find_checkpoints(str(tmp_path / "*.ckpt"))


def test_a_family_of_the_hub_is_found_by_its_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["tiny/lm1b-tiny-0.01.ckpt", "tiny/lm1b-tiny-1.00.ckpt", "small/lm1b-small-0.01.ckpt"]
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda self, repo: files)
    found = find_checkpoints("owner/models/tiny/*.ckpt")
    assert [(c.path, c.size) for c in found] == [
        ("owner/models/tiny/lm1b-tiny-0.01.ckpt", 0.01),
        ("owner/models/tiny/lm1b-tiny-1.00.ckpt", 1.0),
    ]


def test_what_is_no_family_is_refused(family: Path, tmp_path: Path) -> None:
    for name, vocab_size, length in (("a-0.1", 30, 12), ("a-0.5", 30, 10)):
        lightning(tmp_path / f"{name}.ckpt", vocab_size, 0, length)
    with pytest.raises(AttractorError, match=r"of another shape, noise or length|not theirs"):
        measured(family, str(tmp_path / "a-*.ckpt"), tmp_path / "out")
    lightning(tmp_path / "b-0.1.ckpt", 500, 0)
    with pytest.raises(AttractorError, match=r"it is not theirs; --data.tokenizer names it"):
        measured(family, str(tmp_path / "b-*.ckpt"), tmp_path / "out2")
    assert not (tmp_path / "out2").exists()

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

import attractor
import tiny
from attractor import AttractorError
from attractor.cli import main
from attractor.config.settings import RunConfig
from attractor.data.tokenizer import Tokenizer
from attractor.publish import export, push
from attractor.runs.run import run_alone


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run beside the transition.json of a sweep."""
    base = tiny.config(tiny.corpus(tmp_path_factory.mktemp("corpus")), steps=10)
    shared = {
        f.name: getattr(base, f.name)
        for f in dataclasses.fields(RunConfig)
        if f.name not in ("n_train", "seed")
    }
    folder = tmp_path_factory.mktemp("sweep")
    run_alone(
        RunConfig(n_train=16, **{**shared, "process": "hybrid"}),
        folder / "run",
        lambda progress: None,
    )
    places = [
        {"t": 0.3, "n_star": 92.4, "ci": [75.0, 104.0]},
        {"t": 0.8, "n_star": None, "ci": None},
    ]
    content = {"transition": places, "entropy_transition": {"n_star": 150.0, "ci": None}}
    (folder / "transition.json").write_text(json.dumps(content))
    return folder / "run"


def test_what_is_published_is_loaded_again(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "model")
    ours, again = attractor.load(run), attractor.load(folder)
    x_t, t = torch.randint(10, (2, 12)), torch.tensor([0.1, 0.7])
    assert torch.equal(ours.log_probs(x_t, t), again.log_probs(x_t, t))
    assert again.seq_len == ours.seq_len == 12
    assert vars(again.process) == vars(ours.process)
    assert Tokenizer.load(folder).vocab_size == again.process.text_size
    assert not torch.equal(
        attractor.load(export(run, tmp_path / "raw", "raw")).log_probs(x_t, t),
        ours.log_probs(x_t, t),
    )
    with pytest.raises(AttractorError, match="one set of weights"):
        attractor.load(folder, "raw")


def test_the_card_tells_the_numbers_and_no_paths(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "model", name="someone/model")
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: attractor\n")
    assert "hybrid noise on 16 rows of 12 tokens" in card
    assert card.count("| recovery rate |") == 2
    assert "n\\* = 92 [75, 104]" in card
    assert "conditional entropy: n\\* = 150\n" in card
    assert "t = 0.8: n" not in card
    metadata = json.loads((folder / "attractor.json").read_text())
    assert metadata["config"]["data"]["source"] == "corpus.txt"
    assert metadata["measurements"]
    everything = "".join(
        file.read_text() for file in folder.iterdir() if file.suffix in (".json", ".md")
    )
    assert str(run.parent) not in everything
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "attractor.json", "config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip


def test_push_uploads_that_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []

    class HfApi:
        def create_repo(self, repo: str, **kwargs: Any) -> None:
            calls.append((repo, kwargs))

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
            calls.append((repo_id, sorted(file.name for file in folder_path.iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", HfApi)
    assert push(run, "someone/model", private=True) == "https://huggingface.co/someone/model"
    assert calls[0] == ("someone/model", {"private": True, "exist_ok": True})
    assert "model.safetensors" in calls[1][1]
    monkeypatch.setattr(HfApi, "create_repo", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(AttractorError, match="cannot be published"):
        push(run, "someone/model")


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    assert main(["push", str(run), "someone/model", "--dry-run", str(folder)]) == 0
    assert "someone/model" in (folder / "README.md").read_text()
    assert main(["push", str(run), "someone/model", "--dry-run", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["push", str(tmp_path), "someone/model", "--dry-run", str(tmp_path / "x")]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_nothing(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("attractor.publish.save_file", full)
    assert main(["push", str(run), "someone/model", "--dry-run", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("attractor: the disk is full: '")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_transformers_reads_it_without_remote_code(run: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", minversion="5")
    import attractor.hf

    folder = export(run, tmp_path / "model")
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=False)
    denoiser = attractor.load(folder)
    x_t, t = torch.randint(10, (2, 12)), torch.tensor([0.1, 0.7])
    with torch.no_grad():
        found = model(input_ids=x_t, timesteps=denoiser.process.schedule.sigma(t), labels=x_t)
    log_probs = denoiser.process.distribution(found.logits, x_t)
    torch.testing.assert_close(log_probs, denoiser.log_probs(x_t, t))
    assert found.loss > 0
    half = transformers.AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.bfloat16)
    with torch.no_grad():
        torch.testing.assert_close(
            half(x_t).logits.float(), model(x_t).logits, rtol=0.05, atol=0.05
        )
    assert half.backbone.rotary_emb.inv_freq.dtype == torch.float32
    with pytest.raises(ValueError, match="the model knows no padding"):
        model(x_t, attention_mask=torch.tensor([[1] * 12, [1] * 8 + [0] * 4]))
    assert model(x_t, attention_mask=torch.ones_like(x_t)).logits.shape[:2] == (2, 12)
    model.save_pretrained(tmp_path / "again")
    again = attractor.load(tmp_path / "again")
    torch.testing.assert_close(again.log_probs(x_t, t), denoiser.log_probs(x_t, t))

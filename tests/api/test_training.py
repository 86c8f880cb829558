"""One model from Python: trained, opened again, and writing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import attractor
from attractor.api.progress import shown, training
from attractor.api.settings import run_settings
from attractor.cli import main
from attractor.config.presets import preset, single
from attractor.config.settings import RunConfig, SweepConfig
from attractor.sweeps.follow import RunEvent
from attractor.train.state import Progress


@pytest.fixture(scope="module")
def run(
    small_config: SweepConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[attractor.api.Run, dict[str, object]]:
    folder = tmp_path_factory.mktemp("one") / "run"
    sections = {name: getattr(small_config, name) for name in ("data", "model", "train", "probe")}
    return attractor.train_model(folder, n_train=16, progress=False, **sections), sections


def test_a_model_is_trained_once_and_is_that_of_the_sweep(
    run: tuple[attractor.api.Run, dict[str, object]], small_sweep: Path
) -> None:
    made, sections = run
    assert made.finished
    assert (made.n_train, made.seed) == (16, 0)
    in_sweep = attractor.open(f"{small_sweep}:n=16")
    assert isinstance(in_sweep, attractor.api.Run)
    table = made.to_pandas().query("measurement == 'recovery_rate'")
    assert list(table["value"]) == list(
        in_sweep.to_pandas().query("measurement == 'recovery_rate'")["value"]
    )
    before = (made.folder / "metrics.jsonl").stat().st_mtime_ns
    again = attractor.train_model(made.folder, n_train=16, progress=False, **sections)
    assert again.finished
    assert (made.folder / "metrics.jsonl").stat().st_mtime_ns == before
    with pytest.raises(attractor.AttractorError, match="was made with another config: n_train"):
        attractor.train_model(made.folder, n_train=17, progress=False, **sections)


def test_what_it_writes_is_what_the_command_prints(
    run: tuple[attractor.api.Run, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    made, _ = run
    texts = attractor.generate(made, 2, steps=10, temperature=0.5, seed=3).texts
    assert main(["generate", str(made.folder), "--n", "2", "--steps", "10",
                 "--temperature", "0.5", "--seed", "3"]) == 0  # fmt: skip
    assert capsys.readouterr().out.rstrip("\n") == "\n".join(texts).rstrip("\n")
    loaded = made.load()
    plain = attractor.sample(loaded, 2, steps=10)
    assert np.array_equal(attractor.generate(loaded, 2, steps=10), plain)
    with pytest.raises(attractor.AttractorError, match="temperature = 0"):
        attractor.generate(loaded, temperature=0)
    loaded.tokenizer = None
    with pytest.raises(attractor.AttractorError, match="comes without a tokenizer"):
        attractor.generate(loaded)


def test_settings_of_a_run_go_where_they_belong() -> None:
    base = single(preset("demo"))
    made = run_settings(base, {"n_train": 8, "seq_len": 16, "train": {"steps": 7}})
    assert (made.n_train, made.data.seq_len, made.train.steps) == (8, 16, 7)
    assert run_settings(RunConfig(), {}) == RunConfig()
    with pytest.raises(attractor.AttractorError, match="did you mean 'n_train'"):
        run_settings(base, {"n_trian": 8})
    with pytest.raises(attractor.AttractorError, match="there is no setting sizes"):
        run_settings(base, {"sizes": (8, 16)})


def without_widgets(monkeypatch: pytest.MonkeyPatch) -> tuple[Console, list[str]]:
    """The console of a notebook that has no widgets, and the lines that it will have said."""
    console, said = Console(force_jupyter=True, record=True), []
    monkeypatch.setattr("attractor.api.progress._has_widgets", lambda: False)
    monkeypatch.setattr(console, "print", lambda text, **how: said.append(text))
    return console, said


def test_without_widgets_a_notebook_gets_a_line_for_each_tenth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, said = without_widgets(monkeypatch)
    with training("n = 8", 40, console) as watched:
        for step in range(1, 41):
            watched.line(Progress(step=step, loss=2.0, grad_norm=1.0, lr=0.1, tokens_per_s=1000.0))
    assert said[0].startswith("a line for each tenth (pip install ipywidgets")
    assert len(said) == 11
    assert said[-1] == "n = 8: step 40 of 40, loss 2.000 nats  1,000 tokens/s"


def test_without_widgets_a_notebook_gets_a_line_for_each_model_of_a_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, said = without_widgets(monkeypatch)
    with shown(40, console) as watched:
        line = Progress(step=40, loss=2.0, grad_norm=1.0, lr=0.1, tokens_per_s=1000.0)
        for progress in (line, None):
            watched.runs(RunEvent(SimpleNamespace(title="n = 8"), progress))
    assert said[0].startswith("a line for each model that is done (pip install ipywidgets")
    assert said[1:] == ["n = 8: trained and measured"]

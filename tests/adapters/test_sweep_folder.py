"""A run is named by its sweep and its values, and a sweep is not taken for a run."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

import attractor
import tiny
from attractor.adapters.sweep_folder import find_run, resolved
from attractor.cli import main
from attractor.config.identity import to_json
from attractor.config.settings import MODELS, SweepConfig
from attractor.publish import export
from attractor.sweeps.plan import runs_of
from attractor.types import AttractorError


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two shapes, two sizes, two seeds; nothing but configs."""
    monkeypatch.chdir(tmp_path)
    base = tiny.config(tmp_path / "text.txt")
    config = dataclasses.replace(base, models=("demo", "tiny"), seeds=(0, 1))
    folder = Path("runs/s")
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(to_json(config))
    for model in MODELS:
        if model in config.models:
            for run in runs_of(config, model, (8, 128)):
                (folder / run.run_id).mkdir()
                (folder / run.run_id / "config.json").write_text(to_json(run.config))
    (folder / "data").mkdir()
    (folder / "data" / "config.json").write_text(to_json(config.data))
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{")
    return folder


def test_a_run_is_found_by_its_values(sweep: Path) -> None:
    found = find_run("runs/s:model=tiny,n=128,seed=1")
    config = json.loads((found / "config.json").read_text())
    assert (config["n_train"], config["seed"]) == (128, 1)
    assert config["model"]["hidden_size"] == MODELS["tiny"].hidden_size
    assert find_run("runs/s:seed=1,n=128,model=tiny") == found
    assert find_run(found) == found
    assert find_run("runs/s:model=tiny,n=0128,seed=1/") == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/s", "is a sweep, and one of its runs is wanted: 'runs/s:model=demo,n=8,seed=0', "
         ":model=demo,n=8,seed=1, :model=demo,n=128,seed=0"),
        ("runs/s:n=8,model=demo", "are 2 runs: 'runs/s:n=8,seed=0', :n=8,seed=1"),
        ("runs/s:n=9", "is no run of that sweep; there is 'runs/s:model=demo,n=8,seed=0'"),
        ("runs/s:n=9", "what 'runs/s/broken/config.json' is of cannot be told, since it is dam"),
        ("runs/s:n=8,n=128", "one is named as SWEEP:n=32"),
        ("runs/s:size=8", "one is named as SWEEP:n=32"),
        ("runs/s:n=", "one is named as SWEEP:n=32"),
        ("runs/s:n=32,768", "one is named as SWEEP:n=32"),
        ("runs/t:n=8", "'runs/t:n=8' does not exist"),
        ("x" * 5000, "is no path: File name too long"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_run_is_answered_with_those_there_are(
    sweep: Path, name: str, said: str
) -> None:
    with pytest.raises(AttractorError) as error:
        find_run(name)
    assert said in str(error.value)


@pytest.mark.parametrize("command", ["train", "sweep", "demo"])
def test_nothing_is_written_where_it_would_hide_a_run(
    sweep: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--out", "runs/s:n=8"]) == 2
    assert "'runs/s:n=8' is how a run of the sweep 'runs/s' is named" in capsys.readouterr().err
    assert not Path("runs/s:n=8").exists()


def test_what_a_sweep_is_shown_beside_is_looked_for_before_any_work(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.sweeps.run.summarize", pytest.fail)
    for other, said in (
        ("runs/s:model=demo,n=8,seed=0", "is a run, and a whole sweep is wanted"),
        ("runs/nope", "holds no sweep"),
    ):
        assert main(["report", "runs/s", "--beside", other]) == 2
        assert said in capsys.readouterr().err


def test_a_pipe_for_a_config_is_not_waited_for(sweep: Path) -> None:
    os.mkfifo("config.json")
    with pytest.raises(AttractorError, match="of no family that is known"):
        attractor.load(".")


def test_a_folder_of_that_very_name_comes_first(sweep: Path) -> None:
    Path("runs/s:n=8").mkdir()
    assert resolved("runs/s:n=8") == Path("runs/s:n=8")


def test_a_run_that_has_not_been_trained_yet_is_called_that(sweep: Path) -> None:
    with pytest.raises(AttractorError, match="a run without a checkpoint yet"):
        attractor.load("runs/s:model=tiny,n=8,seed=0")


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "{}"],
        ["probe", "{}"],
        ["audit", "{}"],
        ["audit", "{}", "--own-data"],
        ["push", "{}", "a/b", "--dry-run", "x"],
    ],
)
def test_every_command_that_wants_a_run_lists_those_of_a_sweep(
    sweep: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format("runs/s") for word in command]) == 2
    error = capsys.readouterr().err
    assert "is a sweep, and one of its runs is wanted: 'runs/s:model=demo" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["report", "{}"], ["twins", "{}"], ["reference", "{}", "--out=x", "--name=x"]]
)
def test_every_command_that_wants_a_sweep_tells_a_run_from_one(
    sweep: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format("runs/s:model=tiny,n=8,seed=0") for word in command]) == 2
    assert "is a run, and a whole sweep is wanted" in capsys.readouterr().err


def test_a_run_of_a_sweep_is_taken_everywhere(
    copied_sweep: Path,
    small_config: SweepConfig,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"{copied_sweep}:n=16"
    run = find_run(name)
    assert attractor.load(name).seq_len == attractor.load(run).seq_len
    assert main(["generate", name, "--n=2", "--steps=4"]) == 0
    written = capsys.readouterr().out
    assert main(["generate", str(run), "--n=2", "--steps=4"]) == 0
    assert capsys.readouterr().out == written
    # What it was measured with are the defaults: so there is nothing left to do.
    assert main(["probe", name]) == 0
    assert f"results  {run}" in capsys.readouterr().out
    more = ["--measure=likelihood", "--seed=1"]
    assert main(["measure", name, *more]) == 0
    assert len(list(run.glob("probes/*/results.parquet"))) == 1
    assert len(list(copied_sweep.glob("*/probes/*"))) == 1
    assert main(["push", name, "a/b", f"--dry-run={tmp_path / 'pushed'}"]) == 0
    assert export(run, tmp_path / "again", name="a/b").is_dir()
    quick = ["--n=4", "--rows=4", "--steps=4", "--own-data"]
    assert main(["audit", name, f"--out={tmp_path / 'audit'}", *quick]) == 0
    assert json.loads((tmp_path / "audit" / "audit.json").read_text())["model"] == run.name


def test_runs_of_other_orders_of_the_data_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(tiny.config(tmp_path / "text.txt"), data_seeds=(0, 3))
    folder = Path("runs/s")
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(to_json(config))
    for run in runs_of(config, "", (8,)):
        (folder / run.run_id).mkdir()
        (folder / run.run_id / "config.json").write_text(to_json(run.config))
    with pytest.raises(AttractorError, match="are 2 runs: 'runs/s:n=8,data_seed=0', :n=8,data_"):
        resolved("runs/s:n=8")
    found = json.loads((resolved("runs/s:n=8,data_seed=3") / "config.json").read_text())
    assert found["data"]["order"] == 3

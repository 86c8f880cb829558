"""A path means what its user means, and where nothing can be written is known before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import main, parse
from attractor.cli.paths import ready
from attractor.machine.paths import expanded, require_writable
from attractor.types import AttractorError

WRITING = [
    ["demo", "--out={}"],
    ["sweep", "--out={}"],
    ["train", "--out={}"],
    ["theory", "--out={}"],
    ["explore", "--out={}"],
    ["audit", "model", "--out={}"],
    ["reference", "sweep", "--name=x", "--out={}"],
    ["push", "run", "a/b", "--dry-run={}"],
]
"""Every command that is told where to write."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("home", "run"):
        Path(folder).mkdir()
    return tmp_path / "home"


def prepared(command: list[str], value: str) -> Any:
    return ready(parse([word.format(value) for word in command]))


@pytest.mark.parametrize("command", WRITING)
def test_home_is_meant_by_every_option_that_says_where_to_write(
    command: list[str], home: Path
) -> None:
    made = prepared(command, "~/x")
    assert home / "x" in (getattr(made, "out", None), getattr(made, "dry_run", None))
    assert not (home / "x").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["sweep", "--out=x", "--data.source={}"],
        ["sweep", "--out=x", "--data.tokenizer={}"],
        ["train", "--out=x", "--probe.judge={}"],
        ["measure", "{}"],
        ["report", "{}"],
        ["report", "x", "--beside", "{}"],
        ["report", "x", "--style={}"],
        ["twins", "{}"],
        ["explore", "{}"],
        ["audit", "{}"],
        ["audit", "model", "--train={}"],
        ["audit", "model", "--test={}"],
        ["audit", "model", "--tokenizer={}"],
        ["audit", "model", "--reference={}"],
        ["probe", "run", "--text={}"],
        ["probe", "{}"],
        ["generate", "{}"],
        ["push", "{}", "a/b"],
    ],
)
def test_home_is_meant_by_every_option_that_says_where_to_read(
    command: list[str], home: Path
) -> None:
    (home / "x").mkdir()
    made = repr(prepared(command, "~/x"))
    assert str(home / "x") in made
    assert "~" not in made


def test_a_home_that_nobody_has_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--out=~nobody-at-all/x"]) == 2
    assert "'~nobody-at-all/x' is no path: there is no such user here" in capsys.readouterr().err


@pytest.mark.parametrize("command", WRITING)
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file/inside", "is a file, so"),
        ("dangling", "is a link that leads nowhere"),
        ("dangling/inside", "is a link that leads nowhere"),
        ("n" * 300, "has 300 bytes"),
        ("n" * 250, "has 250 bytes"),
        ("/".join(["long"] * 900), "the path '"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused_before_any_work(
    command: list[str], place: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    assert main([word.format(place) for word in command]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert len(error) < 800
    assert sorted(os.listdir()) == ["dangling", "file", "home", "run"]


def test_permissions_are_tried_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write where permissions forbid it, and nobody on a disk that is read-only."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(AttractorError, match=r"cannot be written to \(Read-only file system\)"):
        require_writable(Path("new/folder"))
    assert not Path("new").exists()


def test_a_plan_writes_nothing_and_needs_no_place() -> None:
    for command in (["sweep", "--dry-run"], ["train", "--dry-run"], ["sweep", "--status"]):
        assert prepared([*command, "--out={}"], "n" * 300).written == ()


def test_paths_without_a_home_stay_as_they_are() -> None:
    assert expanded("runs/~x") == Path("runs/~x")
    made = prepared(["sweep", "--out=x", "--data.source={}"], "bible")
    assert made.config.data.source == "bible"


@pytest.mark.parametrize("command", ["generate", "probe", "push"])
def test_what_is_not_here_is_not_asked_for_on_the_hub(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.machine.hub.why_closed", pytest.fail)
    Path("runs/demo").mkdir(parents=True)
    extra = ["a/b"] if command == "push" else []
    assert main([command, "runs/dmeo", *extra]) == 2
    assert (
        capsys.readouterr().err
        == "attractor: 'runs/dmeo' does not exist; did you mean 'runs/demo'?\n"
    )


@pytest.mark.parametrize("option", ["--n", "--steps"])
def test_a_number_that_nothing_could_compute_with_is_named(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "run", option, str(2**70)]) == 2
    assert f"{option[2:]} = {2**70} must be below 2^63" in capsys.readouterr().err


def test_what_is_there_is_no_slip_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    Path("page.html").touch()
    assert main(["report", "page.html"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_pipe_for_a_tokenizer_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(name)
    Path("text.txt").write_text("".join(f"document {i}\n" for i in range(40)))
    arguments = ["train", "--out=x", "--data.source=text.txt", f"--data.tokenizer={name}"]
    assert main(arguments) == 2
    assert f"'{name}' is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "runs/dmeo"],
        ["train", "--out=x", "--data.source=runs/dmeo"],
        ["train", "--out=x", "--data.tokenizer=runs/dmeo"],
    ],
)
def test_a_mistyped_folder_is_not_asked_for_on_the_hub(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("data.sources.why_closed", "data.tokenizer.download", "adapters.source.download"):
        monkeypatch.setattr(f"attractor.{place}", pytest.fail)
    Path("runs/demo").mkdir(parents=True)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "does not exist in the folder 'runs' here" in error
    assert "did you mean 'runs/demo'?" in error


@pytest.mark.parametrize("seed", ["-1", str(2**70), str(2**63)])
@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "run", "--seed={}"],
        ["sweep", "--out=x", "--seeds={}"],
        ["sweep", "--out=x", "--data.seed={}"],
        ["train", "--out=x", "--seed={}"],
        ["train", "--out=x", "--probe.seed={}"],
        ["audit", "run", "--seed={}"],
        ["theory", "--out=x", "--seeds={}"],
    ],
)
def test_a_seed_is_a_seed_everywhere(
    arguments: list[str], seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(seed) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert f"= {seed}" in error or f"({seed},)" in error
    assert "2^" in error
    assert not Path("x").exists()


@pytest.mark.parametrize(
    "name",
    ["a b//c", "a/b/c", "b", "/b", "a/", "a/-b", "a/b.git", "a/..", "\u00fc/x", "a/b--c",
     "a/" + "x" * 97, "a/b\n"],
)  # fmt: skip
def test_a_name_that_the_hub_does_not_take_is_refused_at_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in ([], ["--dry-run=x"]):
        assert main(["push", "run", name, *extra]) == 2
        assert "cannot be the name of a model on the Hub" in capsys.readouterr().err
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers=0"], "workers = 0 must be at least 1"),
        (["--adaptive", "--precision=1"], "precision = 1.0 must be above 1"),
        (["--adaptive", "--at-once=0"], "at_once = 0 at least 1"),
    ],
)
def test_settings_of_a_sweep_are_checked_before_its_text_is_packed(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("attractor.sweeps.run.prepare", pytest.fail)
    assert main(["sweep", "--out=x", *arguments]) == 2
    out, error = capsys.readouterr()
    assert said in error
    assert out == ""
    assert not Path("x").exists()

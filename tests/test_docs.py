"""Tutorials run and print what they say; every command in the documentation is understood."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
from pathlib import Path

import pytest

from attractor.cli import main, parse

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    blocks = "".join(
        code for kind, code in BLOCK.findall(page.read_text()) if kind == "sh"
    ).replace("\\\n", " ")
    lines = (line.strip() for line in blocks.splitlines())
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("attractor ")]


@pytest.mark.parametrize("page", ["exact-models", "find-the-transition"])
def test_tutorials_print_what_they_say(page: str) -> None:
    names: dict[str, object] = {}
    printed, compared = "", 0
    for kind, code in BLOCK.findall((DOCS / "tutorials" / f"{page}.md").read_text()):
        if kind == "python":
            assert not printed, f"the page does not show {printed!r}"
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, f"{page}.md", "exec"), names)
            printed = out.getvalue()
        elif kind == "text":
            assert printed == code
            printed, compared = "", compared + 1
    assert compared
    assert not printed


@pytest.mark.slow
def test_the_shell_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in commands(DOCS / "tutorials/shell.md"):
        assert main(command) == 0, command
    assert "undecided" in capsys.readouterr().out.lower()
    for path in ("audits/one/audit.html", "audits/one/card.md", "published/model.safetensors"):
        assert (tmp_path / path).is_file()


def test_the_tutorial_of_an_own_model_shows_what_the_example_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (DOCS / "tutorials/own-model.md").read_text()
    assert '--8<-- "examples/own_denoiser.py"' in text
    runpy.run_path(str(DOCS.parent / "examples/own_denoiser.py"), run_name="__main__")
    assert capsys.readouterr().out in text


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.name
)
def test_commands_are_understood(page: Path) -> None:
    for command in commands(page):
        parse(command)


def test_the_table_of_commands_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    usage = capsys.readouterr().out
    listed = re.search(r"\{([\w,-]+)\}", usage)
    assert listed is not None
    assert re.findall(
        r"^\| `(\w+)` \|", (DOCS / "commands.md").read_text(), re.MULTILINE
    ) == listed[1].split(",")

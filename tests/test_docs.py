"""Tutorials run and print what they say; every command in the documentation is understood."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from docs import hooks, notebooks

from attractor.api.tables import COLUMNS
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


@pytest.mark.parametrize(
    "page",
    [
        "exact-models",
        "find-the-transition",
        pytest.param("audit", marks=pytest.mark.slow),
        pytest.param("your-own-text", marks=pytest.mark.slow),
    ],
)
def test_tutorials_print_what_they_say(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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


TUTORIALS = sorted(notebooks.PAGES.glob("*.md"))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_notebooks_are_those_of_the_tutorials(page: Path) -> None:
    file = notebooks.FOLDER / f"{page.stem}.ipynb"
    assert file.read_text(encoding="utf-8") == notebooks.written(page), (
        "python -m docs.notebooks writes it again"
    )
    content = json.loads(file.read_text(encoding="utf-8"))
    kinds = [cell["cell_type"] for cell in content["cells"]]
    assert kinds[:2] == ["markdown", "code"]
    assert content["cells"][1]["source"] == ["%pip install attractor"]
    code = ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]
    assert len(code) > 1
    for cell in code:
        if not cell.startswith(("!", "%")):
            compile(cell, page.stem, "exec")
    assert len({cell["id"] for cell in content["cells"]}) == len(kinds)


def test_a_notebook_opens_where_the_sources_are() -> None:
    page = TUTORIALS[0]
    there = (
        f"https://colab.research.google.com/github/o/n.x/blob/main/docs/notebooks/{page.stem}.ipynb"
    )
    for sources in ("https://github.com/o/n.x", "https://github.com/o/n.x.git"):
        cells = notebooks.notebook(page, sources)["cells"]
        assert cells[0]["source"][-1] == f"[Open in Colab]({there})"
        assert cells[1]["source"] == [notebooks.INSTALL]
    for elsewhere in ("", "https://example.org/o/n", "https://github.com/o"):
        assert notebooks.hosted(page, elsewhere) == ""
    # pyproject.toml is the one place that knows; the pages of the site follow it.
    link = notebooks.hosted(page, notebooks.repository())
    shown = SimpleNamespace(file=SimpleNamespace(abs_src_path=str(page)))
    assert hooks.on_page_markdown("# Title\n\ntext", shown).startswith(
        f"# Title\n\n{link}\n" if link else "# Title\n\ntext"
    )


def test_each_tutorial_has_its_notebook() -> None:
    assert [page.stem for page in TUTORIALS] == sorted(
        file.stem for file in notebooks.FOLDER.glob("*.ipynb")
    )


def test_the_columns_of_the_table_are_documented() -> None:
    page = (DOCS / "api" / "notebooks.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert dict(listed) == COLUMNS


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

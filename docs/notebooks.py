"""The tutorials as notebooks, made of the pages whose code the tests run and whose output they
compare.

`python -m docs.notebooks` writes docs/notebooks/*.ipynb; a test says which are out of date.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES, FOLDER = ROOT / "docs" / "tutorials", ROOT / "docs" / "notebooks"
INSTALL = "%pip install attractor"
FENCE = re.compile(r"^``` ?(?:\{ \.)?(\w+)(?: \})?\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'^--8<-- "(.+)"\n$')
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")


def repository() -> str:
    """Where pyproject.toml says that the sources are; empty while it names no such place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project.get("urls", {}).get("Repository", ""))


def hosted(page: Path, sources: str) -> str:
    """A link that opens the notebook of a tutorial in Colab, which takes those that lie on GitHub;
    empty where the sources lie elsewhere, or nowhere."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", sources)
    if found is None:
        return ""
    place = f"{found[1]}/blob/main/{FOLDER.relative_to(ROOT)}/{page.stem}.ipynb"
    return f"[Open in Colab](https://colab.research.google.com/github/{place})"


def notebook(page: Path, sources: str | None = None) -> dict[str, Any]:
    """A tutorial as a notebook: its code as cells, what it prints as their output.

    Args:
        page: the tutorial.
        sources: where the sources are, for the link that opens it; that of `repository` unless
            given.
    """
    cells = list(_cells(page.read_text(encoding="utf-8")))
    if link := hosted(page, repository() if sources is None else sources):
        cells[0]["source"] += ["\n", "\n", link]
    cells.insert(1, _code(INSTALL))
    for i, cell in enumerate(cells):
        cell["id"] = f"{page.stem}-{i}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def written(page: Path) -> str:
    """The notebook as the text of its file."""
    return json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"


def _cells(text: str) -> Iterator[dict[str, Any]]:
    head, _, rest = text.partition("\n")
    yield _prose(head)
    last, code = 0, None
    for found in FENCE.finditer(rest):
        yield from _between(rest[last : found.start()])
        kind, inside = found[1], found[2]
        if rest[last : found.start()].strip():
            code = None if kind == "text" else code
        if kind == "text" and code is not None:
            code["outputs"] = [_printed(inside)]
        elif kind == "text":
            yield _prose(found[0].rstrip("\n"))
        else:
            code = _code(_runnable(kind, inside))
            yield code
        last = found.end()
    yield from _between(rest[last:])


def _runnable(kind: str, code: str) -> str:
    """Code of a page as a cell takes it."""
    if kind == "sh":
        return "\n".join(f"!{line}" for line in code.replace("\\\n", " ").splitlines() if line)
    if snippet := SNIPPET.match(code):
        return (ROOT / snippet[1]).read_text(encoding="utf-8").rstrip("\n")
    return code.rstrip("\n")


def _between(text: str) -> Iterator[dict[str, Any]]:
    if text.strip():
        # Pages are not beside the notebook, wherever it is opened.
        yield _prose(RELATIVE.sub(r"\1", text.strip()))


def _prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": text.splitlines(keepends=True),
    }


def _printed(text: str) -> dict[str, Any]:
    return {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for tutorial in sorted(PAGES.glob("*.md")):
        (FOLDER / f"{tutorial.stem}.ipynb").write_text(written(tutorial), encoding="utf-8")

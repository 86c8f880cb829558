"""The tutorials as notebooks, made of the pages whose code the tests run and whose output they
compare.

`python -m docs.notebooks` writes docs/notebooks/*.ipynb; a test says which are out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES, FOLDER = ROOT / "docs" / "tutorials", ROOT / "docs" / "notebooks"
INSTALL = "%pip install attractor"
FENCE = re.compile(r"^``` ?(?:\{ \.)?(\w+)(?: \})?\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'^--8<-- "(.+)"\n$')
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")


def notebook(page: Path) -> dict[str, Any]:
    """A tutorial as a notebook: its code as cells, what it prints as their output."""
    cells = list(_cells(page.read_text(encoding="utf-8")))
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

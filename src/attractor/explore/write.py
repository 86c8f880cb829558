"""`attractor explore`: one self-contained page, and a still of it for the report."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

from attractor.explore.collect import of_reference, of_sweep
from attractor.explore.content import Content, content
from attractor.explore.still import still
from attractor.machine.files import write_atomically
from attractor.report.template import environment
from attractor.types import AttractorError

FILE, STILL = "explorer.html", "explorer.svg"
JS = Path(__file__).parent / "js"
ENGINE = ("kernel", "network", "noise", "reverse", "engine")
"""Modules of what computes, each after those that it imports; they run in a worker."""
PAGE = ("words", "dom", "tokenizer", "lines", "nearest", "trained", "state", "source", "fall",
        "token", "basin", "filling", "gif", "picture", "keeping", "player", "tour", "controls",
        "main")  # fmt: skip
"""Modules of what is seen."""


def write_explorer(
    sweep: Path | None = None,
    out: Path | None = None,
    on_progress: Callable[[str], None] = lambda done: None,
) -> Path:
    """Write the explorer of a sweep.

    Args:
        sweep: its folder; the models that ship with the package unless given.
        out: file to write; `explorer.html` in the folder of the sweep, or here without one, unless
            given. In the folder of a sweep a still is written beside it, which the report shows.
        on_progress: told of each model that is done.

    Returns:
        the page.

    Raises:
        AttractorError: if there is no such sweep, or none of its models is trained.
    """
    path = out or (Path(FILE) if sweep is None else Path(sweep) / FILE)
    if path.is_dir():
        raise AttractorError(f"'{path}' is a folder; name the file to write, such as {path / FILE}")
    found = of_reference() if sweep is None else of_sweep(sweep)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render(content(found, on_progress)))
    if sweep is not None and out is None:
        write_atomically(path.with_name(STILL), still(found))
    return path


def render(made: Content) -> str:
    """The page as text."""
    env = environment("attractor.explore")
    weights = {name: base64.b64encode(data).decode() for name, data in made.weights.items()}
    return env.get_template("explorer.html.j2").render(
        said=made.said,
        # A text of the corpus may hold what would end the script element that it stands in.
        content=json.dumps(made.said, separators=(",", ":")).replace("<", "\\u003c"),
        engine=bundle(ENGINE),
        script=bundle((*ENGINE, *PAGE)),
        weights=weights,
    )


def bundle(modules: tuple[str, ...]) -> str:
    """Modules as one script: imports and the word `export` are taken out, since a page that is
    opened from disk may load no other file.

    Raises:
        ValueError: if two modules have the same name at their top, which one script cannot hold.
    """
    parts: list[str] = []
    names: dict[str, str] = {}
    for module in modules:
        text = (JS / f"{module}.js").read_text(encoding="utf-8")
        text = re.sub(r"^import\b[^;]*;\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
        for name in re.findall(
            r"^(?:const|let|class|function\*?|async function) (\w+)", text, re.M
        ):
            if name in names:
                raise ValueError(f"{name} is both in {names[name]}.js and in {module}.js")
            names[name] = module
        parts.append(text)
    return '"use strict";\n' + "\n".join(parts)

"""What users copy from must run."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from attractor.cli import parse

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_examples_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_commands_in_the_readme_are_understood() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line.split("#")[0] for line in lines if line.startswith("attractor ")]
    assert len(commands) >= 5
    for command in commands:
        parse(shlex.split(command)[1:])


def test_readme_names_what_the_package_exports() -> None:
    import attractor

    python = "".join(
        re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    )
    used = set(re.findall(r"attractor\.(\w+)", python)) - {"load"}
    assert {"sample", "probes"} <= used
    assert all(hasattr(attractor, name) for name in used)


def test_makefile_has_the_two_commands() -> None:
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "test-all", "lint", "setup"):
        assert re.search(rf"^{target}:", text, re.MULTILINE)

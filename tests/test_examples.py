"""What users copy from must run."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
from docs import demo

from attractor.cli import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_examples_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_commands_in_the_readme_are_understood() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line.split("#")[0] for line in lines if line.startswith("attractor ")]
    assert len(commands) >= 5
    for command in commands:
        parse(shlex.split(command)[1:])


def test_readme_names_what_the_package_exports() -> None:
    import attractor

    python = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    used = set(re.findall(r"attractor\.(\w+)", python)) - {"load"}
    assert "probes" in used
    assert all(hasattr(attractor, name) for name in used)


def test_the_readme_is_read_in_minutes() -> None:
    assert len(README.encode()) <= 6 * 1024
    for command in ("make demo ", "make test "):
        assert README.count(f"\n{command}") == 1


@pytest.mark.slow
def test_the_python_of_the_readme_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert block is not None
    exec(compile(block[1], "README.md", "exec"), {})
    assert capsys.readouterr().out == block[2]


def test_links_and_pictures_of_the_readme_are_there() -> None:
    found = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", README)
    files = {link or picture for link, picture in found}
    assert len(files) > 15
    for file in (file for file in files if not file.startswith("http")):
        assert (ROOT / file).is_file(), file


def summary(n_star: float | None) -> dict[str, object]:
    """A transition.json of two sizes with round numbers."""
    rows = [
        {"n_train": n, "seed": 0, "split": split, "t": t, "recovery_rate": rate,
         "recovery_ci": [rate - 0.1, rate + 0.1], "unstable_rate": 0.25,
         "conditional_entropy": 0.5, "entropy_ci": [0.4, 0.6]}
        for t in (0.3, 0.15)
        for n, rates in ((1024, (0.5, 0.5)), (32, (0.92, 0.2)))
        for split, rate in zip(("train", "test"), rates, strict=True)
    ]  # fmt: skip
    ends = None if n_star is None else [n_star / 2, n_star * 2]
    star = {"t": 0.15, "n_star": n_star, "ci": ends, "sizes": None, "reason": "too few sizes"}
    return {"rows": rows, "transition": [star | {"t": 0.3}, star]}


def test_the_demo_in_the_readme_is_reprinted_from_its_summary() -> None:
    assert demo.excerpt(summary(100.0)).splitlines() == [
        "training rows  training text returns  unseen text returns  basin advantage",
        "           32                    92%                  20%             0.90",
        "        1,024                    50%                  50%             0.00",
        "",
        "n* = 100 at t = 0.15 [50, 200]",
    ]
    assert demo.excerpt(summary(None)).endswith("\n\nno n* at t = 0.15: too few sizes")
    printed = demo.whole(summary(100.0))
    assert "0.920 [0.820, 1.020]  0.200 [0.100, 0.300]  0.90" in printed
    assert "t = 0.15: n* = 100 [50, 200]" in printed
    assert all(len(line) < 200 for line in printed.splitlines())


@pytest.mark.parametrize("name", demo.PAGES)
def test_the_pages_with_the_demo_have_a_place_for_it(name: str) -> None:
    text = (ROOT / name).read_text()
    filled = demo.filled(text, "printed")
    assert demo.filled(filled, "printed") == filled
    assert filled.count("```text\nprinted\n```") == 1
    shown = text.partition(demo.BEGIN)[2].partition(demo.END)[0]
    assert "n* = " in shown or "no n*" in shown


def test_makefile_has_the_two_commands() -> None:
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "test-all", "lint", "setup"):
        assert re.search(rf"^{target}:", text, re.MULTILINE)

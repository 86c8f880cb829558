"""What is released works where there is no repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from wheels import built

SMALL = [
    "--sizes", "16", "64", "--train.steps", "20", "--probe.rows", "8", "--probe.test-rows", "8",
    "--probe.steps", "20", "--probe.generated", "8", "--probe.measure", "recovery", "entropy",
]  # fmt: skip
PYTHON = """
import attractor
s = attractor.open("runs/demo")
assert "site-packages" in attractor.__file__, attractor.__file__
assert [run.finished for run in s.runs.values()] == [True, True]
assert s.plot.recovery().data
print(attractor.sample(attractor.load("reference:n=1024", device="cpu"), 1, steps=8).texts)
"""


@pytest.mark.slow
def test_a_wheel_runs_the_demo_in_a_clean_environment(tmp_path: Path) -> None:
    """The demo with few steps, by a wheel built of a copy; its dependencies are those of this
    environment, and the package is not."""
    wheel = built(tmp_path)
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = next(home.glob("lib/python*/site-packages"))
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True)
    # After the new package, so that only what it needs is found there.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for command in (
        ["-m", "attractor", "--version"],
        ["-m", "attractor", "sweep", "--out", "runs/demo", "--workers", "1", *SMALL],
        ["-m", "attractor", "generate", "runs/demo:n=64", "--n", "1", "--steps", "8"],
        ["-c", PYTHON],
    ):
        done = subprocess.run(
            [str(python), *command], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
    assert (tmp_path / "runs" / "demo" / "report.html").is_file()

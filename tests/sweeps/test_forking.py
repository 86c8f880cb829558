"""Workers start whatever the script and the machine are like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny

SCRIPT = """
import sys
from pathlib import Path
with open(sys.argv[1] + ".log", "a") as log:
    print("imported", file=log)
from attractor.cli import main
code = main(sys.argv[2:])
sys.exit(code)
"""
"""A script without `if __name__ == "__main__"`."""


@pytest.mark.slow
def test_a_script_without_a_guard_sweeps_once_and_a_long_tmpdir_is_no_hindrance(
    tmp_path: Path,
) -> None:
    corpus, script = tiny.corpus(tmp_path), tmp_path / "script.py"
    script.write_text(SCRIPT)
    long = tmp_path / ("t" * 100)
    long.mkdir()
    arguments = [
        "sweep", f"--out={tmp_path / 's'}", f"--data.source={corpus}", "--sizes", "8", "16",
        "--data.tokenizer=char", "--data.seq-len=12", "--model.hidden-size=16",
        "--model.n-blocks=1", "--model.n-heads=2", "--model.cond-dim=8", "--train.steps=10",
        "--train.batch-size=8", "--train.validation-rows=8", "--probe.t", "0.5", "--probe.rows=8",
        "--probe.test-rows=8", "--probe.steps=4", "--probe.measure", "recovery", "entropy",
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, str(script), str(script), *arguments],
        env=os.environ | {"TMPDIR": str(long)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "script.py.log").read_text() == "imported\n"
    assert len(list((tmp_path / "s").glob("*/results.parquet"))) == 2

"""One rendered page of a made-up sweep, shared by the tests that only read it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import made_up

from attractor.report.page import write_report


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made_up.write(
        tmp_path_factory.mktemp("sweeps") / "demo", made_up.full(), made_up.passages()
    )
    return write_report(folder)

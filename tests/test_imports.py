"""What is loaded when: torch takes seconds, and whoever reads a report or asks for help needs none
of it. Each test asks a fresh interpreter, because this one has loaded everything."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import attractor

LIGHT = [
    "report",
    "analysis",
    "results",
    "config",
    "machine.files",
    "machine.units",
    "cli.commands",
    "measurements",
]
"""Packages, each with all its modules, and modules that never load torch."""
RUNS = "attractor.measurements.subject"
"""Holds a model and its text: what measurements import when they run, and not before."""


def modules_of(name: str) -> list[str]:
    module = importlib.import_module(f"attractor.{name}")
    inside = pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}.")
    names = [module.__name__, *(found.name for found in inside)]
    return [name for name in names if name != RUNS]


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", LIGHT)
def test_torch_is_not_loaded(name: str) -> None:
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} loads torch'\n"
    )
    run(script, *modules_of(name))


def test_the_package_loads_nothing_until_a_name_is_used() -> None:
    script = (
        "import sys, attractor\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
        "attractor.__version__, attractor.AttractorError, dir(attractor)\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
        "attractor.LogLinear()\n"
        "assert 'torch' in sys.modules\n"
        "for name in attractor.__all__:\n"
        "    getattr(attractor, name)\n"
        "attractor.adapters.FAMILIES, attractor.config.preset\n"
        "attractor.model.network.NetworkDenoiser\n"
    )
    run(script)


def test_public_names_are_listed_and_others_are_none() -> None:
    assert {*attractor.__all__, "__version__"} <= set(dir(attractor))
    with pytest.raises(AttributeError, match="'attractor' has no attribute 'denoiser'"):
        attractor.denoiser  # noqa: B018


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["sweep", "--help"], ["measure", "--help"], ["sweep"]]
)
def test_the_command_line_explains_itself_without_torch(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from attractor.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "loaded = {'torch', 'numpy', 'scipy', 'rich.progress'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    run(script, *arguments)


@pytest.mark.slow
def test_counting_weights_loads_no_compiler() -> None:
    """A report and a plan only count them, and torch's compiler takes seconds to load."""
    script = (
        "import sys\n"
        "from attractor.config.presets import preset\n"
        "from attractor.runs.measure import parameter_count\n"
        "assert parameter_count(preset('demo'), 100) > 200_000\n"
        "assert not {'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)\n"
    )
    run(script)

"""What the demo shows: replay at one end of its sizes, retrieval of unseen text at the other."""

from __future__ import annotations

import dataclasses

import pytest

from attractor.analysis.advantage import basin_advantage
from attractor.config.presets import preset
from attractor.results.tables import Row, read_results
from attractor.sweeps.run import sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Row]]:
    """The rows of every run of a fresh demo, by size; trained on this machine, for minutes."""
    folder = tmp_path_factory.mktemp("demo")
    config = preset("demo")
    probe = dataclasses.replace(
        config.probe,
        t=(0.15,),
        measure=("recovery", "posterior_fixed_points", "entropy", "entropy_gap", "novelty"),
    )
    config = dataclasses.replace(config, probe=probe)
    sweep(config, folder, lambda event: None)
    found = [read_results(file.parent) for file in folder.glob("*/results.parquet")]
    return {run.provenance.n_train: run.rows for run in found}


def value(rows: list[Row], measurement: str, split: str) -> float:
    (found,) = [r.value for r in rows if (r.measurement, r.split) == (measurement, split)]
    return found


def recoveries(rows: list[Row]) -> tuple[float, float]:
    return value(rows, "recovery_rate", "train"), value(rows, "recovery_rate", "test")


def test_the_two_smallest_replay_their_text_and_are_sure_of_it(
    measured: dict[int, list[Row]],
) -> None:
    for n in sorted(measured)[:2]:
        assert value(measured[n], "share_memorized", "generated") >= 0.9
        assert value(measured[n], "conditional_entropy", "generated") < 0.05


def test_the_advantage_falls_from_one_to_none(measured: dict[int, list[Row]]) -> None:
    smallest, *_, largest = sorted(measured)
    assert basin_advantage(*recoveries(measured[smallest])) > 0.9
    assert abs(basin_advantage(*recoveries(measured[largest]))) < 0.15


def test_the_largest_retrieves_unseen_text(measured: dict[int, list[Row]]) -> None:
    smallest, *_, largest = (recoveries(measured[n])[1] for n in sorted(measured))
    assert largest >= 0.43
    assert largest > 2 * smallest


def test_unseen_rows_become_fixed_points(measured: dict[int, list[Row]]) -> None:
    smallest, *_, largest = (
        value(measured[n], "posterior_fixed_sequences", "test") for n in sorted(measured)
    )
    assert smallest == 0
    assert largest >= 0.95

"""What the demo shows: replay at one end of its sizes, retrieval of unseen text at the other."""

from __future__ import annotations

import dataclasses

import pytest

from attractor.analysis.advantage import advantage, basin_advantage
from attractor.config.presets import preset
from attractor.measurements.measurement import TEXTS
from attractor.results.tables import Row, RunResults, read_results
from attractor.sweeps.run import sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[int, RunResults]:
    """The results of every run of a fresh demo, by size; trained on this machine, for minutes."""
    folder = tmp_path_factory.mktemp("demo")
    config = preset("demo")
    probe = dataclasses.replace(
        config.probe,
        t=(0.15,),
        measure=(
            *("recovery", "posterior_fixed_points", "entropy", "entropy_gap", "novelty"),
            "generative_perplexity",
        ),
    )
    config = dataclasses.replace(config, probe=probe)
    sweep(config, folder, lambda event: None)
    found = [read_results(file.parent) for file in folder.glob("*/results.parquet")]
    return {run.provenance.n_train: run for run in found}


def row(run: RunResults, measurement: str, split: str) -> Row:
    (found,) = [r for r in run.rows if (r.measurement, r.split) == (measurement, split)]
    return found


def value(run: RunResults, measurement: str, split: str) -> float:
    return row(run, measurement, split).value


def recoveries(run: RunResults) -> tuple[float, float]:
    return value(run, "recovery_rate", "train"), value(run, "recovery_rate", "test")


def test_the_two_smallest_replay_their_text_and_are_sure_of_it(
    measured: dict[int, RunResults],
) -> None:
    for n in sorted(measured)[:2]:
        assert value(measured[n], "share_memorized", "generated") >= 0.9
        assert value(measured[n], "conditional_entropy", "generated") < 0.05


def test_the_advantage_falls_from_one_to_none(measured: dict[int, RunResults]) -> None:
    smallest, *_, largest = sorted(measured)
    assert basin_advantage(*recoveries(measured[smallest])) > 0.9
    rates = [measured[largest].outcomes(split, 0.15).rate_per_sequence() for split in TEXTS]
    low, high = advantage(*rates).ends()
    assert low < 0 < high


def test_what_is_written_in_between_surprises_a_judge_most(measured: dict[int, RunResults]) -> None:
    smallest, *inner, largest = sorted(measured)
    judged = {n: row(run, "judge_nats", "generated") for n, run in measured.items()}
    highest = max(inner, key=lambda n: judged[n].value)
    assert judged[highest].low > max(judged[smallest].high, judged[largest].high)


def test_the_largest_retrieves_unseen_text(measured: dict[int, RunResults]) -> None:
    smallest, *_, largest = (recoveries(measured[n])[1] for n in sorted(measured))
    assert largest >= 0.43
    assert largest > 2 * smallest


def test_unseen_rows_become_fixed_points(measured: dict[int, RunResults]) -> None:
    smallest, *_, largest = (
        value(measured[n], "posterior_fixed_sequences", "test") for n in sorted(measured)
    )
    assert smallest == 0
    assert largest >= 0.95

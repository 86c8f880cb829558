"""What belongs into one set of measurements, what it lacks, and what must stand apart."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from attractor import measurements as registry
from attractor.config.identity import config_hash, to_dict
from attractor.config.settings import ProbeConfig
from attractor.measurements.measurement import Measurement
from attractor.measurements.novelty import NOVELTY
from attractor.measurements.sets import agree, joined, lacking, recognised, spelled_out

MADE = ProbeConfig(measure=("recovery", "entropy"), t=(0.3, 0.8), rows=8, test_rows=10)


def asked(**changes: object) -> ProbeConfig:
    return dataclasses.replace(MADE, **changes)  # type: ignore[arg-type]


def missing(made: ProbeConfig, wanted: ProbeConfig) -> dict[str, tuple[float, ...]]:
    return {measurement.name: config.t for measurement, config in lacking(made, wanted)}


def test_nothing_is_missing_of_what_is_there() -> None:
    for same in (MADE, asked(measure=("entropy",)), asked(t=(0.8,)), spelled_out(MADE)):
        assert agree(MADE, same)
        assert not lacking(MADE, same)


def test_more_measurements_and_more_times_are_added() -> None:
    more = asked(measure=("recovery", "likelihood"), t=(0.3, 0.5))
    assert agree(MADE, more)
    assert missing(MADE, more) == {"recovery": (0.5,), "likelihood": (0.3, 0.5, 0.8)}
    whole = joined(MADE, more)
    assert whole.t == (0.3, 0.5, 0.8)
    assert {"recovery", "entropy", "entropy_by_outcome", "likelihood"} <= {*whole.measure}
    assert not {"basin", "membership"} & {*whole.measure}
    assert not lacking(whole, more)
    assert not lacking(whole, MADE)


def test_settings_of_what_is_not_there_yet_may_be_anything() -> None:
    more = asked(measure=("likelihood",), nelbo_draws=3, repeats=5)
    assert agree(MADE, more)  # repeats belong to recovery, which is not asked for
    whole = joined(MADE, more)
    assert (whole.nelbo_draws, whole.repeats) == (3, MADE.repeats)


def test_other_conditions_stand_apart() -> None:
    for other in (asked(rows=7), asked(seed=1), asked(steps=20), asked(entropy_t=1e-3)):
        assert not agree(MADE, other)
    assert agree(MADE, asked(basin_rows=5))  # no basin is measured
    assert agree(MADE, asked(measure=("entropy",), steps=20))  # entropy takes no steps


def test_a_judge_is_its_content_and_not_its_name(tmp_path: Path) -> None:
    def asking(folder: str) -> ProbeConfig:
        judge = str(tmp_path / folder)
        return recognised(asked(measure=("generative_perplexity",), judge=judge))

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_bytes(b"weights")
    made = asking("a")
    assert made.judge_digest
    assert agree(made, asking("a"))
    assert agree(made, asking("b"))  # the same judge, elsewhere
    (tmp_path / "a" / "model.safetensors").write_bytes(b"WEIGHTS")
    assert not agree(made, asking("a"))
    assert config_hash(made) != config_hash(asking("a"))
    whole = joined(made, asked(measure=("likelihood",)))
    assert (whole.judge, whole.judge_digest) == (made.judge, made.judge_digest)
    # What an earlier version made knows its judge by name alone.
    assert agree(dataclasses.replace(made, judge_digest=""), asking("a"))
    shutil.rmtree(tmp_path / "a")
    assert recognised(made) == made
    for unasked in (
        dataclasses.replace(made, judge="ngram"),
        dataclasses.replace(made, measure=("entropy",)),
    ):
        assert recognised(unasked).judge_digest == ""
    assert config_hash(ProbeConfig()) == config_hash(
        {k: v for k, v in to_dict(ProbeConfig()).items() if k != "judge_digest"}
    )


def test_a_setting_has_one_value_in_a_set_whichever_measurement_depends_on_it() -> None:
    made = asked(measure=("fixed_points",), steps=1000)
    other = asked(measure=("basin",), steps=500)
    assert not agree(made, other)
    assert agree(made, asked(measure=("basin",), steps=1000))


def test_the_ablation_is_made_anew_at_a_new_smallest_time() -> None:
    made = asked(measure=("ablation", "recovery"), ablation_steps=(8, 16))

    def ablated(more: ProbeConfig) -> list[tuple[int, ...]]:
        return [c.ablation_steps for m, c in lacking(made, more) if m.name == "ablation"]

    assert ablated(asked(measure=("ablation",), ablation_steps=(16, 32))) == [(32,)]
    assert ablated(asked(measure=("recovery",), t=(0.1,))) == [(8, 16)]
    assert ablated(asked(measure=("recovery",), t=(0.5,))) == []


def test_a_word_in_an_earlier_file_stands_for_what_it_stood_for_then() -> None:
    made = asked(measure=("entropy", "recovery", "generations"))
    assert not lacking(made, asked(measure=("novelty", "trajectory", "entropy_gap")))
    newer = dataclasses.replace(NOVELTY, name="newer")
    with registered(newer):
        more = [m.name for m, _ in lacking(made, asked(measure=("generations",)))]
        assert more == ["calibration", "own_calibration", "newer"]


@contextlib.contextmanager
def registered(measurement: Measurement) -> Iterator[None]:
    """As if a later version had one more measurement of own generations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "ALL", (*registry.ALL, measurement))
        patch.setitem(registry._NAMED, measurement.name, measurement)
        members = (*registry.GROUPS["generations"], measurement.name)
        patch.setitem(registry.GROUPS, "generations", members)
        yield


def test_measurements_of_another_version_are_left_alone() -> None:
    made = asked(measure=("recovery", "telepathy"))
    assert agree(made, MADE)
    assert set(missing(made, MADE)) == {"entropy", "entropy_by_outcome"}

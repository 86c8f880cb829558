"""Measurements are added to a finished sweep without training, also to one of an earlier version,
whose runs are named by hashes that held what was measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor import AttractorError
from attractor import measurements as registry
from attractor.cli import main
from attractor.config.settings import ProbeConfig
from attractor.machine.files import locked
from attractor.results.tables import RESULTS, TOKENS, Row, read_results, write_rows
from attractor.runs.measure import places, probe_run
from attractor.sweeps import run as sweeps
from attractor.sweeps.attempt import attempt
from attractor.sweeps.plan import sizes_of
from attractor.sweeps.run import (
    config_of,
    measure_sweep,
    open_prepared,
    planned_runs,
    summarize,
    sweep,
)

EARLIER = Path(__file__).parents[1] / "data" / "earlier_sweep"
SMALL, LARGE = "32574323f4e5", "cc405909ee86"
"""Its runs, n = 8 and n = 64, by the names that the earlier version gave them."""


def here(runs: list[Any], data: Path, out: Path, watch: object, **_: object) -> None:
    """Instead of processes side by side."""
    for run in runs:
        attempt(run, data, out)


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of an earlier version; its optimizers are gone, so that nothing can be trained."""
    monkeypatch.setattr(sweeps, "execute", here)
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def quietly(event: object) -> None:
    pass


def weights(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*/checkpoint/*/*"))
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def names(run: Path) -> set[str]:
    return {row.measurement for row in read_results(run).rows}


@pytest.mark.slow
def test_fractions_that_were_rounded_up_are_found_and_new_ones_are_cut(earlier: Path) -> None:
    """7.6 and 63.6 rows were 8 and 64; a sweep without such models has 7 and 63, as the paper's."""
    path = earlier / "sweep.json"
    available = len(open_prepared(earlier).train)
    sizes = [7.6 / available, 63.6 / available]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sizes": sizes}))
    assert [run.run_id for run in planned_runs(earlier)] == [LARGE, SMALL]
    (page,) = summarize(earlier)
    assert "n = 64" in page.read_text()
    config = config_of(earlier)
    assert sizes_of(config, available, earlier) == [8, 64]
    assert sizes_of(config, available, earlier / "new") == [7, 63] == sizes_of(config, available)


@pytest.mark.slow
def test_it_opens_and_its_runs_are_found_by_what_they_train(earlier: Path) -> None:
    assert [run.run_id for run in planned_runs(earlier)] == [LARGE, SMALL]
    (page,) = summarize(earlier)
    assert "n = 8" in page.read_text()


def test_what_is_missing_is_measured_and_nothing_is_trained(earlier: Path) -> None:
    before = weights(earlier)
    old = {(r.split, r.measurement, r.t, r.at): r.value for r in read_results(earlier / SMALL).rows}
    config = config_of(earlier)
    more = dataclasses.replace(
        config.probe, t=(0.5,), measure=("recovery", "ablation"), ablation_steps=(4,)
    )
    measure_sweep(earlier, more, quietly)
    assert weights(earlier) == before
    found = read_results(earlier / SMALL)
    assert found.times() == [0.3, 0.5, 0.8]
    assert "recovery_steps" in names(earlier / SMALL)
    new = {(r.split, r.measurement, r.t, r.at): r.value for r in found.rows}
    # Of what this version measures otherwise there are new values, and by all else stay.
    anew = {q.name for m in registry.ALL if m.mark for q in m.quantities}
    anew |= {"auroc", "auroc_gain", "auroc_shuffled", "tpr"}  # scores are made of the likelihood
    kept = {key: value for key, value in old.items() if key[1] not in anew}
    assert {"recovery_rate", "conditional_entropy", "judge_nats"} <= {key[1] for key in kept}
    assert {key: new[key] for key in kept} == kept
    rows = json.loads((earlier / "transition.json").read_text())["rows"]
    assert sorted({row["t"] for row in rows}) == [0.3, 0.5, 0.8]


@pytest.mark.slow
def test_what_an_earlier_estimator_measured_is_named_and_measured_anew(earlier: Path) -> None:
    """Its NELBO saw no small time, its trajectories single tokens, its novelty no unseen row."""
    told = "by an earlier version, otherwise than this page says: likelihood, trajectory, novelty"
    (page,) = summarize(earlier)
    assert told in page.read_text()
    (page,) = measure_sweep(earlier, config_of(earlier).probe, quietly)
    assert told not in page.read_text()
    assert "nelbo_time_error" in names(earlier / SMALL)
    found = read_results(earlier / LARGE)
    assert found.has("path_entropy", "train")
    assert found.has("novelty_nearest", "test")
    located = json.loads((earlier / "transition.json").read_text())
    assert "copies among unseen rows" not in str(located["generation_transition"]["reason"])


def test_an_earlier_version_probed_only_as_many_rows_as_the_smallest_size_has(
    earlier: Path,
) -> None:
    settings = json.loads((earlier / "sweep.json").read_text())
    settings["probe"]["rows"] = 12
    (earlier / "sweep.json").write_text(json.dumps(settings))
    assert [run.config.probe.rows for run in planned_runs(earlier)] == [8, 8]
    assert summarize(earlier)
    for run in (SMALL, LARGE):
        (earlier / run / RESULTS).unlink()
    assert [run.config.probe.rows for run in planned_runs(earlier)] == [12, 8]


@pytest.mark.slow
def test_numbers_that_were_added_are_those_that_would_have_been_measured_at_once(
    earlier: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(EARLIER / SMALL, tmp_path / "alone" / SMALL))
    shutil.copytree(EARLIER / "data", tmp_path / "alone" / "data")
    before = next(run for run in planned_runs(earlier) if run.run_id == SMALL).config.probe
    for folder in (earlier / SMALL, whole):  # by this version, which measures some of it otherwise
        (folder / RESULTS).unlink()
        (folder / TOKENS).unlink()
    settings = dataclasses.replace(before, t=(0.3, 0.5, 0.8), measure=())
    more = dataclasses.replace(settings, t=(0.5,), measure=("recovery",))
    for part in (before, more, settings):
        probe_run(earlier / SMALL, part)
    probe_run(whole, settings)

    def values(folder: Path) -> list[tuple[object, ...]]:
        return sorted(map(repr, read_results(folder).rows))  # type: ignore[arg-type]

    assert values(earlier / SMALL) == values(whole)


@pytest.mark.slow
def test_the_same_again_measures_nothing(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = config_of(earlier).probe
    measure_sweep(earlier, probe, quietly)
    before = [(earlier / run / TOKENS).stat().st_mtime_ns for run in (SMALL, LARGE)]
    measure_sweep(earlier, probe, quietly)
    assert [(earlier / run / TOKENS).stat().st_mtime_ns for run in (SMALL, LARGE)] == before


@pytest.mark.slow
def test_the_command_of_the_sweep_keeps_the_models(earlier: Path) -> None:
    config = config_of(earlier)
    probe = dataclasses.replace(
        config.probe, measure=("recovery", "entropy", "ablation"), ablation_steps=(4,)
    )
    before, folders = weights(earlier), {p.name for p in earlier.iterdir() if p.is_dir()}
    sweep(dataclasses.replace(config, probe=probe), earlier, quietly, executor=here)
    assert weights(earlier) == before
    assert {p.name for p in earlier.iterdir() if p.is_dir()} == folders
    assert "recovery_steps" in names(earlier / LARGE)
    assert "judge_nats" in names(earlier / LARGE)  # what was there stays


@pytest.mark.slow
def test_another_way_of_measuring_stands_beside_the_first(earlier: Path) -> None:
    before = (earlier / SMALL / TOKENS).read_bytes(), (earlier / SMALL / RESULTS).read_bytes()
    other = dataclasses.replace(config_of(earlier).probe, seed=1)
    (page,) = measure_sweep(earlier, other, quietly)
    after = (earlier / SMALL / TOKENS).read_bytes(), (earlier / SMALL / RESULTS).read_bytes()
    assert after == before
    first, second = places(earlier / SMALL)
    assert first.folder == earlier / SMALL
    assert second.folder.parent == earlier / SMALL / "probes"
    assert second.made is not None
    assert second.made.seed == 1
    shown = json.loads((earlier / "measurements.json").read_text())["provenance"]
    assert shown["other_sets"] == ["seed = 0"]
    assert "Also measured, and not shown here: with seed = 0." in page.read_text()
    measure_sweep(earlier, dataclasses.replace(other, seed=0), quietly)  # and back again
    shown = json.loads((earlier / "measurements.json").read_text())["provenance"]
    assert shown["other_sets"] == ["seed = 1"]


@pytest.mark.slow
def test_the_command_line_takes_the_settings_of_the_sweep(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(earlier), "--t", "0.6"]) == 0
    assert "t = 0.6" in capsys.readouterr().out
    assert read_results(earlier / SMALL).times() == [0.3, 0.6, 0.8]


def forget(earlier: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((earlier / "sweep.json").read_text())
    change(content)
    (earlier / "sweep.json").write_text(json.dumps(content))


@pytest.mark.slow
def test_a_measure_that_no_longer_exists_is_named_and_its_numbers_stay(earlier: Path) -> None:
    forget(earlier, lambda content: content["probe"]["measure"].append("telepathy"))
    found = read_results(earlier / SMALL)
    odd = Row(split="test", t=None, measurement="thoughts_read", value=0.5, sequences=3)
    write_rows(earlier / SMALL, [*found.rows, odd], found.provenance)
    with pytest.warns(UserWarning, match="asks for telepathy, which this version does not measure"):
        (page,) = summarize(earlier)
    assert "Of another version, and not shown: thoughts_read" in page.read_text()
    with pytest.warns(UserWarning, match="telepathy"):
        measure_sweep(earlier, ProbeConfig(**_of(earlier, t=(0.4,))), quietly)
    assert "thoughts_read" in names(earlier / SMALL)


def _of(earlier: Path, **changes: Any) -> dict[str, Any]:
    with pytest.warns(UserWarning, match="telepathy"):
        probe = config_of(earlier).probe
    return dataclasses.asdict(probe) | changes


def test_a_damaged_run_is_named_and_the_others_stay(earlier: Path) -> None:
    summarize(earlier)
    damaged = earlier / LARGE / RESULTS
    damaged.write_bytes(damaged.read_bytes()[:-100])
    before, arrays = names(earlier / SMALL), (earlier / SMALL / TOKENS).read_bytes()
    with pytest.raises(AttractorError, match=r"the results of n = 64 are gone .*, or damaged"):
        measure_sweep(earlier, config_of(earlier).probe, quietly)
    assert names(earlier / SMALL) >= before
    assert (earlier / SMALL / TOKENS).read_bytes() == arrays


def test_results_of_another_schema_are_named(earlier: Path) -> None:
    found = read_results(earlier / LARGE)
    write_rows(earlier / LARGE, found.rows, dataclasses.replace(found.provenance, schema=99))
    with pytest.raises(AttractorError, match="are of schema 99, and only 2 can be read"):
        summarize(earlier)


def test_nothing_is_added_while_somebody_works_on_the_sweep(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(earlier):
        assert main(["measure", str(earlier), "--t", "0.6"]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert read_results(earlier / SMALL).times() == [0.3, 0.8]


def test_a_sweep_without_a_trained_model_is_named(earlier: Path) -> None:
    for run in (SMALL, LARGE):
        shutil.rmtree(earlier / run)
    with pytest.raises(AttractorError, match="has no finished model to measure"):
        measure_sweep(earlier, config_of(earlier).probe, quietly)


def test_a_stop_between_arrays_and_numbers_loses_nothing(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays are new, the numbers and the config still tell of the old ones."""
    from attractor.runs import measure as module

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    more = dataclasses.replace(
        config_of(earlier).probe, measure=("ablation",), ablation_steps=(4, 8), rows=8
    )
    before = names(earlier / SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            probe_run(earlier / SMALL, more)
    assert names(earlier / SMALL) == before
    probe_run(earlier / SMALL, more)
    assert names(earlier / SMALL) >= before | {"recovery_steps"}
    tokens = read_results(earlier / SMALL).tokens
    ablated = tokens.filter([m == "ablation" for m in tokens["measurement"].to_pylist()])
    assert len(ablated) == 2 * (8 + 10)  # reverse steps, training and unseen rows: none twice


def test_another_text_at_the_same_place_is_another_text(earlier: Path, tmp_path: Path) -> None:
    text = tmp_path / "unseen.txt"
    probe = dataclasses.replace(config_of(earlier).probe, measure=("entropy",), test_rows=4)
    folders = []
    for words in ("the sea was dark and light", "god created the heavens and"):
        text.write_text("\n".join(f"{words} {i}." for i in range(40)))
        folders.append(probe_run(earlier / SMALL, probe, text))
    assert folders[0] != folders[1]
    assert probe_run(earlier / SMALL, probe, text) == folders[1]


def test_what_a_stop_left_is_not_taken_for_what_is_asked_next(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays at t = 0.5 were made with 20 steps; who then asks for 30 steps gets another set."""
    from attractor.runs import measure as module

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    probe = dataclasses.replace(config_of(earlier).probe, measure=("recovery",), t=(0.5,))
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            probe_run(earlier / SMALL, probe)
    other = probe_run(earlier / SMALL, dataclasses.replace(probe, steps=30))
    assert other != earlier / SMALL
    assert read_results(other).times() == [0.5]
    probe_run(earlier / SMALL, probe)
    assert read_results(earlier / SMALL).times() == [0.3, 0.5, 0.8]

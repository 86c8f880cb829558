from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import attractor
import tiny
from attractor import AttractorError
from attractor.cli import main
from attractor.config.identity import (
    config_hash,
    run_config_from_dict,
    run_id,
    sweep_config_from_dict,
    to_dict,
)
from attractor.config.presets import preset
from attractor.config.settings import MODELS, RunConfig, SweepConfig
from attractor.data.subsets import nested_sizes
from attractor.machine.files import is_locked
from attractor.measurements import ALL
from attractor.measurements.sets import spelled_out
from attractor.results.tables import read_results, write_rows
from attractor.runs.folder import data_of, is_finished
from attractor.runs.run import run_alone
from attractor.sweeps.attempt import attempt
from attractor.sweeps.controls import measure_controls
from attractor.sweeps.follow import Ended, RunEvent, follow
from attractor.sweeps.plan import plan
from attractor.sweeps.run import planned_runs, summarize, sweep
from attractor.sweeps.search import candidate_sizes, most_sizes
from attractor.sweeps.second_models import add_twins
from attractor.sweeps.status import read_status


@pytest.fixture
def config(small_config: SweepConfig) -> SweepConfig:
    return small_config


@pytest.fixture
def finished(small_sweep: Path) -> Path:
    return small_sweep


@pytest.fixture
def copied(copied_sweep: Path) -> Path:
    return copied_sweep


def single(config: SweepConfig, **changes: object) -> RunConfig:
    run = RunConfig(
        n_train=16, data=config.data, model=config.model, train=config.train, probe=config.probe
    )
    return dataclasses.replace(run, **changes)  # type: ignore[arg-type]


def test_transition_file_has_exactly_its_schema(finished: Path) -> None:
    content = json.loads((finished / "transition.json").read_text())
    promised = {
        "schema",
        "elapsed_s",
        "rows",
        "transition",
        "entropy_transition",
        "perplexity_peak",
    }
    assert set(content) == promised | {
        "entropy_change",
        "calibration_transition",
        "generation_transition",
        "own_entropy_transition",
        "validation_peak",
        "agreement",
        "extraction_transition",
        "onset",
    }
    assert content["schema"] == 1
    keys = (
        "n_train seed data_seed split t recovery_rate recovery_ci unstable_rate "
        "conditional_entropy entropy_ci"
    )
    expected = {*keys.split(), "vanishing_share", "nelbo_per_token"}
    assert all(set(row) == expected for row in content["rows"])
    cells = [(row["n_train"], row["split"], row["t"]) for row in content["rows"]]
    assert len(set(cells)) == len(cells) == 4 * 2 * 2
    for row in content["rows"]:
        low, high = row["recovery_ci"]
        assert 0 <= low <= row["recovery_rate"] <= high <= 1
    assert [found["t"] for found in content["transition"]] == [0.3, 0.8]
    assert content["elapsed_s"] > 0


def test_the_margin_is_no_part_of_what_a_run_is(config: SweepConfig) -> None:
    wider = dataclasses.replace(config, margin=3.0)
    names = [[run.run_id for run in plan(each, 10**6)] for each in (config, wider)]
    assert names[0] == names[1]
    assert config_hash(config) == config_hash(dataclasses.replace(config, margin=2.0))
    assert config_hash(config) != config_hash(wider)
    with pytest.raises(AttractorError, match=r"margin = 1\.0 must be above 1"):
        dataclasses.replace(config, margin=1.0)


def test_report_is_written_and_escapes_the_corpus(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "<b>dark" not in page
    passages = json.loads((finished / "passages.json").read_text())["passages"]
    assert {p["split"] for p in passages} == {"train", "test"}
    assert all([view["n_train"] for view in p["views"]] == [8, 64] for p in passages)


def test_same_rows_and_same_noise_at_every_size(finished: Path, config: SweepConfig) -> None:
    runs = [read_results(finished / run.run_id) for run in plan(config, 10**6)]
    for split in ("train", "test"):
        for column in ("original", "corrupted"):
            arrays = [run.array(column, "recovery", split, 0.3) for run in runs]
            assert arrays[0].shape == (2, {"train": 12, "test": 10}[split], 12)
            assert arrays[-1].shape == (2, {"train": 8, "test": 10}[split], 12)  # of all it has
            assert all(np.array_equal(arrays[0][:, : x.shape[1]], x) for x in arrays[1:])


def test_every_row_of_results_carries_its_provenance(finished: Path, config: SweepConfig) -> None:
    for planned in plan(config, 10**6):
        found = read_results(finished / planned.run_id).provenance
        measured = json.loads((finished / planned.run_id / "config.json").read_text())
        assert found.config_hash == config_hash(run_config_from_dict(measured))
        assert (found.n_train, found.seed) == (planned.config.n_train, 0)
        assert found.schema == 2
        assert (len(found.tokenizer), found.noise_seed) == (12, 0)


def test_a_run_on_disk_is_a_denoiser(finished: Path, config: SweepConfig) -> None:
    folder = finished / plan(config, 10**6)[0].run_id
    ema, raw = attractor.load(folder), attractor.load(folder, weights="raw")
    assert ema.seq_len == 12
    x_t, t = torch.zeros(2, 12, dtype=torch.int64), torch.tensor([0.2, 0.7])
    assert not torch.equal(ema.log_probs(x_t, t), raw.log_probs(x_t, t))
    tokens = data_of(folder).train[:4]
    stored = read_results(folder).array("recovered", "recovery", "train", 0.3)[0, :4]
    again = attractor.probes.recovery(ema, np.array(tokens), 0.3, steps=20).recovered[0]
    assert np.array_equal(again.numpy(), stored)
    assert {p.name for p in (folder / "checkpoint").glob("*/*")} == {
        "model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"
    }  # fmt: skip
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30]
    assert [line["validation_nelbo"] is None for line in lines] == [True, False, False]


def test_config_round_trips_through_its_json(finished: Path, config: SweepConfig) -> None:
    for planned in plan(config, 10**6):
        stored = json.loads((finished / planned.run_id / "config.json").read_text())
        measured = spelled_out(planned.config.probe)
        assert run_config_from_dict(stored) == dataclasses.replace(planned.config, probe=measured)
        assert run_id(planned.config) == planned.run_id
    with pytest.raises(AttractorError, match=r"config\.json' does not describe a run"):
        run_config_from_dict(to_dict(planned.config) | {"colour": 3})


def test_finished_runs_are_kept_and_lost_ones_are_done_again(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    before = (folder / "transition.json").read_text()
    events: list[RunEvent] = []
    sweep(config, folder, events.append)
    assert events == []
    assert (folder / "transition.json").read_text() == before
    shutil.rmtree(folder / plan(config, 10**6)[2].run_id)
    sweep(config, folder, events.append, workers=1)
    assert {event.run.config.n_train for event in events} == {16}
    again = json.loads((folder / "transition.json").read_text())
    assert [row["recovery_rate"] for row in again["rows"]] == pytest.approx(
        [row["recovery_rate"] for row in json.loads(before)["rows"]], abs=0.1
    )


@pytest.mark.slow
def test_torn_results_are_measured_again_without_training(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = planned_runs(copied)[-1]
    folder = copied / planned.run_id
    before = read_results(folder)
    trained = {path: path.stat().st_mtime_ns for path in folder.glob("checkpoint/*/*")}
    for name in ("results.parquet", "tokens.parquet"):
        os.truncate(folder / name, (folder / name).stat().st_size // 2)
        assert read_status(copied).count("done") == 3
        assert main(["report", str(copied)]) == 2
        assert (
            f"the results of {planned.title} are gone from '{folder}', or damaged there"
            in capsys.readouterr().err
        )
        with pytest.warns(UserWarning, match=f"{name}' is damaged; the run is measured again"):
            attempt(planned, copied / "data", copied)
        assert read_results(folder).rows == before.rows
    assert (
        {path: path.stat().st_mtime_ns for path in folder.glob("checkpoint/*/*")} == trained != {}
    )


def test_another_config_is_refused_with_the_keys_that_differ(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    other = dataclasses.replace(config, train=dataclasses.replace(config.train, lr=1e-4, steps=31))
    with pytest.raises(
        AttractorError,
        match=r"train.lr \(0.003 there, 0.0001 asked for\), train.steps \(30 there, 31",
    ):
        sweep(other, finished, lambda event: None)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(AttractorError, match="is not empty and holds no sweep"):
        sweep(config, tmp_path, lambda event: None, force=True)
    assert (tmp_path / "mine.txt").exists()


def test_too_large_a_training_set_fails_before_any_training(
    config: SweepConfig, tmp_path: Path
) -> None:
    big = dataclasses.replace(config, sizes=(8, 10**6))
    with pytest.raises(AttractorError, match="1000000"):
        sweep(big, tmp_path / "s", lambda event: None)
    with pytest.raises(AttractorError, match="20000"):
        run_alone(single(config, n_train=20_000), tmp_path / "r", lambda line: None)
    assert not (tmp_path / "r").exists()


def test_force_keeps_the_old_sweep_until_the_new_input_is_checked(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)
    before = sorted(p.name for p in folder.iterdir() if p.name != ".lock")
    missing = dataclasses.replace(
        config, data=dataclasses.replace(config.data, source="missing.txt")
    )
    with pytest.raises(AttractorError, match="does not exist"):
        sweep(missing, folder, lambda event: None, force=True)
    assert sorted(p.name for p in folder.iterdir() if p.name != ".lock") == before
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_failed_first_attempt_does_not_block_the_folder(
    config: SweepConfig, tmp_path: Path
) -> None:
    missing = dataclasses.replace(
        config, data=dataclasses.replace(config.data, source="missing.txt")
    )
    for bad in (missing, dataclasses.replace(config, sizes=(8, 10**6))):
        with pytest.raises(AttractorError):
            sweep(bad, tmp_path / "s", lambda event: None)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_at_t_1_nothing_is_left_alone_and_nothing_fails(
    config: SweepConfig, tmp_path: Path
) -> None:
    probe = dataclasses.replace(config.probe, t=(1.0,), rows=3, test_rows=3, repeats=1)
    data = dataclasses.replace(config.data, tokenizer="bpe", vocab_size=300)
    sweep(
        dataclasses.replace(config, probe=probe, data=data, sizes=(8,)),
        tmp_path / "s",
        lambda event: None,
    )
    rows = json.loads((tmp_path / "s" / "transition.json").read_text())["rows"]
    assert {row["t"] for row in rows} == {1.0}


@pytest.mark.slow
def test_what_is_not_measured_is_left_out_but_for_what_locates_the_transition(
    config: SweepConfig, tmp_path: Path
) -> None:
    few = dataclasses.replace(
        config, sizes=(8,), probe=dataclasses.replace(config.probe, measure=("recovery", "entropy"))
    )
    page = sweep(few, tmp_path / "few", lambda event: None)[0].read_text()
    assert "Recovery against training-set size" in page
    assert "Perplexity against training-set size" not in page
    for measure in (("recovery", "likelihood"), ("entropy",)):
        lacking = dataclasses.replace(few, probe=dataclasses.replace(few.probe, measure=measure))
        with pytest.raises(AttractorError, match="a sweep needs recovery and entropy"):
            sweep(lacking, tmp_path / "lacking", lambda event: None)
    assert not (tmp_path / "lacking").exists()


def test_workers_must_be_at_least_one(config: SweepConfig, tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match="workers = 0 must be at least 1"):
        sweep(config, tmp_path / "s", lambda event: None, workers=0)


def test_a_diverging_run_is_no_finished_run(config: SweepConfig, tmp_path: Path) -> None:
    wild = single(config, train=dataclasses.replace(config.train, lr=1e39, clip=1e30, warmup=0))
    with pytest.raises(AttractorError, match="not finite"):
        run_alone(wild, tmp_path / "r", lambda line: None)
    assert not is_finished(tmp_path / "r")
    wild_sweep = dataclasses.replace(config, train=wild.train, sizes=(8, 16))
    with pytest.raises(AttractorError, match="not finite"):
        sweep(wild_sweep, tmp_path / "s", lambda event: None)
    assert not any(is_finished(p) for p in (tmp_path / "s").iterdir())
    assert not list((tmp_path / "s").glob(".*partial"))


@pytest.mark.slow
def test_two_seeds_are_averaged_and_kept_apart(config: SweepConfig, tmp_path: Path) -> None:
    two = dataclasses.replace(config, seeds=(0, 1), sizes=(8, 0.1))
    events: list[RunEvent] = []
    sweep(two, tmp_path / "s", events.append)
    assert sum(event.progress is None for event in events) == 4
    assert {event.progress.step for event in events if event.progress} <= {10, 20, 30}
    content = json.loads((tmp_path / "s" / "transition.json").read_text())
    assert {row["seed"] for row in content["rows"]} == {0, 1}
    assert content["transition"][0]["n_star"] is None
    assert "the basin advantage at n = 8, the smallest size" in content["transition"][0]["reason"]


@pytest.mark.slow
def test_a_sweep_under_masking_noise(tmp_path: Path) -> None:
    config = dataclasses.replace(
        tiny.config(tiny.corpus(tmp_path), sizes=(8, 64), steps=10), process="absorbing"
    )
    folder = tmp_path / "sweep"
    sweep(config, folder, lambda event: None)
    for run in plan(config, 10**6):
        check_masks(folder / run.run_id)
        unstable = [
            row.value
            for row in read_results(folder / run.run_id).rows
            if row.measurement == "unstable_rate"
        ]
        assert unstable
        assert not any(unstable)  # a visible token stays
    assert "[MASK]" in (folder / "passages.json").read_text()
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_a_run_under_hybrid_noise(tmp_path: Path) -> None:
    base = tiny.config(tiny.corpus(tmp_path), steps=10)
    run_alone(
        single(base, process="hybrid", uniform_share=0.5), tmp_path / "run", lambda progress: None
    )
    check_masks(tmp_path / "run")
    assert vars(attractor.load(tmp_path / "run").process)["uniform_share"] == 0.5


def check_masks(run: Path) -> None:
    """Noise masks, the reverse process leaves none, and every token has an entropy of its own."""
    denoiser, found = attractor.load(run), read_results(run)
    mask = denoiser.process.mask_id
    assert mask == denoiser.process.vocab_size - 1
    original, corrupted, recovered = (
        found.array(name, "recovery", "test", 0.8)
        for name in ("original", "corrupted", "recovered")
    )
    assert (corrupted == mask).any()
    assert recovered.max() < mask
    assert original.max() < mask
    assert found.array("original", "recovery", "random", 0.8).max() < mask
    assert (found.array("value", "entropy", "test") > 0).all()


@pytest.mark.slow
def test_several_models_have_their_own_reports_and_share_one_file(
    config: SweepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, width in (("tiny", 8), ("small", 16)):
        shape = dataclasses.replace(config.model, hidden_size=width)
        monkeypatch.setitem(MODELS, name, shape)
    both = dataclasses.replace(config, sizes=(8, 16), models=("tiny", "small"))
    planned = plan(both, 10**6)
    assert [(run.model, run.config.n_train) for run in planned] == [
        ("small", 16), ("small", 8), ("tiny", 16), ("tiny", 8)
    ]  # fmt: skip
    reports = sweep(both, tmp_path / "s", lambda event: None)
    assert reports == [tmp_path / "s" / name / "report.html" for name in both.models]
    assert summarize(tmp_path / "s") == reports
    content = json.loads((tmp_path / "s" / "transition.json").read_text())
    alone = [
        json.loads((tmp_path / "s" / name / "transition.json").read_text()) for name in both.models
    ]
    bare = [
        {k: v for k, v in row.items() if k not in ("model", "parameters")}
        for row in content["rows"]
    ]
    assert bare == [row for one in alone for row in one["rows"]]
    assert {(row["model"], row["n_train"]) for row in content["rows"]} == {
        (r.model, r.config.n_train) for r in planned
    }
    small, large = (
        next(r["parameters"] for r in content["rows"] if r["model"] == name) for name in both.models
    )
    assert small < large
    assert [(found["model"], found["t"]) for found in content["transition"]] == [
        ("tiny", 0.3), ("tiny", 0.8), ("small", 0.3), ("small", 0.8)
    ]  # fmt: skip
    measured = json.loads((tmp_path / "s" / "tiny" / "measurements.json").read_text())
    assert [(m["model"], m["parameters"]) for m in measured["models"]] == [
        ("tiny", small),
        ("small", large),
    ]
    assert measured["detector"]["models"] == 4  # those of both shapes
    assert "n* of each model" in reports[0].read_text()


@pytest.mark.parametrize("size", [0.0, -3.0, float("nan"), float("inf")])
def test_sizes_are_positive_before_anything_is_planned(size: float, config: SweepConfig) -> None:
    with pytest.raises(AttractorError, match="must be positive"):
        dataclasses.replace(config, sizes=(8, size))


def test_models_are_known_ones_and_named_once(config: SweepConfig) -> None:
    with pytest.raises(
        AttractorError, match="unknown model 'huge'; there are demo, reference, tiny, small, medium"
    ):
        dataclasses.replace(config, models=("huge",))
    with pytest.raises(AttractorError, match="none twice"):
        dataclasses.replace(config, models=("tiny", "tiny"))
    stored = json.loads(json.dumps(to_dict(preset("paper"))))
    assert sweep_config_from_dict(stored) == preset("paper")


@pytest.mark.slow
def test_an_adaptive_sweep_measures_few_sizes_and_goes_on_where_it_was(
    config: SweepConfig, tmp_path: Path
) -> None:
    folder, events = tmp_path / "s", list[RunEvent]()
    wide = dataclasses.replace(config, sizes=(8, 128))
    sweep(wide, folder, events.append, precision=2.0)
    record = json.loads((folder / "adaptive.json").read_text())["models"][0]
    assert record["sizes"][:2] == [8, 128]
    assert record["next"] == []
    assert record["reason"]
    measured = {
        row["n_train"] for row in json.loads((folder / "transition.json").read_text())["rows"]
    }
    assert measured == set(record["sizes"]) == {event.run.config.n_train for event in events}
    assert {status.state for status in read_status(folder).runs} == {"done"}
    sweep(wide, folder, lambda event: pytest.fail("nothing is left to do"), precision=2.0)
    with pytest.raises(AttractorError, match=r"needs a smallest and a largest one"):
        sweep(
            dataclasses.replace(config, sizes=(8,)), tmp_path / "one", events.append, precision=2.0
        )
    assert not (tmp_path / "one").exists()
    with pytest.raises(AttractorError, match=r"precision = 1.0 must be above 1"):
        sweep(wide, folder, events.append, precision=1.0)


@pytest.mark.slow
def test_a_run_whose_process_dies_is_begun_again(config: SweepConfig, tmp_path: Path) -> None:
    long = dataclasses.replace(
        config,
        sizes=(8, 16),
        train=dataclasses.replace(config.train, steps=300, checkpoint_minutes=0),
    )
    folder, killed = tmp_path / "s", list[str]()

    def kill_each_once(event: RunEvent) -> None:
        run = folder / event.run.run_id
        if event.run.run_id not in killed and is_locked(run) and not is_finished(run):
            os.kill(int((run / ".lock").read_text().split()[1]), signal.SIGKILL)
            killed.append(event.run.run_id)

    sweep(long, folder, kill_each_once, workers=2)
    assert len(killed) == 2
    for run in plan(long, 10**6):
        lines = (folder / run.run_id / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(10, 301, 10))


def test_status_names_a_sweep_of_a_newer_schema_or_a_damaged_one(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its data look like: here there are none that this version could read."""
    newer = json.dumps(json.loads((finished / "sweep.json").read_text()) | {"schema": 9})
    (tmp_path / "data").mkdir()
    for content, message in (
        (newer, "is of schema 9, made by a newer attractor"),
        ('{"sizes": [8', "is damaged"),
    ):
        (tmp_path / "sweep.json").write_text(content)
        assert main(["sweep", "--status", "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert "sweep.json' " + message in error
        assert error.count("\n") == 1


def test_status_makes_do_with_damaged_metrics(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third, fourth = (copied / run.run_id for run in planned_runs(copied))
    (first / "metrics.jsonl").unlink()
    for run, line in (
        (second, "[1, 2]"),
        (third, '{"step": 3}'),
        (fourth, '{"step": 3, "check": null, "new": 1}'),
    ):
        (run / "metrics.jsonl").write_text(line)
    assert main(["sweep", "--status", "--out", str(copied)]) == 0
    assert "4 done, " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "content", ["{}", '{"models": 3}', '{"models": [{"model": "none", "sizes": [8]}]}']
)
def test_a_damaged_record_of_a_search_is_named(
    content: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "adaptive.json").write_text(content)
    for command in (["sweep", "--status", "--out", str(copied)], ["report", str(copied)]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "adaptive.json' is damaged" in error
        assert error.count("\n") == 1


def test_a_precision_finer_than_the_sizes_asks_for_all_of_them() -> None:
    assert candidate_sizes([8, 64], 1 + 1e-12).tolist() == list(range(8, 65))


@pytest.mark.parametrize("precision", [1.0001, 1.5, 3.0])
def test_a_search_is_planned_with_the_most_sizes_it_can_take(
    precision: float, config: SweepConfig
) -> None:
    def most(*sizes: float) -> int:
        return most_sizes(dataclasses.replace(config, sizes=sizes), precision, 1)

    for rows in ([8, 16], [8, 64], [8, 30, 5000]):
        assert most(*rows) == len(candidate_sizes(rows, precision))
    fractions = 0.0001, 0.01, 1.0
    assert most(*fractions) >= len(candidate_sizes(nested_sizes(fractions, 10**6), precision))


def test_a_failure_that_could_not_be_written_down_is_told(
    config: SweepConfig, tmp_path: Path
) -> None:
    """As on a full disk, where the traceback is an empty file or none."""
    first, second = plan(dataclasses.replace(config, sizes=(8, 16)), 10**6)

    def fail(tasks: list[str]) -> list[Ended]:
        (tmp_path / first.run_id).mkdir(exist_ok=True)
        (tmp_path / first.run_id / "failed.txt").touch()
        (tmp_path / second.run_id).touch()
        return [Ended(task, "its process ended with code 1") for task in tasks]

    with pytest.raises(
        AttractorError, match=r"2 of 2 runs failed; n = 16: its process ended with code 1"
    ):
        follow({run.run_id: run for run in (first, second)}, fail, tmp_path, lambda event: None)


@pytest.mark.slow
def test_a_running_sweep_is_left_alone_but_can_be_asked(
    config: SweepConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others are refused at once, whatever they want to do, and one that failed keeps its traceback
    meanwhile."""
    short, folder, started = (
        dataclasses.replace(config, sizes=(8, 16)),
        tmp_path / "s",
        list[float](),
    )
    others: list[Callable[[], object]] = [
        lambda: sweep(short, folder, lambda event: None),
        lambda: sweep(short, folder, lambda event: None, force=True),
        lambda: sweep(short, folder, lambda event: None, precision=2.0),
        lambda: add_twins(folder, lambda note: None, lambda event: None),
    ]

    def intrude(event: RunEvent) -> None:
        if event.progress is not None or started:
            return  # one of two runs has just ended
        started.append(time.monotonic())
        (folder / event.run.run_id / "failed.txt").write_text("of an earlier try")
        for start in others:
            with pytest.raises(
                AttractorError,
                match=rf"s' is in use by process {os.getpid()} on .*; wait for it or",
            ):
                start()
        assert time.monotonic() < started[0] + 10
        assert (folder / event.run.run_id / "failed.txt").is_file()
        assert main(["sweep", "--status", "--out", str(folder)]) == 0
        assert main(["report", str(folder)]) == 0

    sweep(short, folder, intrude, workers=1)
    assert "1 done, " in " ".join(capsys.readouterr().out.split())
    assert all(is_finished(folder / run.run_id) for run in plan(short, 10**6))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    with pytest.raises(AttractorError, match="another config"):
        sweep(config, folder, lambda event: None)
    assert not is_locked(folder)


@pytest.mark.slow
def test_a_failed_run_keeps_its_traceback_and_the_others_go_on(
    config: SweepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, folder = dataclasses.replace(config, sizes=(8, 16)), tmp_path / "s"
    large, small = plan(two, 10**6)
    (folder / large.run_id).mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(to_dict(two)))
    (folder / large.run_id / "config.json").write_text("{")
    with pytest.raises(
        AttractorError, match=r"1 of 2 runs failed; n = 16: .* is damaged: .*see '.*failed.txt'"
    ):
        sweep(two, folder, lambda event: None)
    assert "Traceback" in (folder / large.run_id / "failed.txt").read_text()
    assert is_finished(folder / small.run_id)
    (folder / large.run_id / "config.json").unlink()
    sweep(two, folder, lambda event: None)
    assert not (folder / large.run_id / "failed.txt").exists()


@pytest.mark.slow
def test_controls_of_another_run_are_measured_again(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    """A sweep whose smallest size is finished last has other controls before than after."""
    data = data_of(finished / plan(config, 10**6)[0].run_id)
    written = []
    for n in (64, 16, 16):
        found = measure_controls(single(config, n_train=n), data, tmp_path)
        assert [control.provenance.n_train for control in found.values()] == [n] * 3
        written.append([path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/results.*"))])
    assert len(written[0]) == 3
    assert written[0] != written[1] == written[2]
    for digest in (data.digest, "of another text"):
        measure_controls(single(config, n_train=16), data._replace(digest=digest), tmp_path)
        written.append([path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/results.*"))])
    assert written[2] == written[3]
    assert not {*written[3]} & {*written[4]}


def test_data_of_another_text_are_not_taken_for_those_of_a_run(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    """Data that were made again of another text, with the same settings: by hand, or by moving a
    run."""
    folder = Path(shutil.copytree(finished, tmp_path / "s"))
    run = plan(config, 10**6)[0].run_id
    told = json.loads((folder / "data" / "source.json").read_text())
    (folder / "data" / "source.json").write_text(json.dumps({**told, "rows": "other"}))
    with pytest.raises(AttractorError, match="was trained on other rows"):
        data_of(folder / run)
    assert main(["audit", str(folder / run), "--own-data", "--out", str(tmp_path / "a")]) == 2
    more = dataclasses.replace(config, probe=dataclasses.replace(config.probe, t=(0.3, 0.5, 0.8)))
    with pytest.raises(AttractorError, match="failed"):
        sweep(more, folder, lambda event: None)
    assert "was trained on other rows" in (folder / run / "failed.txt").read_text()


def test_measurements_hold_every_section_and_the_controls(finished: Path) -> None:
    content = json.loads((finished / "measurements.json").read_text())
    names = {row["measurement"] for row in content["rows"]}
    made = [m for m in ALL if m.default and m.asks != "order"]
    for section in (section for m in made for section in m.sections):
        measured = {trace.quantity for trace in section.traces} & names
        # A correlation needs generations with some spread, which 30 training steps need not give.
        assert measured or section.id == "correlation", section.id
    assert {row["control"] for row in content["controls"]} == {
        "untrained",
        "memorizer",
        "generalizer",
    }
    rates = {
        (r["control"], r["split"]): r["value"]
        for r in content["controls"]
        if r["measurement"] == "recovery_rate"
    }
    assert rates["memorizer", "train"] > 0.9
    assert rates["untrained", "train"] < 0.3
    assert content["detector"]["models"] == 4


@pytest.mark.slow
def test_a_report_is_made_of_the_runs_again(copied: Path) -> None:
    held = {name: (copied / name).read_text() for name in ("transition.json", "measurements.json")}
    (copied / "measurements.json").unlink()
    assert main(["report", str(copied)]) == 0
    assert {name: (copied / name).read_text() for name in held} == held


def test_a_report_refuses_runs_that_were_not_measured_alike(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copied / planned_runs(copied)[1].run_id
    found = read_results(other)
    write_rows(other, found.rows, dataclasses.replace(found.provenance, noise_seed=7))
    assert main(["report", str(copied)]) == 2
    assert "results of different noise_seed cannot be joined: 0 and 7" in capsys.readouterr().err


def test_a_summary_whose_runs_are_elsewhere_is_drawn_as_it_is(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in planned_runs(copied):
        shutil.rmtree(copied / run.run_id)
    summary = (copied / "transition.json").read_text()
    (copied / "transition.json").write_text(summary.replace('"n_train": 8', '"n_trian": 8'))
    assert main(["report", str(copied)]) == 2
    assert capsys.readouterr().err == "attractor: transition.json.rows[0]: missing n_train\n"
    (copied / "transition.json").write_text(summary)
    (copied / "measurements.json").unlink()
    assert main(["report", str(copied)]) == 0
    assert (
        "measurements.json is not there, so most measurements are not shown"
        in capsys.readouterr().err
    )
    assert "easurements.json is not there" in (copied / "report.html").read_text()


def test_a_report_names_runs_that_are_not_finished_or_gone(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = planned_runs(copied)
    (copied / runs[0].run_id / "results.parquet").unlink()
    assert main(["report", str(copied)]) == 2
    assert f"the results of {runs[0].title} are gone" in capsys.readouterr().err
    (copied / "transition.json").unlink()  # as in a sweep that never had them
    assert main(["report", str(copied)]) == 0
    said = f"ot finished, and left out with their sizes: {runs[0].title}"
    assert said in capsys.readouterr().err
    assert said in (copied / "report.html").read_text()
    sizes = {row["n_train"] for row in json.loads((copied / "transition.json").read_text())["rows"]}
    assert sizes == {run.config.n_train for run in runs[1:]}
    for run in runs[1:]:
        (copied / run.run_id / "results.parquet").unlink()
    (copied / "transition.json").unlink()
    assert main(["report", str(copied)]) == 2
    assert "has no finished size yet: 4 of 4 runs have no results" in capsys.readouterr().err


@pytest.mark.slow
def test_twins_are_added_to_a_finished_sweep(
    config: SweepConfig, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)
    said, trained = list[str](), list[int]()

    def hear(event: RunEvent) -> None:
        if event.progress is None:
            trained.append(event.run.config.n_train)

    for _ in range(2):  # the second time there is nothing to do
        add_twins(folder, said.append, hear)
        assert sorted(trained) == [8, 16, 32, 64]
    assert not said
    sweep(config, folder, lambda event: None)
    rows = json.loads((folder / "measurements.json").read_text())["rows"]
    assert {row["n_train"] for row in rows if row["measurement"] == "twins"} == {8, 16, 32, 64}
    with pytest.raises(AttractorError, match="holds no sweep"):
        add_twins(tmp_path / "nowhere", said.append, hear)

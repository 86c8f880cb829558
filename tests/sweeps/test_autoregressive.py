"""A sweep of autoregressive models from its config to its page, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

import attractor
import tiny
from attractor.api.headline import headline
from attractor.cli.tables import show_transition
from attractor.config.settings import DataConfig, MonitorConfig, ProbeConfig, SweepConfig
from attractor.measurements.sets import asked_of
from attractor.probes import likelihood, pseudo_likelihood_fixed_points
from attractor.publish import export
from attractor.results.tables import read_results
from attractor.sweeps.run import require_locating, sweep
from attractor.types import AttractorError


def config(source: Path) -> SweepConfig:
    plain = tiny.config(source, sizes=(8, 64), steps=60)
    return dataclasses.replace(
        plain,
        process="autoregressive",
        train=dataclasses.replace(plain.train, optimizer="muon", lr=1e-2),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autoregressive")
    sweep(config(tiny.corpus(folder)), folder / "s", lambda event: None, workers=1)
    return folder / "s"


@pytest.mark.slow
def test_a_sweep_has_its_transition_in_prefix_extraction(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((finished / "transition.json").read_text())
    place = content["extraction_transition"]
    assert content["transition"] == []
    assert 8 < place["n_star"] < 64
    small, large = (
        [row["prefix_tokens"] for row in content["rows"] if row["n_train"] == n] for n in (8, 64)
    )
    assert (small[0] - small[1]) / (1 - small[1]) > 0.5 > (large[0] - large[1]) / (1 - large[1])
    assert all(row["t"] is None and row["recovery_rate"] is None for row in content["rows"])
    found = attractor.open(finished)
    assert found.n_star.seen_in == "prefix extraction"
    assert math.isclose(float(found.n_star), place["n_star"])
    assert "second halves" in found._repr_html_()
    show_transition(content)
    assert f"prefix extraction: n* = {place['n_star']:,.0f} [" in capsys.readouterr().out
    page = (finished / "report.html").read_text()
    assert "memorization advantage in prefix extraction is 1/2" in page.replace("\u00a0", " ")
    assert "Rows continued from their first half" in page


@pytest.mark.slow
def test_its_models_are_measured_by_what_is_defined_and_load_back(finished: Path) -> None:
    folders = [path.parent for path in finished.glob("*/config.json") if path.parent.name != "data"]
    run = min(folders, key=lambda path: json.loads((path / "config.json").read_text())["n_train"])
    results = read_results(run)
    names = {row.measurement for row in results.rows}
    assert {"nelbo_per_token", "kappa", "prefix_exact", "conditional_entropy"} <= names
    assert {"auroc", "share_memorized", "own_calibration_gap", "judge_nats"} <= names
    assert not names & {"recovery_rate", "basin_radius", "fixed_tokens", "nelbo_time_error"}
    scores = {row.split for row in results.rows if row.measurement == "auroc"}
    assert {"NELBO", "Min-K%", "Min-K%++", "entropy", "NELBO / zlib", "bag of words"} == scores
    assert any("second half" in line[0] for line in headline(results))
    model = attractor.load(run)
    tokens = torch.from_numpy(results.array("original", "nelbo", "train")[0]).long()
    exact = likelihood(model, tokens).per_token
    stored = torch.from_numpy(results.values("nelbo", "train")).float()
    torch.testing.assert_close(exact, stored, atol=1e-5, rtol=1e-5)
    with pytest.raises(AttractorError, match="no noise to corrupt text"):
        pseudo_likelihood_fixed_points(model, tokens)
    with pytest.raises(AttractorError, match=r"autoregressive.* attractor\.load opens"):
        export(run, run / "published")


def asked(**changes: object) -> SweepConfig:
    return SweepConfig(**{"sizes": (8.0,), "process": "autoregressive", **changes})  # type: ignore[arg-type]


def test_words_stand_for_what_is_defined_without_noise() -> None:
    everything = set(asked_of(asked()).measure)
    assert {"prefix_extraction", "likelihood", "calibration", "membership", "novelty"} <= everything
    assert not everything & {"recovery", "basin", "trajectory", "repetition"}
    assert set(asked_of(asked(probe=ProbeConfig(measure=("all",)))).measure) == everything
    own = asked_of(asked(probe=ProbeConfig(measure=("generations",)))).measure
    assert "novelty" in own
    assert "trajectory" not in own
    with_noise = asked_of(SweepConfig(sizes=(8.0,), probe=ProbeConfig(measure=("all",)))).measure
    assert "prefix_extraction" not in with_noise


@pytest.mark.parametrize("name", ["recovery", "basin", "fixed_points", "trajectory", "repetition"])
def test_what_needs_noise_is_refused_by_name(name: str) -> None:
    with pytest.raises(AttractorError, match=f"measure = '{name}': .* no noise .* instead$"):
        asked_of(asked(probe=ProbeConfig(measure=(name,))))


def test_what_needs_an_order_is_refused_of_models_with_noise() -> None:
    probe = ProbeConfig(measure=("prefix_extraction",))
    with pytest.raises(AttractorError, match="measure recovery or exact_match instead"):
        asked_of(SweepConfig(sizes=(8.0,), probe=probe))


def test_checks_and_repeated_rows_are_refused_before_training() -> None:
    with pytest.raises(AttractorError, match="checks restore corrupted text"):
        asked(monitor=MonitorConfig(every=5))
    with pytest.raises(AttractorError, match=r"repeat = \(2,\)"):
        asked(data=DataConfig(repeat=(2,)), sizes=(80.0,))


def test_a_sweep_needs_prefix_extraction() -> None:
    with pytest.raises(AttractorError, match="a sweep needs prefix_extraction and entropy"):
        require_locating(ProbeConfig(measure=("likelihood",)), "autoregressive")

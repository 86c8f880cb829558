"""The draws behind a place, for ArviZ: what they are when the place is known exactly."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attractor
from attractor.analysis.statistics import student_tail
from attractor.analysis.summary import Places, located
from attractor.analysis.transition import (
    Table,
    Transition,
    not_found,
    percentiles,
    recovery_transition,
)
from attractor.api.draws import tree

SIZES = np.array([10.0, 1000.0])
RUNS = ((0, 0), (0, 1))


def exactly(n_star: float) -> Transition:
    """A place that is no matter of chance: every resample, and every run, has the same curve."""
    # The basin advantage falls along a line in log n from 1 to x, and is 1/2 at n_star.
    x = 1 - 0.5 * np.log(SIZES[1] / SIZES[0]) / np.log(n_star / SIZES[0])
    curve = np.broadcast_to([1.0, x], (2, 40, 2))
    return recovery_transition(SIZES, Table(curve, None, RUNS), np.zeros((2, 40, 2)))


def test_draws_of_a_place_that_is_known_are_that_place() -> None:
    pytest.importorskip("xarray", reason="the extra `arviz` is not installed")
    found = tree(Places({0.1: exactly(300), 0.3: exactly(100), 0.5: not_found("open")}, {}))
    draws = found["bootstrap"]["n_star"]
    assert (draws.dims, draws.shape) == (("chain", "draw", "t"), (1, 2000, 2))
    assert draws.coords["t"].values.tolist() == [0.1, 0.3]  # and none of 0.5
    assert np.allclose(draws.sel(t=0.1), 300)
    assert np.allclose(draws.sel(t=0.3), 100)
    alone = found["training_runs"]["n_star"]
    assert alone.dims == ("run", "t")
    assert np.allclose(alone, [[300, 100], [300, 100]])
    assert alone.coords["seed"].values.tolist() == [0, 1]
    assert alone.coords["data_seed"].values.tolist() == [0, 0]
    assert "posterior" not in found.children


def test_draws_beyond_the_sizes_stay_beyond_them() -> None:
    pytest.importorskip("xarray", reason="the extra `arviz` is not installed")
    samples = np.array([-np.inf, np.log(5), np.inf, np.nan])
    place = Transition(5.0, None, None, seed_n_star=(None, 5.0), samples=samples, replicates=RUNS)
    found = tree(Places({}, {"entropy_transition": place, "validation_peak": None}))
    draws = found["bootstrap"]["entropy_transition"]
    assert np.allclose(draws[0], [0.0, 5.0, np.inf, np.nan], equal_nan=True)
    assert np.isnan(found["training_runs"]["entropy_transition"][0])
    assert set(found["bootstrap"].data_vars) == {"entropy_transition"}


def noisy() -> Transition:
    """A place whose draws differ: shares of 30 rows around a falling line."""
    rng = np.random.default_rng(0)
    train = (rng.random((1, 30, 2)) < [0.95, 0.05]).astype(float)
    return recovery_transition(SIZES, Table(train, None, RUNS[:1]), np.zeros((1, 30, 2)))


def test_the_interval_of_the_report_is_made_of_these_draws() -> None:
    pytest.importorskip("xarray", reason="the extra `arviz` is not installed")
    place = noisy()
    assert place.ci is not None
    draws = tree(Places({0.1: place}, {}))["bootstrap"]["n_star"].values.ravel()
    assert len(np.unique(draws)) > 10
    assert percentiles(draws, student_tail(30)) == pytest.approx(place.ci, rel=1e-12)


def test_arviz_summarizes_them() -> None:
    stats = pytest.importorskip("arviz_stats", reason="the extra `arviz` is not installed")
    found = tree(Places({0.1: noisy()}, {}))
    table = stats.summary(found, group="bootstrap", kind="stats", round_to="none")
    draws = found["bootstrap"]["n_star"].values
    assert table["mean"].iloc[0] == pytest.approx(draws.mean())


def test_draws_of_a_sweep_are_of_the_places_in_its_files(
    small_sweep: Path,
) -> None:
    opened = attractor.open(small_sweep)
    assert isinstance(opened, attractor.api.Sweep)
    found = located([run.results for run in opened.runs.values()])
    written = json.loads((small_sweep / "transition.json").read_text())
    plain = [{"t": t, **place.plain()} for t, place in found.recovery.items()]
    assert json.loads(json.dumps(plain)) == written["transition"]
    assert set(found.others) | {"schema", "elapsed_s", "rows", "transition", "agreement", "onset"} \
        == set(written)  # fmt: skip
    pytest.importorskip("xarray", reason="the extra `arviz` is not installed")
    there = {name for name, place in found.others.items() if place and place.n_star}
    if there or any(place.n_star for place in found.recovery.values()):
        assert there <= set(opened.to_arviz()["bootstrap"].data_vars)
    else:
        with pytest.raises(attractor.AttractorError, match="no place was located"):
            opened.to_arviz()


def test_without_a_place_the_reason_is_the_error() -> None:
    pytest.importorskip("xarray", reason="the extra `arviz` is not installed")
    with pytest.raises(attractor.AttractorError, match=r"no draws of one: at t = 0\.1 open"):
        tree(Places({0.1: not_found("open towards small n")}, {"entropy_change": None}))


@pytest.mark.parametrize("of", [lambda s: s.to_arviz(), lambda s: tree(Places({}, {}))])
def test_without_the_extra_one_line_says_what_to_install(
    of: Any, small_sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(attractor.AttractorError) as raised:
        of(attractor.open(small_sweep))
    assert str(raised.value) == "to_arviz needs xarray: pip install 'attractor[arviz]'"

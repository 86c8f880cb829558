"""Repeated rows against models whose answer is known: one that stores what it was given, and one
that knows the law of the text and stores nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attractor.config.settings import ProbeConfig
from attractor.data.replicas import planted, training_set
from attractor.measurements import measure, rows_of
from attractor.measurements.repetition import EXTRACTED, LEFT_OUT, PLANTED
from attractor.measurements.sets import spelled_out, with_repetition
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.results.tables import Row, read_arrays, write_tokens
from attractor.theory import EmpiricalDenoiser, random_source

V, L, REPEAT, ROWS, N = 8, 16, (1, 4, 16), 12, 400
CONFIG = ProbeConfig(
    measure=("repetition",), t=(0.2,), rows=8, test_rows=8, steps=32, nelbo_draws=8, basin_rounds=2
)


@pytest.fixture(scope="module")
def corpus() -> np.ndarray:
    return random_source(V, 0.3, seed=1).sample(N + 80, L, seed=2).numpy()


def measured(denoiser: Denoiser, corpus: np.ndarray, folder: Path) -> list[Row]:
    known = training_set(corpus, N, REPEAT, ROWS)
    rows = planted(corpus, REPEAT, ROWS)
    texts = Texts(known[:8], corpus[:8], known, known[8:], corpus[8:], str, rows)
    write_tokens(folder, measure(denoiser, texts, CONFIG))
    return rows_of(read_arrays(folder))


def value(rows: list[Row], name: str, split: str, at: int) -> Row:
    (found,) = (r for r in rows if (r.measurement, r.split, r.at) == (name, split, at))
    return found


def test_a_store_gives_back_rows_of_one_copy_and_not_those_left_out(tmp_path: Path) -> None:
    # Rows without any structure, whose nearest neighbours differ in most places: what a store
    # returns to does not depend on how often it holds it.
    corpus = np.random.default_rng(0).integers(V, size=(N + 80, 2 * L)).astype(np.int32)
    known = torch.from_numpy(training_set(corpus, N, REPEAT, ROWS)).long()
    rows = measured(EmpiricalDenoiser(known, V), corpus, tmp_path)
    for times in REPEAT:
        assert value(rows, "repeated_recovery", PLANTED, times).value == 1
        assert value(rows, "repeated_auroc", PLANTED, times).value == 1
        # No row that was left out can come back whole: the store does not hold it.
        assert value(rows, "repeated_extraction", LEFT_OUT, times).value == 0
        assert value(rows, "repeated_radius", LEFT_OUT, times).value < 0.2
        assert value(rows, "repeated_radius", PLANTED, times).value > 0.4
        assert value(rows, "repeated_extraction", PLANTED, times).sequences == ROWS


def test_a_model_that_stores_nothing_shows_no_dose(corpus: np.ndarray, tmp_path: Path) -> None:
    """Intervals of repeated rows and of rows left out overlap, and AUROC's hold one half: three
    counts of two quantities at 95% each, with a fixed seed."""
    rows = measured(random_source(V, 0.3, seed=1), corpus, tmp_path)
    for times in REPEAT:
        for name in ("repeated_recovery", "repeated_radius", "repeated_extraction"):
            a, b = (value(rows, name, split, times).ends() for split in (PLANTED, LEFT_OUT))
            assert max(a[0], b[0]) <= min(a[1], b[1]), (name, times)
        low, high = value(rows, "repeated_auroc", PLANTED, times).ends()
        assert low <= 0.5 <= high


def test_without_repeated_rows_nothing_is_measured(corpus: np.ndarray, tmp_path: Path) -> None:
    texts = Texts(corpus[:8], corpus[8:16], corpus[:8], corpus[16:], corpus[16:], str)
    write_tokens(tmp_path, measure(random_source(V, 0.3, seed=1), texts, CONFIG))
    assert rows_of(read_arrays(tmp_path)) == []


def test_it_is_measured_where_the_data_repeat_rows_and_nowhere_else() -> None:
    plain = ProbeConfig()
    assert "repetition" not in spelled_out(plain).measure
    assert with_repetition(plain, ()) == plain
    names = with_repetition(plain, (1, 10)).measure
    assert set(names) == {*spelled_out(plain).measure, "repetition"}
    assert max(CONFIG.t) < EXTRACTED

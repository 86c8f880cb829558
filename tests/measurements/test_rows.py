"""From arrays to numbers, on arrays whose numbers are known."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from attractor import AttractorError
from attractor.analysis.statistics import clopper_pearson
from attractor.analysis.summary import Case, case_of, model_detector
from attractor.measurements import rows_of
from attractor.measurements.entropy import EDGES
from attractor.measurements.membership import scores
from attractor.measurements.micro_attractors import load_tagger, micro_attractors
from attractor.measurements.trajectory import QUANTITIES
from attractor.results.tables import (
    Arrays,
    Block,
    Provenance,
    Row,
    RunResults,
    read_arrays,
    read_results,
    require_joinable,
    write_rows,
    write_tokens,
)

N, L = 40, 8


def block(name: str, split: str, value: np.ndarray) -> Block:
    return Block(measurement=name, split=split, original=np.tile(np.arange(L), (N, 1)), value=value)


def recovered(split: str, right: np.ndarray) -> Block:
    """The first half of each row is corrupted; `right` says which tokens end up right."""
    original = np.tile(np.arange(L), (N, 1))
    corrupted = np.where(np.arange(L) < L // 2, original + 100, original)
    return Block(
        measurement="recovery", split=split, t=0.5, original=original, corrupted=corrupted[None],
        recovered=np.where(right, original, 99)[None],
    )  # fmt: skip


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    rng = np.random.default_rng(0)
    back, lost = np.ones((N, L), dtype=bool), np.arange(L) % 2 == 0
    entropy = np.where(np.arange(L) % 2 == 0, 0.005, 2.0) + np.zeros((N, 1))
    copies = np.repeat(
        [0, 1, 6, 6], N // 4
    )  # a quarter each: copies, near copies, an echo, neither
    blocks = [
        recovered("train", back), recovered("test", np.tile(lost, (N, 1))), recovered("random",
        ~back),
        block("entropy", "train", rng.random((N, L)) / 1000), block("entropy", "test", entropy),
        block("entropy", "generated", entropy), block("nelbo", "train", rng.random((N, L))),
        block("nelbo", "test", 3 + rng.random((N, L))), block("bag_of_words", "train",
        rng.random((N, 1))),
        block("bag_of_words", "test", rng.random((N, 1))), block("judge", "generated",
        rng.random((N, 1))),
        block("novelty_nearest", "generated", copies[:, None]),
        block("novelty_nearest", "test", np.repeat([2, 5, 5, 5], N // 4)[:, None]),
        block("novelty_own", "generated", np.tile([7, 1], N // 2)[:, None]),
        block("novelty_overlap", "generated", np.full((N, 1), 4)), block("basin_radius", "train",
        np.full((N, 1), 0.5)),
        *(block(q.name, "generated", np.full((N, 21), 0.25)) for q in QUANTITIES),
    ]  # fmt: skip
    write_tokens(tmp_path, blocks)
    return read_arrays(tmp_path)


def test_numbers_that_are_known(arrays: Arrays) -> None:
    rows = {(r.split, r.measurement, r.t, r.at): r for r in rows_of(arrays)}
    value = {key: row.value for key, row in rows.items()}
    assert value["train", "recovery_rate", 0.5, None] == 1
    assert value["test", "recovery_rate", 0.5, None] == 0.5
    assert value["test", "unstable_rate", 0.5, None] == 0.5
    assert value["test", "vanishing_share", None, None] == 0.5
    # Even tokens came back and are certain, odd ones failed and are not.
    assert value["test", "entropy_recovered", 0.5, None] == pytest.approx(0.005, rel=1e-6)
    assert value["test", "entropy_failed", 0.5, None] == pytest.approx(2)
    density = [
        v for (split, name, _, _), v in value.items() if (split, name) == ("test", "density_failed")
    ]
    assert sum(density) == pytest.approx(1)
    two_nats = float(np.sqrt(EDGES[14] * EDGES[15]))
    for key in (("train", "recovery_micro", 0.5, None), ("test", "density_failed", 0.5, two_nats)):
        assert value[key] == 1  # all of 40 sequences, which does not make it certain
        assert (rows[key].low, rows[key].sequences) == (pytest.approx(clopper_pearson(N, N).low), N)
    assert value["generated", "share_memorized", None, None] == 0.5
    assert value["test", "share_memorized", None, None] == 0.25
    assert value["generated", "share_spurious", None, None] == 0.25
    assert value["generated", "share_novel", None, None] == 0.25
    assert value["generated", "overlap", None, None] == 0.5
    assert value["generated", "distinct_1", None, None] == pytest.approx(1 / N)
    assert value["train", "basin_survival", None, 0.5] == 1
    assert value["train", "basin_survival", None, 0.55] == 0
    assert value["generated", "path_top", None, 0.0] == 0.25
    assert value["NELBO", "auroc", None, None] == 1
    assert (
        rows["NELBO", "auroc_shuffled", None, None].low
        < 0.5
        < rows["NELBO", "auroc_shuffled", None, None].high
    )
    assert (
        value["NELBO", "auroc_gain", None, None] == 1 - value["bag of words", "auroc", None, None]
    )
    assert value["NELBO", "tpr", None, 0.0] == 1
    assert ("NELBO", "tpr", None, 0.01) not in value  # 40 unseen rows cannot resolve it
    assert value["bag of words", "auroc", None, None] == pytest.approx(0.5, abs=0.25)
    without = {row.measurement for row in rows.values() if row.low is None}
    assert {name for name in without if not name.startswith("gap_")} == {
        "distinct_1",
        "distinct_2",
        "distinct_3",
    }
    assert "gap_cliffs_delta" not in without
    assert all(row.low <= row.value <= row.high for row in rows.values() if row.low is not None)


def test_the_last_bin_of_a_density_has_no_end(tmp_path: Path) -> None:
    """An untrained network with the vocabulary of BERT has log 30,522 = 10.3 nats."""
    blocks = [
        recovered(split, np.ones((N, L), dtype=bool)) for split in ("train", "test", "random")
    ]
    write_tokens(tmp_path, [*blocks, block("entropy", "test", np.full((N, L), 10.3))])
    found = {
        r.at: r.value
        for r in rows_of(read_arrays(tmp_path))
        if r.measurement == "density_recovered"
    }
    assert found == {at: float(at == max(found)) for at in found}


def test_every_score_speaks_for_membership_when_it_is_high(arrays: Arrays) -> None:
    found = scores(arrays)
    assert set(found) == {"recovery at t = 0.5", "NELBO", "entropy", "bag of words"}
    for name in ("recovery at t = 0.5", "NELBO", "entropy"):
        assert found[name][0].mean() > found[name][1].mean()


def test_rows_without_a_perturbed_token_do_not_give_away_their_kind(tmp_path: Path) -> None:
    """Half of the rows of both kinds have no score; the others return a little more often if they
    are unseen."""
    blocks = []
    for split, returned in (("train", 1), ("test", 2)):
        whole = recovered(
            split, np.arange(L) < np.where(np.arange(N) % 8 < returned, L, 0)[:, None]
        )
        nothing = np.arange(N)[:, None] % 2 == 0
        blocks.append(
            dataclasses.replace(whole, corrupted=np.where(nothing, whole.original, whole.corrupted))
        )
    write_tokens(tmp_path, blocks)
    train, test = scores(read_arrays(tmp_path))["recovery at t = 0.5"]
    assert (train[1::2].mean(), test[1::2].mean()) == (0, 0.25)
    assert set(train[::2]) == set(test[::2]) == {0.125}


def test_numbers_that_are_not_finite_are_not_dropped(arrays: Arrays, tmp_path: Path) -> None:
    entropy = arrays.values("entropy", "train")
    entropy[3, 2] = np.nan
    write_tokens(tmp_path, [block("entropy", "train", entropy)])
    with pytest.raises(AttractorError, match="1 of 40 sequences have no finite value, first row 3"):
        rows_of(read_arrays(tmp_path))


def test_micro_attractors_by_token(arrays: Arrays) -> None:
    found = micro_attractors(arrays, np.arange(100)[::-1])
    assert [m.token for m in found] == [0, 2, 4, 6]
    assert [m.rank for m in found] == [1, 3, 5, 7]
    assert (found[0].occurrences, found[0].vanishing, found[0].position) == (N, N, 0)
    assert all(m.ci[0] <= m.vanishing / m.occurrences <= m.ci[1] for m in found)
    assert found[3].position == pytest.approx(6 / 7)
    with pytest.raises(AttractorError, match="allowed is 'nltk'"):
        load_tagger("spacy")


def test_the_interval_of_a_micro_attractor_is_of_the_share_that_is_shown(tmp_path: Path) -> None:
    """A token four times in each row, certain at one of its places in each: 25% of tokens, not 100%
    of sequences."""
    entropy = np.full((N, L), 2.0)
    entropy[:, 0] = 0
    row = np.array([7, 7, 7, 7, 1, 2, 3, 4])
    made = Block(measurement="entropy", split="test", original=np.tile(row, (N, 1)), value=entropy)
    write_tokens(tmp_path, [made])
    (found,) = micro_attractors(read_arrays(tmp_path), np.arange(100))
    assert found.vanishing / found.occurrences == 0.25
    assert found.ci[0] <= 0.25 <= found.ci[1] < 0.5


def test_a_missing_tagger_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk", None)
    with pytest.raises(AttractorError, match="pip install nltk"):
        load_tagger("nltk")


def test_a_tagger_without_its_data_names_what_to_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def pos_tag(words: list[str], tagset: str) -> list[tuple[str, str]]:
        raise LookupError

    monkeypatch.setitem(sys.modules, "nltk", SimpleNamespace(pos_tag=pos_tag))
    with pytest.raises(
        AttractorError, match=r"python -m nltk.downloader averaged_perceptron_tagger_eng"
    ):
        load_tagger("nltk")
    monkeypatch.setitem(
        sys.modules,
        "nltk",
        SimpleNamespace(pos_tag=lambda words, tagset: [(words[0], words[0].upper())]),
    )
    assert [load_tagger("nltk")(word) for word in ("the", "")] == ["THE", ""]


def run(n: int, memorizing: bool, **stamp: object) -> RunResults:
    def row(split: str, name: str, value: float, t: float | None) -> Row:
        return Row(
            split=split,
            measurement=name,
            t=t,
            value=value,
            low=value - 0.1,
            high=value + 0.1,
            sequences=N,
        )

    rows = [
        row("train", "recovery_rate", 0.9 if memorizing else 0.3, 0.5), row("test", "recovery_rate",
        0.3, 0.5),
        row("generated", "conditional_entropy", 0.1 if memorizing else 2 + n, None),
    ]  # fmt: skip
    made = Provenance(config_hash="0", n_train=n, seed=0, **stamp)  # type: ignore[arg-type]
    empty = read_tokens_with_generations()
    return RunResults(provenance=made, rows=rows, tokens=empty.tokens)


def read_tokens_with_generations() -> Arrays:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_tokens(Path(folder), [block("entropy", "generated", np.zeros((N, L)))])
        return read_arrays(Path(folder))


def test_entropy_tells_models_apart_or_says_why_not() -> None:
    sizes = (1, 2, 3, 4, 5, 6)
    found = model_detector([case_of(run(n, n < 4)) for n in sizes], sizes, "training-set size")
    assert (found["models"], found["memorizing"], found["auroc"], found["accuracy"]) == (6, 3, 1, 1)
    assert found["auroc_ci"][0] < 0.9
    few = model_detector([case_of(run(n, False)) for n in (1, 2)], (1, 2), "training-set size")
    assert few["reason"] == "fewer than 2 models of one kind"
    unmeasured = model_detector([Case(True, None)], (1,), "training-set size")
    assert unmeasured["reason"] == "the models' own generations were not measured"


def test_a_threshold_that_holds_for_one_model_size_only_is_found_out() -> None:
    """Entropies of large models lie a nat above those of small ones: the threshold of one kind
    fails on the other."""
    every = [
        (size, n < 3, shift + (0.1 if n < 3 else 0.6))
        for size, shift in (("s", 0), ("l", 1))
        for n in range(6)
    ]
    cases = [Case(memorizing, entropy) for _, memorizing, entropy in every]
    found = model_detector(cases, [size for size, _, _ in every], "model size")
    assert found["groups"] == 2
    assert found["accuracy"] == 0.5
    assert found["auroc"] == 0.75


@pytest.mark.parametrize(
    ("field", "values"), [("tokenizer", ("a", "b")), ("noise_seed", (0, 1)), ("schema", (1, 2))]
)
def test_results_that_were_not_measured_alike_are_not_joined(
    field: str, values: tuple[object, object]
) -> None:
    with pytest.raises(
        AttractorError, match=f"different {field} cannot be joined: {values[0]} and {values[1]}"
    ):
        require_joinable([run(1, True, **{field: value}) for value in values])


def test_another_schema_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    rows = rows_of(arrays)[:2]
    write_rows(tmp_path, rows, Provenance(config_hash="0", n_train=1, seed=0))
    assert read_results(tmp_path).rows == rows
    write_rows(
        tmp_path,
        rows,
        dataclasses.replace(Provenance(config_hash="0", n_train=1, seed=0), schema=1),
    )
    with pytest.raises(AttractorError, match="of schema 1, and only 2 can be read"):
        read_results(tmp_path)

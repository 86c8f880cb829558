"""Rows keep their documents and groups; other orders and repeated rows leave everything else as it
was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attractor.config.identity import config_hash, identity, run_id
from attractor.config.settings import DataConfig, RunConfig, SweepConfig
from attractor.data import stream, streamed
from attractor.data.dataset import Dataset, open_dataset, prepare_dataset
from attractor.data.origins import owners
from attractor.data.replicas import PLANTED, ordered, planted, training_set
from attractor.data.sources import TextSource
from attractor.data.subsets import split_documents
from attractor.runs.folder import prepare
from attractor.types import AttractorError


def _config(source: Path | str, **changes: object) -> DataConfig:
    given = {"tokenizer": "char", "seq_len": 12, "test_share": 0.2, **changes}
    return DataConfig(source=str(source), **given)  # type: ignore[arg-type]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Different texts of 3 to 60 letters."""
    rng = np.random.default_rng(seed)
    letters = list("abcdefgh ")
    return [f"{''.join(rng.choice(letters, rng.integers(3, 60)))}{i}" for i in range(n)]


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    path = tmp_path / "text.jsonl"
    lines = [
        {"text": text, "author": f"author {i % 7}", "id": i, "none": "same"}
        for i, text in enumerate(sentences(120))
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def _brute(tokens: list[int], chunk: int) -> list[int]:
    each = np.repeat(np.arange(len(tokens)), tokens)
    rows = each[: len(each) // chunk * chunk].reshape(-1, chunk)
    return [int(np.bincount(row).argmax()) for row in rows]  # of equal counts the first


@pytest.mark.parametrize("chunk", [2, 5, 10, 40])
def test_a_row_is_of_the_document_that_most_of_its_tokens_are_of(chunk: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        tokens = rng.integers(1, 30, 25).tolist()
        assert owners(tokens, chunk).tolist() == _brute(tokens, chunk)
    assert owners([], chunk).tolist() == owners([chunk - 1], chunk).tolist() == []


def _check(data: Dataset, authors: dict[str, str]) -> None:
    """Rows lie inside the text of their document, where they are of one alone."""
    assert data.origins is not None
    found = 0
    for rows, origin in ((data.train, data.origins.train), (data.test, data.origins.test)):
        assert origin.shape == (len(rows), 2)
        by_document: dict[int, set[int]] = {}
        for ids, (document, group) in zip(rows, origin, strict=True):
            text = data.tokenizer.decode(ids.tolist())
            by_document.setdefault(int(document), set()).add(int(group))
            holders = {authors[t] for t in authors if len(text) == 10 and text in t}
            if holders:
                found += 1
                assert data.origins.names[group] in holders
        assert all(len(groups) == 1 for groups in by_document.values())
    assert found > 20


def test_rows_know_the_column_that_was_named(jsonl: Path, tmp_path: Path) -> None:
    data = prepare_dataset(tmp_path / "d", _config(jsonl, group="author"))
    records = [json.loads(line) for line in jsonl.read_text().split("\n")]
    _check(data, {r["text"].strip(): r["author"] for r in records})
    assert data.origins is not None
    assert data.origins.kind == "author"
    # The rows are those that they are without groups.
    plain = prepare_dataset(tmp_path / "e", _config(jsonl))
    np.testing.assert_array_equal(plain.train, data.train)
    assert plain.origins is not None
    assert (plain.origins.train[:, 1] == -1).all()
    np.testing.assert_array_equal(plain.origins.train[:, 0], data.origins.train[:, 0])


def test_files_of_a_folder_are_groups(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    texts = sentences(90)
    for i in range(3):
        (folder / f"{i}.txt").write_text("\n".join(texts[i::3]))
    data = prepare_dataset(tmp_path / "d", _config(folder))
    _check(data, {text: f"{i % 3}.txt" for i, text in enumerate(t.strip() for t in texts)})


def test_whole_groups_are_held_out(jsonl: Path, tmp_path: Path) -> None:
    data = prepare_dataset(tmp_path / "d", _config(jsonl, group="author", split_by="group"))
    assert data.origins is not None
    train, test = (set(o[:, 1].tolist()) for o in (data.origins.train, data.origins.test))
    assert train
    assert test
    assert not train & test
    # One of seven groups of 17 or 18 documents fits into a fifth of 120, two do not.
    assert 17 <= data.counts.test_documents <= 18


def test_groups_change_nothing_of_a_split_by_documents() -> None:
    texts = sentences(50)
    alone = split_documents(texts, 0.2, 3)
    assert split_documents(texts, 0.2, 3, {text: text for text in texts}).counts == alone.counts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "id"}, "group = 'id': each of its 120 groups has one document"),
        ({"group": "none"}, "group = 'none': all documents are of one group, 'same'"),
        ({"group": "writer"}, "no column 'writer'"),
        ({"split_by": "group"}, "split_by = 'group': '.*' has no groups"),
        ({"source": "bible", "group": "x"}, "group = 'x' is a column, and 'bible' has none"),
        (
            {"group": "author", "split_by": "group", "test_share": 0.1},
            "the smallest of 7 groups has 17 documents, and test_share asks for 12",
        ),
    ],
)
def test_groups_that_are_none_are_refused(
    jsonl: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(AttractorError, match=message):
        prepare_dataset(tmp_path / "d", _config(**{"source": jsonl, **settings}))


@pytest.mark.parametrize("stop_after", [None, 2])
def test_streamed_rows_keep_their_documents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop_after: int | None
) -> None:
    """Also when packing is stopped in between and taken up again."""
    texts = [text.strip() for text in sentences(200)]
    source = TextSource(lambda: iter(texts), lambda: iter(sentences(20, seed=1)), "made up")
    monkeypatch.setattr("attractor.data.dataset.find_source", lambda *a, **k: source)
    for module in (stream, streamed):
        monkeypatch.setattr(module, "BATCH", 30)
    monkeypatch.setattr(stream, "SAVE", 500)
    folder, calls = tmp_path / "d", 0

    def stop(packed: stream.Packed) -> None:
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise KeyboardInterrupt

    folder.mkdir()
    config, building = _config("made up"), tmp_path / "b"
    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(folder, config, building=building, on_progress=stop)
    data = prepare_dataset(folder, config, building=building)
    assert data.origins is not None
    assert data.origins.kind == ""
    # 200 documents, none of them dropped: numbers are places in `texts`.
    inside = 0
    for ids, (document, group) in zip(data.train, data.origins.train, strict=True):
        assert group == -1
        text = data.tokenizer.decode(ids.tolist())
        if len(text) == 10:
            inside += text in texts[document]
    assert inside > 200


def test_a_stream_has_no_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = TextSource(lambda: iter(sentences(9)), None, "made up")
    monkeypatch.setattr("attractor.data.dataset.find_source", lambda *a, **k: source)
    with pytest.raises(AttractorError, match="group = 'author' is for text that is read at once"):
        prepare_dataset(tmp_path / "d", _config("made up", group="author"))


def test_a_folder_of_an_earlier_version_has_no_origins() -> None:
    folder = Path(__file__).parent / "earlier_sweep" / "data"
    assert open_dataset(folder).origins is None


def test_another_order_is_the_same_rows_and_leaves_the_rest(jsonl: Path, tmp_path: Path) -> None:
    data = prepare(_config(jsonl, group="author"), tmp_path / "d", orders=(0, 3))
    other = ordered(data, 3)
    assert ordered(data, 0) is data
    assert not np.array_equal(other.train, data.train)
    np.testing.assert_array_equal(np.sort(other.train, 0), np.sort(data.train, 0))
    np.testing.assert_array_equal(other.test, data.test)
    assert data.origins is not None
    assert other.origins is not None
    # A row takes its document and its group along.
    of = {row.tobytes(): tuple(o) for row, o in zip(data.train, data.origins.train, strict=True)}
    if len(of) == len(data.train):
        for row, origin in zip(other.train, other.origins.train, strict=True):
            assert of[row.tobytes()] == tuple(origin)
    np.testing.assert_array_equal(ordered(other, 3).train, other.train)
    # An order that is asked for later is added; the folder stays that of the same config.
    again = prepare(_config(jsonl, group="author", order=5), tmp_path / "d")
    assert len(ordered(again, 5).train) == len(data.train)
    with pytest.raises(AttractorError, match=r"train-order-9\.npy"):
        ordered(data, 9)


def test_copies_take_the_last_places_and_the_first_rows_stay(jsonl: Path, tmp_path: Path) -> None:
    config = _config(jsonl, repeat=(1, 4, 10), repeat_rows=3)
    data = prepare(config, tmp_path / "d")
    n, copies = 150, 3 * (1 + 4 + 10)
    found = training_set(data.train, n, config.repeat, config.repeat_rows)
    assert len(found) == n
    np.testing.assert_array_equal(found[: n - copies], data.train[: n - copies])
    rows = planted(data.train, config.repeat, config.repeat_rows)
    assert rows.repeats.tolist() == [0, 1, 4, 10] * 3
    counted = [int((found[n - copies :] == row).all(1).sum()) for row in rows.rows]
    assert counted == rows.repeats.tolist()
    # They are the same at every size, and the folder lists them.
    more = training_set(data.train, n + 20, config.repeat, config.repeat_rows)
    np.testing.assert_array_equal(more[-copies:], found[-copies:])
    listed = json.loads((tmp_path / "d" / PLANTED).read_text())["rows"]
    assert [entry["repeats"] for entry in listed] == rows.repeats.tolist()
    for entry, row in zip(listed, rows.rows, strict=True):
        np.testing.assert_array_equal(data.train[entry["row"]], row)
    np.testing.assert_array_equal(training_set(data.train, n), data.train[:n])


def test_a_corpus_without_room_for_the_copies_is_refused(jsonl: Path, tmp_path: Path) -> None:
    data = prepare(_config(jsonl), tmp_path / "d")
    n = len(data.train)
    with pytest.raises(AttractorError, match=f"n_train = {n} with 4 copies takes"):
        training_set(data.train, n, (1,), 4)
    with pytest.raises(AttractorError, match="repeat_rows = 900 for 1 numbers of copies"):
        prepare(_config(jsonl, repeat=(2,), repeat_rows=900), tmp_path / "d")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeat": (1, 1000)}, "repeat = 1000 is above the 500 rows of the training set"),
        ({"repeat": (1, 100)}, r"repeat = \(1, 100\) of 16 rows each are 1,616 copies"),
        ({"repeat": (0, 3)}, r"repeat = \(0, 3\): numbers of copies, each at least 1"),
        ({"repeat": (3, 3)}, r"repeat = \(3, 3\): numbers of copies"),
        ({"repeat": (3,), "repeat_rows": 1}, "repeat_rows = 1: an interval needs at least 2"),
        ({"order": -1}, "order = -1 must be at least 0"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        RunConfig(n_train=500, data=DataConfig(**settings))  # type: ignore[arg-type]


def test_a_sweep_refuses_copies_that_its_smallest_size_cannot_hold_before_anything_is_read() -> (
    None
):
    with pytest.raises(AttractorError, match="repeat = 1000 is above the 64 rows of the training"):
        SweepConfig(sizes=(64.0, 256.0), data=DataConfig(repeat=(1000,)))
    assert SweepConfig(sizes=(0.001, 0.5), data=DataConfig(repeat=(1000,))).sizes == (0.001, 0.5)


def test_new_settings_leave_the_names_of_old_runs() -> None:
    new = {"group", "split_by", "order", "repeat", "repeat_rows", "resample", "planted_rows"}
    new |= {"extraction_rows", "extraction_falls", "data_seeds", "seeds_at"}
    sweep = SweepConfig(sizes=(8.0, 16.0))
    told = json.dumps(identity(sweep))
    assert not any(f'"{name}"' in told for name in new)
    run = RunConfig(data=DataConfig(order=2))
    assert run_id(run) != run_id(RunConfig())
    assert config_hash(SweepConfig(sizes=(8.0,), data_seeds=(0, 1))) != config_hash(
        SweepConfig(sizes=(8.0,))
    )

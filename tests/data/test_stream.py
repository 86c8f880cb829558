"""Streams of documents against what is done in memory, and against what is interrupted."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.config.identity import config_hash
from attractor.config.settings import DataConfig
from attractor.data import duplicates, stream
from attractor.data.corpus import read_documents
from attractor.data.dataset import open_dataset, prepare_dataset
from attractor.data.duplicates import NearDuplicates, Seen, digest
from attractor.data.packing import pack
from attractor.data.sources import TextSource
from attractor.data.stream import Packed, Wrapping
from attractor.data.subsets import _without_near_duplicates
from attractor.types import AttractorError

SETTINGS = {
    "column": "text",
    "tokenizer": "char",
    "vocab_size": 0,
    "seq_len": 16,
    "test_share": 0.1,
    "seed": 0,
}


@given(st.lists(st.lists(st.text(max_size=2), max_size=8)))
def test_seen_is_a_set(batches: list[list[str]]) -> None:
    seen, known = Seen(), set()
    for batch in batches:
        fresh = []
        for document in batch:
            fresh.append(document not in known)
            known.add(document)
        assert seen.add(batch) == fresh
        seen = Seen(seen.all())
    assert seen.all().tolist() == sorted(map(digest, known))


def test_near_duplicates_are_those_of_the_split_in_memory() -> None:
    verses = read_documents("bible")[:6000]
    test, candidates = verses[::10], [verse for i, verse in enumerate(verses) if i % 10]
    candidates += [f"And {verse} Selah." for verse in test[:50]] + ["", "...", "In the"]
    near = NearDuplicates(test)
    kept = [
        text
        for text, is_near in zip(candidates, near.among(candidates), strict=True)
        if not is_near
    ]
    assert kept == _without_near_duplicates(candidates, test)
    assert [near.among([text])[0] for text in candidates[-60:]] == near.among(candidates[-60:])
    assert NearDuplicates([]).among(candidates[:3]) == [False] * 3
    assert near.among([]) == []


encoded = st.lists(st.lists(st.integers(2, 30), max_size=9), max_size=30)


@given(encoded, st.integers(4, 12), st.integers(1, 7))
def test_rows_in_parts_are_those_of_the_whole(
    documents: list[list[int]], seq_len: int, size: int
) -> None:
    wrapping, left, parts = Wrapping(seq_len, 0, 1), [], []
    for part in (
        itertools.batched(documents, size)
        if hasattr(itertools, "batched")
        else _batched(documents, size)
    ):
        rows, left = wrapping.rows(left, part)
        parts += rows.tolist()
    total = sum(len(document) + 1 for document in documents)
    assert parts == (pack(documents, seq_len, 0, 1).tolist() if total >= seq_len - 2 else [])
    assert len(left) == total % (seq_len - 2)


def _batched(items: list[list[int]], size: int) -> Iterator[list[list[int]]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def test_the_papers_rows_bit_for_bit() -> None:
    """Written as in the public code: concatenate, cut to whole blocks, put the markers around,
    batch by batch."""
    rng = np.random.default_rng(0)
    batches = [
        [rng.integers(2, 99, rng.integers(1, 60)).tolist() for _ in range(40)] for _ in range(2)
    ]
    bos = eos = 101  # both are [CLS] there, with BERT's tokenizer
    expected = []
    for batch in batches:
        whole = [token for document in batch for token in [*document, eos]]
        for i in range(0, len(whole) // 126 * 126, 126):
            expected.append([bos, *whole[i : i + 126], eos])
    wrapping, left, found = Wrapping(128, bos, eos, as_in_paper=True), [], []
    for batch in batches:
        rows, left = wrapping.rows(left, batch)
        found += rows.tolist()
    assert found == expected
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_the_papers_rows_and_their_order_are_those_of_datasets(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public code's own calls: map in batches of 1,000 by so many processes, then
    shuffle(seed=1). 4,500 documents, some of them empty, are 1,500 for each of three processes."""
    import datasets

    rng = np.random.default_rng(0)
    documents = ["".join(rng.choice(list("abcde "), rng.integers(0, 40))) for _ in range(4500)]
    text = source(documents, ["a dead bee added a bad cab"])
    prepared(monkeypatch, tmp_path / "ours", text, wrap="paper", wrap_processes=processes, seed=1)
    ours = open_dataset(tmp_path / "ours")
    ids = {"input_ids": ours.tokenizer.encode(documents)}
    bos, eos, chunk = ours.tokenizer.bos_id, ours.tokenizer.eos_id, SETTINGS["seq_len"] - 2

    def group(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        whole = [token for document in batch["input_ids"] for token in [*document, eos]]
        starts = range(0, len(whole) // chunk * chunk, chunk)
        return {"input_ids": [[bos, *whole[i : i + chunk], eos] for i in starts]}

    datasets.disable_progress_bars()
    theirs = datasets.Dataset.from_dict(ids).map(
        group, batched=True, batch_size=1000, num_proc=processes, keep_in_memory=True
    )
    assert np.array_equal(ours.train, theirs.shuffle(seed=1, keep_in_memory=True)["input_ids"])


def test_shares_of_processes_are_those_of_datasets() -> None:
    import datasets

    for total, processes in ((10, 3), (4500, 7), (2, 5)):
        table = datasets.Dataset.from_dict({"i": list(range(total))})
        text = source([str(i) for i in range(total)])
        ends = stream._shard_ends(text, processes)
        shards = [
            table.shard(len(ends), i, contiguous=True)["i"][:] for i in range(min(processes, total))
        ]
        assert ends == [shard[-1] + 1 for shard in shards]
    assert stream._batch(990, [1500, 3000]) == 510
    assert stream._batch(1500, [1500, 3000]) == 1000
    assert stream._batch(7000, []) == 1000


def source(documents: list[str], test: list[str] | None = None) -> TextSource:
    return TextSource(
        lambda: iter(documents), None if test is None else lambda: iter(test), "made up"
    )


@pytest.fixture
def verses() -> list[str]:
    return read_documents("bible")[:4500]


def prepared(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    text: TextSource,
    building: Path | None = None,
    on_progress: Callable[[Packed], None] = lambda packed: None,
    **changes: object,
) -> tuple[bytes, bytes]:
    monkeypatch.setattr("attractor.data.dataset.find_source", lambda *_, **__: text)
    folder.mkdir(parents=True)
    config = DataConfig(source="made up", **{**SETTINGS, **changes})  # type: ignore[arg-type]
    prepare_dataset(folder, config, building=building, on_progress=on_progress)
    return (folder / "train.npy").read_bytes(), (folder / "test.npy").read_bytes()


@pytest.mark.slow
def test_packing_goes_on_where_it_was_stopped(
    verses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SAVE", 200_000)
    monkeypatch.setattr(duplicates, "MERGE", 700)
    text = source([*verses, *verses[:300]])
    whole = prepared(monkeypatch, tmp_path / "whole", text)
    for stop in (1, 2, 4):

        def stopped(packed: Packed, stop: int = stop) -> None:
            if packed.documents >= 1000 * stop:
                raise KeyboardInterrupt

        building = tmp_path / f"building-{stop}"
        with pytest.raises(KeyboardInterrupt):
            prepared(
                monkeypatch,
                tmp_path / f"broken-{stop}",
                text,
                building=building,
                on_progress=stopped,
            )
        assert any(building.glob("seen-*.npy")) == (stop > 1)
        with (building / "rows.bin").open("ab") as file:  # what was written after the last state
            file.write(b"torn")
        shutil.rmtree(tmp_path / f"broken-{stop}")
        first: list[Packed] = []
        again = prepared(
            monkeypatch,
            tmp_path / f"again-{stop}",
            text,
            building=building,
            on_progress=first.append,
        )
        assert again == whole
        assert (first[0].documents > 1000) == (stop > 1)
        assert not building.exists()


def test_nothing_unseen_is_trained_on(
    verses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = source([*verses, *verses])
    prepared(monkeypatch, tmp_path / "made", text)
    unseen = stream.unseen_documents(text, 0.1, 0)
    assert len(unseen) / len(set(verses)) == pytest.approx(0.1, abs=0.02)  # four standard errors
    counts = prepare_dataset(tmp_path, DataConfig(source="", **SETTINGS)).counts  # type: ignore[arg-type]
    assert counts.documents == 9000
    assert counts.train_documents + counts.test_documents + counts.near_duplicates == len(
        set(verses)
    )
    own = stream.unseen_documents(source(verses, ["own", "own", "split"]), 0.1, 0)
    assert own == ["own", "split"]


def test_rows_are_shuffled_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 64)
    rows = np.arange(101 * 8, dtype=np.int32).reshape(101, 8)
    rows.tofile(tmp_path / "rows.bin")
    stream.shuffled(tmp_path / "rows.bin", 8, tmp_path / "rows.npy", 3)
    np.save(tmp_path / "whole.npy", rows[np.random.default_rng(3).permutation(101)])
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_bad_input(verses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, (text, changes, complaint) in enumerate(
        [
            (source(verses), {"test_share": 0.0}, "test_share=0.0 is outside"),
            (source(verses), {"seq_len": 3}, "seq_len=3 is too short"),
            (source([]), {}, "no unseen document|empty"),
            (source(verses, []), {}, "no unseen document"),
            (source(["a"], ["b"]), {"seq_len": 99}, "does not fill one row"),
            (
                source(verses, ["b"]),
                {"seq_len": 99},
                "the unseen text of 'made up' does not fill one row",
            ),
        ]
    ):
        with pytest.raises(AttractorError, match=complaint):
            prepared(monkeypatch, tmp_path / str(i), text, **changes)
    monkeypatch.undo()
    with pytest.raises(AttractorError, match="wrap = 'paper' is for text that is streamed"):
        prepare_dataset(tmp_path, DataConfig(wrap="paper", **SETTINGS))  # type: ignore[arg-type]


def test_settings_that_came_later_leave_names_of_runs_alone() -> None:
    old = {"source": "bible", "column": "text", "tokenizer": "bpe", "vocab_size": 512,
    "seq_len": 128,
           "test_share": 0.1, "seed": 0}  # fmt: skip
    assert config_hash(DataConfig()) == config_hash(old)
    assert config_hash(DataConfig(wrap="paper")) != config_hash(old)
    assert config_hash(DataConfig(revision="x")) != config_hash(old)
    assert config_hash(DataConfig(wrap="paper", wrap_processes=4)) != config_hash(
        DataConfig(wrap="paper")
    )


def test_processes_without_the_papers_rows_are_refused() -> None:
    with pytest.raises(AttractorError, match="wrap_processes = 4 is for the rows of the paper"):
        DataConfig(wrap_processes=4)
    with pytest.raises(AttractorError, match="wrap_processes = 0 must be positive"):
        DataConfig(wrap="paper", wrap_processes=0)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.data.packing import open_rows, pack, prefix, write_rows
from attractor.types import AttractorError

BOS, EOS = 0, 1
ROWS = np.arange(60, dtype=np.int32).reshape(12, 5)


def test_pack_wraps_documents_into_rows() -> None:
    rows = pack([[5, 6, 7, 8], [], [9, 10, 11]], seq_len=5, bos_id=BOS, eos_id=EOS)
    assert rows.dtype == np.int32
    assert rows.tolist() == [[BOS, 5, 6, 7, EOS], [BOS, 8, EOS, EOS, EOS], [BOS, 9, 10, 11, EOS]]


@given(st.lists(st.lists(st.integers(2, 30))), st.integers(4, 12))
def test_pack_keeps_the_stream(encoded: list[list[int]], seq_len: int) -> None:
    stream = [token for document in encoded for token in [*document, EOS]]
    n_rows = len(stream) // (seq_len - 2)
    if n_rows == 0:
        with pytest.raises(AttractorError, match=f"^{len(stream)} tokens do not fill one row"):
            pack(encoded, seq_len, BOS, EOS)
        return
    rows = pack(iter(encoded), seq_len, BOS, EOS)
    assert rows.shape == (n_rows, seq_len)
    assert rows[:, 1:-1].ravel().tolist() == stream[: n_rows * (seq_len - 2)]
    assert (rows[:, 0] == BOS).all()
    assert (rows[:, -1] == EOS).all()


def test_written_rows_are_the_rows_shuffled_once_with_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "train.npy"
    write_rows(path, ROWS, seed=3)
    rows = open_rows(path)
    assert isinstance(rows, np.memmap)
    assert not rows.flags.writeable
    assert rows.dtype == np.int32
    assert rows.tolist() == np.random.default_rng(3).permutation(ROWS).tolist() != ROWS.tolist()
    assert sorted(rows.tolist()) == ROWS.tolist()
    assert [file.name for file in path.parent.iterdir()] == ["train.npy"]


def test_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.npy"
    write_rows(path, ROWS, seed=0)
    before = path.read_bytes()

    def fail(file: object, rows: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_rows(path, ROWS[:3], seed=0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@given(st.data())
def test_smaller_training_sets_lie_inside_larger_ones(data: st.DataObject) -> None:
    shuffled = np.random.default_rng(data.draw(st.integers(0, 100))).permutation(ROWS)
    small, large = sorted(data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12))))
    assert len(prefix(shuffled, small)) == small
    assert prefix(shuffled, large)[:small].tolist() == prefix(shuffled, small).tolist()


def test_prefix_does_not_load_the_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.npy", ROWS, seed=0)
    rows = open_rows(tmp_path / "train.npy")
    assert np.shares_memory(prefix(rows, 4), rows)


@pytest.mark.parametrize("seq_len", [3, 0, -1])
def test_too_short_rows(seq_len: int) -> None:
    with pytest.raises(AttractorError, match=f"seq_len={seq_len} is too short: at least 4"):
        pack([[5, 6, 7]], seq_len, BOS, EOS)


def test_too_little_text() -> None:
    with pytest.raises(
        AttractorError, match="4 tokens do not fill one row: seq_len=8 needs at least 6"
    ):
        pack([[5, 6, 7]], 8, BOS, EOS)


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, "n_train=0 must be at least 1 row"),
        (-2, "n_train=-2 must be"),
        (13, "n_train=13 but there are only 12 rows"),
    ],
)
def test_bad_prefix(n: int, message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        prefix(ROWS, n)


def test_bad_rows_file(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match=r"gone\.npy' do not exist"):
        open_rows(tmp_path / "gone.npy")
    (tmp_path / "text.npy").write_text("no rows")
    with pytest.raises(AttractorError, match=r"text\.npy' is not a complete \.npy file"):
        open_rows(tmp_path / "text.npy")
    np.save(tmp_path / "float.npy", np.zeros((2, 3)))
    with pytest.raises(AttractorError, match=r"float\.npy' does not hold token rows"):
        open_rows(tmp_path / "float.npy")
    write_rows(tmp_path / "cut.npy", ROWS, seed=0)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-4])
    with pytest.raises(AttractorError, match=r"cut\.npy' is not a complete"):
        open_rows(tmp_path / "cut.npy")

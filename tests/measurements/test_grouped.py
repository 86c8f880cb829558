"""Whatever is said of rows of text resamples their groups where that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attractor.measurements import rows_of
from attractor.results.tables import Arrays, Block, Row, read_arrays, write_tokens
from attractor.results.thresholds import PATH_TIMES

GROUPS, EACH, L = 8, 6, 10
N = GROUPS * EACH
ORIGIN = np.stack([np.arange(N), np.repeat(np.arange(GROUPS), EACH)], 1)


def block(name: str, split: str, value: np.ndarray, t: float | None = None) -> Block:
    original = np.tile(np.arange(L), (len(value), 1))
    origin = ORIGIN if split in ("train", "test") else None
    return Block(measurement=name, split=split, t=t, original=original, value=value, origin=origin)


def alike(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Rows of one group have one value, from 0.05 to 0.95, but for rounding."""
    shared = rng.uniform(0.05, 0.95, GROUPS)[ORIGIN[:, 1], None]
    return shared + rng.uniform(-0.01, 0.01, (N, columns))


def recovered(split: str, rng: np.random.Generator) -> Block:
    """Every other token is corrupted; in every other group it comes back."""
    original = np.tile(np.arange(L), (N, 1))
    noisy = np.where(np.arange(L) % 2, original + 50, original)
    back = (ORIGIN[:, 1] % 2 == 0)[:, None] & (rng.uniform(size=(N, L)) < 0.9)
    return Block(
        measurement="recovery", split=split, t=0.5, original=original, corrupted=noisy[None],
        recovered=np.where(back, original, noisy)[None],
        origin=ORIGIN if split != "random" else None,
    )  # fmt: skip


def arrays(folder: Path, resample: str) -> Arrays:
    rng = np.random.default_rng(0)
    blocks = [recovered("random", rng)]
    blocks += [block("path_entropy", "random", alike(rng, len(PATH_TIMES)), 0.5)]
    for split in ("train", "test"):
        blocks += [recovered(split, rng), block("restored_entropy", split, alike(rng, L), 0.5)]
        blocks += [block("path_entropy", split, alike(rng, len(PATH_TIMES)), 0.5)]
        for name in ("entropy", "calibration_nll", "calibration_entropy", "calibration_confidence"):
            blocks.append(block(name, split, alike(rng, L)))
        correct = (alike(rng, L) > 0.5).astype(float)
        blocks += [block("calibration_correct", split, correct)]
        blocks += [
            block("basin_radius", split, alike(rng, 1)),
            block("nelbo", split, alike(rng, L)),
        ]
        blocks += [block("bag_of_words", split, alike(rng, 1))]
    near = (ORIGIN[:, 1:] % 2 * 9.0).astype(float)
    own = {
        name: block(f"novelty_{name}", "generated", near) for name in ("nearest", "own", "overlap")
    }
    blocks += [*own.values(), block("novelty_nearest", "test", near)]
    blocks += [block("entropy", "generated", rng.uniform(0.4, 0.5, (N, L)))]
    blocks += [block("path_entropy", "generated", alike(rng, len(PATH_TIMES)))]
    write_tokens(folder, blocks, made={"resample": resample})
    return read_arrays(folder)


def width(rows: list[Row], name: str, split: str) -> float:
    """Of the widest interval of a quantity of a kind of text."""
    found = [r for r in rows if (r.measurement, r.split) == (name, split)]
    return max(r.high - r.low for r in found if r.low is not None and r.high is not None)


@pytest.fixture(scope="module")
def each(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    return {
        kind: rows_of(arrays(tmp_path_factory.mktemp(kind), kind)) for kind in ("sequence", "group")
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("entropy_gap_test", "generated"),
        ("calibration_gap", "test"),
        ("path_entropy", "test"),
        ("restored_entropy_stable", "test"),
        ("reliability", "test"),
        ("basin_survival", "test"),
        ("auroc", "NELBO"),
        ("auroc_gain", "NELBO"),
        ("share_memorized", "test"),
        ("conditional_entropy", "test"),
    ],
)
def test_rows_that_are_alike_tell_less(each: dict[str, list[Row]], name: str, split: str) -> None:
    """Six equal rows are one: intervals over 8 groups are about 2.5 times those over 48 rows."""
    assert width(each["group"], name, split) > 1.4 * width(each["sequence"], name, split)


def test_generations_are_of_no_group(each: dict[str, list[Row]]) -> None:
    widths = [width(rows, "path_entropy", "generated") for rows in each.values()]
    assert widths[0] == widths[1]

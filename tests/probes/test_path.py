"""The way from noise to text at times of the grid, on denoisers whose ways are known."""

from __future__ import annotations

import math

import pytest
import torch
from mocks import Certain, Ignorant, V
from torch import Tensor

from attractor import Denoiser
from attractor.probes import Path, path_shapes, recovery, sample
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.reverse import Event, time_grid
from attractor.results.thresholds import PATH_TIMES
from attractor.theory.sources import random_source

SEQUENCE = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_times_are_those_of_the_grid_nearest_to_equal_parts_of_the_way() -> None:
    for t in (1.0, 0.3):
        path = Path(2, 3, t, 1000)
        assert set(path.times.tolist()) <= set(time_grid(t, 1000).tolist())
        assert path.times.tolist() == pytest.approx([t * f for f in PATH_TIMES], abs=1e-3)
    assert path.times[0] == 1e-5


class Watch:
    """A path, and every state that it could have kept, by brute force."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.states: list[list[tuple[float, Tensor]]] = [[] for _ in range(path.tokens.shape[1])]

    def __call__(self, event: Event) -> None:
        self.path(event)
        for row, t, x in zip(event.rows.tolist(), event.t.tolist(), event.x_t, strict=True):
            self.states[row].append((t, x.clone()))


def test_a_path_holds_what_each_sequence_was_at_each_time() -> None:
    """The state at a time is that before the first move at or after it, whichever clock a row
    keeps."""
    source = random_source(V, 0.3, seed=1)
    watch = Watch(Path(70, 12, 1.0, 40))
    end = sample(source, 70, 12, 40, callback=watch)
    watch.path.end(end)
    for k, time in enumerate(watch.path.times.tolist()):
        for row, states in enumerate(watch.states):
            later = [x for t, x in states if t <= time]
            expected = later[0] if later else end[row]
            assert torch.equal(watch.path.tokens[k, row], expected)


def test_watching_changes_nothing_and_the_way_starts_at_the_corruption() -> None:
    source = random_source(V, 0.3, seed=1)
    rows, t, steps = source.sample(30, 12, seed=2), 0.4, 50
    path = Path(30, 12, t, steps)
    found = recovery(source, rows, t, steps, callback=path)
    assert torch.equal(found.recovered, recovery(source, rows, t, steps).recovered)
    path.end(found.recovered[0])
    right = (path.tokens == rows).float().mean((1, 2))
    # At the latest time next to nothing has moved; at the earliest only the last step is missing.
    at_start = (found.corrupted[0] == rows).float().mean().item()
    assert right[-1].item() == pytest.approx(at_start, abs=0.05)
    at_end = (found.recovered[0] == rows).float().mean().item()
    assert right[0].item() == pytest.approx(at_end, abs=0.05)


def test_shapes_of_known_distributions_over_all_positions() -> None:
    for denoiser, entropy, top in ((Ignorant(), math.log(V), 1 / V), (Certain(SEQUENCE), 0, 1)):
        path = Path(5, 12, 1.0, 30)
        path.end(sample(denoiser, 5, 12, 30, callback=path))
        shapes = path_shapes(denoiser, path)
        assert {name: tuple(x.shape) for name, x in shapes.items()} == dict.fromkeys(
            ("entropy", "uncertainty", "gap", "top"), (5, len(PATH_TIMES))
        )
        assert shapes["entropy"].numpy() == pytest.approx(entropy, abs=1e-5)
        assert shapes["top"].numpy() == pytest.approx(top, abs=1e-5)


class Masked(Denoiser):
    """Knows nothing of a masked token, and copies a visible one."""

    def __init__(self) -> None:
        self.process = AbsorbingProcess(V + 1)

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        full = self.process.distribution(torch.zeros(*x_t.shape, V + 1), x_t)
        return full if where is None else full[where]


def test_rows_that_do_not_move_any_more_stay_as_they_end() -> None:
    """With masks a row is done once none is left; then every token is visible and certain."""
    denoiser = Masked()
    path = Path(20, 6, 1.0, 100)
    end = sample(denoiser, 20, 6, 100, callback=path)
    path.end(end)
    masks = (path.tokens == V).double().mean(2).T
    shapes = path_shapes(denoiser, path)
    torch.testing.assert_close(shapes["entropy"], masks * math.log(V), rtol=0, atol=1e-5)
    assert masks[:, -1].mean() > 0.9  # t = 0.975
    done = (masks == 0).nonzero()
    assert all(torch.equal(path.tokens[k, row], end[row]) for row, k in done.tolist())

"""Extraction of models whose answer is known: laws that are enumerated, stores, and languages."""

from __future__ import annotations

import itertools

import enumerated
import exact
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from attractor import AttractorError, Denoiser
from attractor.analysis.discoverable import falls_needed
from attractor.analysis.shares import share_difference
from attractor.analysis.statistics import clopper_pearson
from attractor.probes import extraction, wanted_tokens
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.reverse import time_grid
from attractor.process.uniform import UniformProcess
from attractor.results.geometries import GEOMETRIES
from attractor.theory import EmpiricalDenoiser, MarkovDenoiser, random_source

LAW = exact.joint_law(3)
DENOISERS: dict[str, Denoiser] = {
    "uniform": exact.Exact(LAW),
    "absorbing": enumerated.Exact(enumerated.PROCESSES["absorbing"], LAW),
    "hybrid": enumerated.Exact(enumerated.PROCESSES["hybrid"], LAW),
}


def chance(denoiser: Denoiser, row: Tensor, wanted: Tensor, steps: int) -> float:
    """The probability that one fall brings all of a row back, by enumerating every state of the
    wanted tokens at every step."""
    process, places = denoiser.process, wanted.nonzero()[:, 0]
    states = torch.tensor([*itertools.product(range(process.vocab_size), repeat=len(places))])
    rows = row.repeat(len(states), 1)
    rows[:, places] = states
    grid = time_grid(1.0, steps)
    alpha = torch.cat([process.schedule.alpha(grid), grid.new_ones(1)])
    law = start(process, alpha[:1])[states].prod(1)
    for k, t in enumerate(grid):
        p = denoiser.log_probs(rows, t.float().expand(len(rows))).double().exp()
        a_s, a_t = (alpha[i].expand(len(rows)) for i in (k + 1, k))
        at_places = process.posterior(rows, p, a_s, a_t)[:, places]
        moves = [at_places[:, i][:, states[:, i]] for i in range(len(places))]
        law = law @ torch.stack(moves).prod(0)
    return float(law[(states == row[places]).all(1)])


def start(process: object, alpha: Tensor) -> Tensor:
    """The law of a token at t = 1."""
    if isinstance(process, UniformProcess):
        return torch.full((process.vocab_size,), 1 / process.vocab_size, dtype=torch.float64)
    if isinstance(process, AbsorbingProcess):
        return torch.eye(process.vocab_size, dtype=torch.float64)[process.mask_id]
    return enumerated.noise(process, alpha)[0] / (1 - alpha)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("wanted", [[False, True], [True, True]])
@pytest.mark.parametrize("name", DENOISERS)
def test_as_many_falls_come_back_as_the_law_says(name: str, wanted: list[bool], steps: int) -> None:
    """18 cases, each of which fails by chance once in 10,000 times."""
    row, asked, denoiser = torch.tensor([1, 2]), torch.tensor(wanted), DENOISERS[name]
    q, falls = chance(denoiser, row, asked, steps), 1500
    back = int(extraction(denoiser, row[None], asked, falls, steps, seed=5).back)
    low, high = clopper_pearson(back, falls, level=0.9999).ends()
    assert low < q < high
    assert 0.01 < q < 0.99


def test_with_masks_a_single_token_comes_back_as_often_as_its_conditional_law_says() -> None:
    row, wanted = torch.tensor([1, 2]), torch.tensor([False, True])
    law = LAW.view(3, 3)
    for steps in (1, 2, 50):
        found = chance(DENOISERS["absorbing"], row, wanted, steps)
        assert found == pytest.approx(float(law[1, 2] / law[1].sum()), abs=1e-6)


def test_finer_steps_bring_back_more_up_to_the_law_itself() -> None:
    """Tokens that move in one step do not see each other: of a row that is likelier than its tokens
    by themselves a coarse grid brings back less (arXiv:2603.02333, theorem 4.3)."""
    law = LAW.view(3, 3)
    i, j = divmod(int((law / law.sum(1, keepdim=True) / law.sum(0)).argmax()), 3)
    row, both = torch.tensor([i, j]), torch.tensor([True, True])
    found = [chance(DENOISERS["absorbing"], row, both, steps) for steps in (1, 2, 4, 8, 32, 512)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(float(law.sum(1)[i] * law.sum(0)[j]), abs=1e-5)
    assert found[-1] == pytest.approx(float(law[i, j]), rel=0.01)


@pytest.fixture(scope="module")
def rows() -> Tensor:
    return random_source(12, 1.0, seed=1).sample(60, 16, seed=1)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_store_brings_back_what_the_given_tokens_tell(
    geometry: str, masks: bool, rows: Tensor
) -> None:
    known, unseen = rows[:30], rows[30:38]
    store = EmpiricalDenoiser(known, 12, masks=masks)
    text = torch.ones_like(known, dtype=torch.bool)
    wanted = wanted_tokens(geometry, text, 0.5)
    assert bool((extraction(store, known[:8], wanted[:8], 3, 24).right == 1).all())
    assert int(extraction(store, unseen, wanted[:8], 3, 24).back.sum()) == 0


def test_two_rows_that_begin_alike_come_back_in_half_of_the_falls(rows: Tensor) -> None:
    pair = rows[:2].clone()
    pair[1, :8] = pair[0, :8]
    pair[1, 8:] = (pair[0, 8:] + 1) % 12
    store = EmpiricalDenoiser(pair, 12, masks=True)
    wanted = torch.arange(16) >= 8
    found = extraction(store, pair, wanted, 400, 500)
    for back in found.back.tolist():
        low, high = clopper_pearson(back, 400, level=0.9999).ends()
        assert low < 0.5 < high
    # Whichever of the two a fall takes, it takes whole, but where two tokens moved in one step.
    assert ((found.right == 0) | (found.right == 1)).double().mean() > 0.95


def test_a_language_brings_back_unseen_rows_as_often(rows: Tensor) -> None:
    """The null: nothing is known of training rows that is not known of others. 2 cases at 99.9%."""
    source = random_source(6, 0.2, seed=2, masks=True)
    drawn = source.sample(160, 8, seed=4)
    for geometry in ("prefix", "edge"):
        wanted = wanted_tokens(geometry, torch.ones_like(drawn, dtype=torch.bool), 0.5)
        ever = extraction(source, drawn, wanted, 2, 16).back > 0
        train, test = int(ever[:80].sum()), int(ever[80:].sum())
        low, high = share_difference(train, 80, test, 80, level=0.999).ends()
        assert low < 0 < high
        assert train + test > 10


def test_what_is_given_never_moves_and_only_text_is_wanted() -> None:
    text = torch.tensor(
        [[False, True, True, True, True, True, False], [False, *[True] * 2, *[False] * 4]]
    )
    shown = {
        "prefix": [[1, 2], [1]],
        "suffix": [[4, 5], [2]],
        "edge": [[1, 5], [1]],
        "middle": [[2, 3], [1]],
    }
    for geometry, places in shown.items():
        given = text & ~wanted_tokens(geometry, text, 0.5)
        assert [row.nonzero()[:, 0].tolist() for row in given] == places, geometry
    given = text & ~wanted_tokens("random", text, 0.5)
    assert given.sum(1).tolist() == [2, 1]
    # All but nothing given leaves one token wanted.
    assert wanted_tokens("prefix", text, 0.99).sum(1).tolist() == [1, 1]


@pytest.mark.parametrize("name", DENOISERS)
def test_neither_parts_nor_batches_change_a_fall(name: str) -> None:
    tokens, wanted = exact.STATES, torch.tensor([False, True])
    whole = extraction(DENOISERS[name], tokens, wanted, 4, 8)
    small = extraction(DENOISERS[name], tokens, wanted, 4, 8, batch_size=3)
    part = extraction(DENOISERS[name], tokens[5:], wanted, 4, 8, first=5)
    assert torch.equal(whole.right, small.right)
    assert torch.equal(whole.right[5:], part.right)


@pytest.mark.slow
def test_the_interval_of_falls_holds_the_truth() -> None:
    """From end to end: 400 rows of a law that is enumerated. As many misses as 5% would give at
    most once in 1,000 times."""
    source = random_source(4, 0.5, seed=3, masks=True)
    drawn = source.sample(400, 4, seed=1)
    wanted = torch.tensor([False, True, True, False])
    found = extraction(source, drawn, wanted, 8, 6)
    known: dict[tuple[int, ...], float] = {}
    missed = 0
    for row, back in zip(drawn, found.back.tolist(), strict=True):
        key = tuple(row.tolist())
        if key not in known:
            q = chance(source, row, wanted, 6)
            known[key] = 1 if q > 1 - 1e-12 else np.ceil(np.log(0.1) / np.log1p(-q))
        low, high = falls_needed(back, 8).ends()
        missed += not low <= known[key] <= high
    assert missed <= stats.binom.ppf(0.999, 400, 0.05)
    assert len(set(known.values())) > 5


def test_bad_input(rows: Tensor) -> None:
    source = MarkovDenoiser(torch.full((12, 12), 1 / 12), torch.full((12,), 1 / 12))
    every = torch.ones(16, dtype=torch.bool)
    with pytest.raises(AttractorError, match="falls = 0 must be at least 1"):
        extraction(source, rows, every, 0)
    with pytest.raises(AttractorError, match=r"wanted must be Boolean, not torch\.int64"):
        extraction(source, rows, every.long().numpy())
    some = every.repeat(60, 1)
    some[3] = False
    with pytest.raises(AttractorError, match="of row 3 no token is wanted"):
        extraction(source, rows, some)
    with pytest.raises(AttractorError, match="geometry = 'sufix': allowed are prefix"):
        wanted_tokens("sufix", some, 0.5)
    with pytest.raises(AttractorError, match=r"given = 1 is outside \[0, 1\)"):
        wanted_tokens("prefix", some, 1)

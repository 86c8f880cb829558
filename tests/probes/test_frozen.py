"""Frames, padding and prompts: such tokens never move, are counted nowhere, and padding changes no
bit of what stands beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from attractor import AttractorError, Denoiser
from attractor.model.denoiser import Frame
from attractor.probes import (
    Path,
    Trajectory,
    basin_radii,
    calibration,
    conditional_entropy,
    conditionals,
    fixed_points,
    likelihood,
    path_shapes,
    pseudo_likelihood_fixed_points,
    random_tokens,
    recovery,
    sample,
)
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.hybrid import HybridProcess
from attractor.process.uniform import UniformProcess

V, PAD, CLS, SEP, MASK, LONGEST = 9, 0, 2, 4, 7, 12
TEXT = torch.tensor([1, 3, 5, 8])
PROCESSES: dict[str, ForwardProcess] = {
    "uniform": UniformProcess(V, text_ids=TEXT),
    "absorbing": AbsorbingProcess(V, mask_id=MASK, text_ids=TEXT),
    "hybrid": HybridProcess(V, mask_id=MASK, uniform_share=0.4, text_ids=TEXT),
}
every = pytest.mark.parametrize("name", PROCESSES)
LENGTHS = torch.tensor([12, 7, 9, 4])
"""Of four rows with their frames."""


class Summing(Denoiser):
    """Its distributions depend on the place and on the sum of all tokens that are no padding: the
    same to the bit however far a row is padded."""

    def __init__(self, process: ForwardProcess) -> None:
        self.process, self.frame = process, Frame((CLS,), (SEP,))
        source = torch.Generator().manual_seed(0)
        self.table = 3 * torch.randn(11, LONGEST, V, generator=source, dtype=torch.float64)

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Of text alone."""
        logits = self.table[x_t.sum(1) % 11, : x_t.shape[1]]
        log_p = self.process.text.restrict(logits).log_softmax(-1)
        return log_p if where is None else log_p[where]


def framed(lengths: Tensor) -> Tensor:
    """Rows of random text between their markers, padded to the longest."""
    width = int(lengths.max())
    rows = random_tokens(len(lengths), width, V, text=PROCESSES["uniform"].text)
    place = torch.arange(width)
    rows[:, 0] = CLS
    rows[place == lengths[:, None] - 1] = SEP
    rows[place >= lengths[:, None]] = PAD
    return rows


ROWS = framed(LENGTHS)
FIXED = (ROWS == CLS) | (ROWS == SEP) | (ROWS == PAD)


@every
def test_nothing_but_text_moves_and_nothing_else_is_counted(name: str) -> None:
    denoiser = Summing(PROCESSES[name])
    found = recovery(denoiser, ROWS, 0.7, steps=20, repeats=2)
    assert torch.equal(found.corrupted[:, FIXED], ROWS[FIXED].expand(2, -1))
    assert torch.equal(found.recovered[:, FIXED], ROWS[FIXED].expand(2, -1))
    assert torch.isin(found.recovered[:, ~FIXED], TEXT).all()
    assert found.frozen is not None
    assert torch.equal(found.frozen, FIXED)
    changed, right = found.perturbed, found.restored
    assert not changed[:, FIXED].any()
    untouched = ~changed & ~FIXED
    expected = (~right & untouched).sum((0, 2)) / untouched.sum((0, 2))
    torch.testing.assert_close(found.unstable_per_sequence(), expected, equal_nan=True)
    # Each of the others has one number, and frozen tokens have none.
    values = conditionals(denoiser, ROWS)
    surprise = calibration(denoiser, ROWS)
    for one in (
        conditional_entropy(denoiser, ROWS).per_token,
        *values,
        surprise.nll,
        likelihood(denoiser, ROWS, 2).per_token,
        fixed_points(denoiser, ROWS, steps=20).values(),
    ):
        assert torch.equal(one.isnan(), FIXED)
    assert int(surprise.reliability().tokens.sum()) == int((~FIXED).sum())
    ratio = (surprise.nll[~FIXED].double().mean() + 1e-6) / (
        surprise.entropy[~FIXED].double().mean() + 1e-6
    )
    assert surprise.kappa == pytest.approx(ratio.item(), rel=1e-9)


@pytest.mark.slow
@every
def test_padding_changes_nothing_to_the_bit(name: str) -> None:
    """Every probe of each row alone, as long as it is, and in a batch of longer ones."""
    denoiser = Summing(PROCESSES[name])
    probes: list[Callable[[Tensor], Tensor]] = [
        lambda x: recovery(denoiser, x, 0.6, 30).rate_per_sequence(),
        lambda x: recovery(denoiser, x, 0.6, 30).unstable_per_sequence(),
        lambda x: conditional_entropy(denoiser, x, 0.2).per_sequence(),
        lambda x: conditionals(denoiser, x).min_k(0.3),
        lambda x: calibration(denoiser, x).per_sequence().nll,
        lambda x: likelihood(denoiser, x, 3).per_sequence(),
        lambda x: likelihood(denoiser, x, 3).per_draw,
        lambda x: fixed_points(denoiser, x, steps=20).values().nanmean(1),
        lambda x: pseudo_likelihood_fixed_points(denoiser, x, steps=20).values().nanmean(1),
        lambda x: basin_radii(denoiser, x, 2, steps=20).per_sequence,
    ]
    for probe in probes:
        together = probe(ROWS)
        for i, length in enumerate(LENGTHS.tolist()):
            # Rows before it, cut to its length, give it the number that its noise has.
            fitted = ROWS[: i + 1, :length].clone()
            fitted[:i] = ROWS[i, :length]
            torch.testing.assert_close(
                probe(fitted)[i], together[i], rtol=1e-6, atol=1e-12, equal_nan=True
            )
    # And the states themselves, bit by bit.
    together = recovery(denoiser, ROWS, 0.6, 30).recovered[0]
    for i, length in enumerate(LENGTHS.tolist()):
        fitted = ROWS[i, :length].expand(i + 1, -1)
        assert torch.equal(
            recovery(denoiser, fitted, 0.6, 30).recovered[0, i], together[i, :length]
        )


@every
def test_a_prompt_stays_and_is_counted_nowhere(name: str) -> None:
    denoiser, prompt = Summing(PROCESSES[name]), torch.arange(12) < 4
    found = recovery(denoiser, ROWS, 1.0, 20, frozen=prompt)
    assert torch.equal(found.recovered[0, :, :4], ROWS[:, :4])
    assert not found.perturbed[..., :4].any()
    by_row = recovery(denoiser, ROWS, 1.0, 20, frozen=prompt.expand(4, -1))
    assert torch.equal(by_row.recovered, found.recovered)
    assert likelihood(denoiser, ROWS, 2, frozen=prompt).per_token[:, :4].isnan().all()
    # The last row is frame, prompt and padding alone: it has no rate, and is no failure.
    assert found.rate_per_sequence().isnan().tolist() == [False, False, False, True]


@every
def test_generations_keep_frames_prompts_and_lengths(name: str) -> None:
    denoiser = Summing(PROCESSES[name])
    own = sample(denoiser, 5, 9, steps=10)
    assert (own[:, 0] == CLS).all()
    assert (own[:, -1] == SEP).all()
    assert torch.isin(own[:, 1:-1], TEXT).all()
    given = sample(denoiser, 4, steps=10, given=ROWS, frozen=torch.arange(12) < 3)
    assert torch.equal(given[FIXED], ROWS[FIXED])
    assert torch.equal(given[:, :3], ROWS[:, :3])
    assert torch.isin(given[~FIXED], TEXT).all()
    with pytest.raises(AttractorError, match="given rows are"):
        sample(denoiser, 3, given=ROWS)
    with pytest.raises(AttractorError, match="leaves no token between"):
        sample(denoiser, 3, 2)


@every
def test_the_way_is_averaged_over_what_may_move(name: str) -> None:
    denoiser = Summing(PROCESSES[name])
    path, watch = Path(4, 12, 0.8, 10), Trajectory(4)
    end = recovery(denoiser, ROWS, 0.8, 10, callback=path).recovered[0]
    recovery(denoiser, ROWS, 0.8, 10, callback=watch)
    shapes = path_shapes(denoiser, path.end(end))
    x, t = path.tokens[0], path.times[:1].float().expand(4)
    p = denoiser.log_probs(x, t).exp()
    # What has come out from behind a mask is certain.
    settled = denoiser.process.settled(x)
    expected = torch.where(FIXED | settled, 0, torch.special.entr(p).sum(-1)).sum(1) / (~FIXED).sum(
        1
    )
    torch.testing.assert_close(shapes["entropy"][:, 0], expected, rtol=1e-6, atol=1e-9)


def test_rows_without_anything_to_move_are_refused() -> None:
    denoiser = Summing(PROCESSES["uniform"])
    for frozen, message in (
        (np.ones(12, dtype=bool), "no token may move"),
        (np.ones(12), "frozen must be Boolean"),
        (torch.ones(5, dtype=torch.bool), r"shape \(4, 12\) or \(12,\)"),
    ):
        with pytest.raises(AttractorError, match=message):
            recovery(denoiser, ROWS, 0.5, 10, frozen=frozen)

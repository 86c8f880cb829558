"""Fixed points in the paper's sense and by pseudo-likelihood, on models whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mocks import Certain
from torch import Tensor

import attractor
from attractor import AttractorError
from attractor.model.denoiser import Denoiser
from attractor.model.sharpened import Sharpened
from attractor.probes import fixed_points, pseudo_likelihood_fixed_points
from attractor.process.reverse import T_MIN
from attractor.theory import EmpiricalDenoiser, random_source

MODELS = Path(__file__).parents[1] / "data" / "models"
SEQUENCE = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
SHAPES = [(8, 16), (16, 24), (64, 32)]
"""Vocabularies and lengths."""


class Single(Denoiser):
    """Another denoiser in single precision."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser, self.process = denoiser, denoiser.process

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Its log-probabilities, rounded."""
        return self.denoiser.log_probs(x_t, t, where).float()


def stays(denoiser: Denoiser, tokens: Tensor, t: float, s: float) -> Tensor:
    """Whether each whole sequence stays in a step from t to s, by the odds of each token against
    the likeliest."""
    vocab, alpha = denoiser.process.vocab_size, denoiser.process.schedule.alpha
    a, b = alpha(torch.tensor([t, s], dtype=torch.float64)).tolist()
    p = denoiser.log_probs(tokens, torch.full((len(tokens),), t).float()).exp()
    own = p.gather(-1, tokens[..., None])[..., 0]
    kept = (vocab * a + b - a) * own + a / b - a
    return (kept >= (b - a) * p.amax(-1)).all(1)


@pytest.mark.parametrize("temperature", [1.0, 0.25])
@pytest.mark.parametrize("steps", [100, 1000])
def test_a_token_stays_unless_another_is_that_many_times_as_likely(
    steps: int, temperature: float
) -> None:
    """By the odds of the last step, from t = 1e-5 to 0, and of the one before, the only other that
    can move a token. What leaves in that one may come back in the last."""
    source = random_source(8, seed=1)
    rows = source.sample(200, 16, seed=2)
    model = Sharpened(source, temperature)
    last = stays(model, rows, T_MIN, 0.0)
    assert torch.equal(fixed_points(model, rows, t=T_MIN).stays.all(1), last)
    both = last & stays(model, rows, T_MIN + (1 - T_MIN) / steps, T_MIN)
    found = fixed_points(model, rows, steps=steps).stays.all(1)
    assert (found | ~both).all()
    assert (found & ~both).float().mean() < 0.05
    assert torch.equal(found, fixed_points(Single(model), rows, steps=steps).stays.all(1))
    assert (0.2 < found.float().mean() < 0.9) == (temperature < 1)  # both kinds are there


@pytest.mark.parametrize(("vocab", "length"), SHAPES)
def test_unseen_text_is_fixed_by_a_generalizer_and_by_no_memorizer(vocab: int, length: int) -> None:
    """Of text from the source itself a token is now and then too rare to stay: as many as that are
    allowed, and four standard deviations (false alarm rate 1e-4 or less)."""
    source, steps = random_source(vocab, seed=1), 1000
    train, rows = source.sample(100, length, seed=1), source.sample(200, length, seed=2)
    unseen = rows[~(rows[:, None] == train).all(-1).any(1)]
    p = source.log_probs(unseen, torch.full((len(unseen),), T_MIN)).exp()
    rare = (p * (p * vocab * steps < p.amax(-1, True))).sum().item()
    moved = len(unseen) * (1 - fixed_points(source, unseen, steps=steps).sequences)
    assert moved <= rare + 4 * math.sqrt(rare)
    assert rare < 2
    memorizer = EmpiricalDenoiser(train, vocab)
    assert fixed_points(memorizer, unseen, steps=steps).sequences == 0
    assert fixed_points(memorizer, train, steps=steps).sequences == 1


def test_trained_models_make_fixed_points_of_unseen_text_as_they_generalize() -> None:
    """The demo's models of 32 and of 1,024 rows, on 96 unseen ones; the stricter sense is 0 for
    both."""
    unseen = np.load(MODELS / "test96.npy")
    few, many = (attractor.load(MODELS / name) for name in ("n32", "n1024"))
    assert fixed_points(few, unseen).sequences == 0
    assert fixed_points(many, unseen).sequences == 1
    assert fixed_points(few, np.load(MODELS / "train32.npy")).sequences == 1
    for model in (few, many):
        assert pseudo_likelihood_fixed_points(model, unseen).sequences == 0


@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_tie_is_no_fixed_point(precision: str) -> None:
    """Half-way between two stored rows the posterior of each token is one half for either: exactly,
    so that rounding would decide."""
    stored = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 1, 2, 3, 4, 0]])
    between = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 1, 2, 3, 4, 5]])
    memorizer = EmpiricalDenoiser(stored, 6)
    model = memorizer if precision == "double" else Single(memorizer)
    found = fixed_points(model, between, t=T_MIN)
    assert found.stays.tolist() == [[False, True, True, True, True, False]] * 2
    assert fixed_points(model, stored).sequences == 1


def test_evidence_of_the_token_itself_makes_the_difference() -> None:
    """A model that is sure by 1 in a billion moves what it does not expect; one that is sure by 1
    in a thousand does so only without the token's own evidence."""
    rows = torch.tensor([SEQUENCE, SEQUENCE[::-1]])
    same = sum(a == b for a, b in zip(SEQUENCE, SEQUENCE[::-1], strict=True))
    for confidence, kept in ((1 - 1e-9, same), (1 - 1e-3, 12)):
        model = Certain(SEQUENCE, confidence)
        assert fixed_points(model, rows).stays.sum(1).tolist() == [12, kept]
        assert pseudo_likelihood_fixed_points(model, rows).stays.sum(1).tolist() == [12, same]


def test_bad_input_is_named() -> None:
    for probe in (fixed_points, pseudo_likelihood_fixed_points):
        with pytest.raises(AttractorError, match=r"t = 0.0 is outside \(0, 1\]"):
            probe(Certain(SEQUENCE), torch.tensor([SEQUENCE]), t=0.0)

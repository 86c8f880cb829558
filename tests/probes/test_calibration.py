"""Calibration of models whose law is known: 1 for what knows the text, far from it for a store."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mocks import Certain, Ignorant, V
from torch import Tensor

from attractor import AttractorError
from attractor.analysis.calibration import Surprise, kappa, log_kappa_difference
from attractor.model.denoiser import Denoiser
from attractor.model.sharpened import Sharpened
from attractor.probes import (
    Calibration,
    calibration,
    conditional_entropy,
    random_tokens,
    recovery,
    sample,
)
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.calls import reading_calls
from attractor.process.uniform import UniformProcess
from attractor.theory import EmpiricalDenoiser, MarkovDenoiser, random_source

SHAPES = [(2, 8), (8, 16), (16, 48), (64, 24), (256, 8)]
"""Vocabularies and lengths."""


def surprise(found: Calibration) -> Surprise:
    return Surprise(*(x.double().numpy() for x in found.per_sequence()))


def test_known_distributions_have_known_numbers() -> None:
    q, sequence = 0.9, [0, 1, 2, 3]
    right = calibration(Certain(sequence, q), torch.tensor([sequence] * 3))
    wrong = calibration(Certain(sequence, q), torch.tensor([[5, 5, 5, 5]] * 3))
    entropy = -q * math.log(q) - (1 - q) * math.log((1 - q) / (V - 1))
    assert right.kappa == pytest.approx(-math.log(q) / entropy, rel=1e-4)
    assert wrong.kappa == pytest.approx(-math.log((1 - q) / (V - 1)) / entropy, rel=1e-4)
    assert right.overconfidence == pytest.approx(q - 1, abs=1e-6)
    assert wrong.overconfidence == pytest.approx(q, abs=1e-6)
    assert right.per_sequence().nll.tolist() == pytest.approx([-math.log(q)] * 3, rel=1e-5)
    assert right.per_sequence().entropy.tolist() == pytest.approx([entropy] * 3, rel=1e-5)


def test_what_is_equally_likely_shares_the_hit() -> None:
    """A model that knows nothing is right one time in V, and says so."""
    found = calibration(Ignorant(), random_tokens(50, 12, V))
    assert found.kappa == pytest.approx(1, abs=1e-6)
    assert found.overconfidence == pytest.approx(0, abs=1e-6)


def test_certain_and_right_is_calibrated() -> None:
    sequence = [0, 1, 2, 3, 4, 5]
    found = calibration(Certain(sequence, 1 - 1e-12), torch.tensor([sequence]))
    assert found.kappa == pytest.approx(1, abs=0.1)


def test_reliability_by_hand() -> None:
    confidence = torch.tensor([[0.05, 0.31, 0.39, 0.99, 1.0]])
    correct = torch.tensor([[0.0, 1.0, 0.0, 1.0, 1.0]])
    found = Calibration(correct, correct, confidence, correct).reliability(10)
    assert found.tokens.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert found.accuracy[[0, 3, 9]].tolist() == [0, 0.5, 1]
    assert found.confidence[[0, 3, 9]].tolist() == pytest.approx([0.05, 0.35, 0.995])
    assert found.accuracy[1].isnan()


@pytest.mark.parametrize(("vocab", "length"), SHAPES)
@pytest.mark.parametrize("t", [1e-5, 0.3])
def test_who_knows_the_law_is_calibrated(vocab: int, length: int, t: float) -> None:
    """At any vocabulary, length, entropy and time: kappa and confidence minus accuracy are within
    four standard errors of 1 and 0 (false alarm rate 6e-5 each)."""
    source = random_source(vocab, seed=1)
    found = calibration(source, source.sample(400, length, seed=2), t)
    nll, entropy = surprise(found)
    error = (nll - entropy).std() / math.sqrt(len(nll)) / entropy.mean()
    assert abs(found.kappa - 1) < 4 * error
    assert error < 0.04
    beyond = (found.confidence - found.correct).double().mean(1)
    assert abs(found.overconfidence) < 4 * beyond.std().item() / math.sqrt(len(beyond))


@pytest.mark.parametrize(("vocab", "length"), SHAPES[1:4])
def test_a_store_is_overconfident_where_it_was_not_trained(vocab: int, length: int) -> None:
    source = random_source(vocab, seed=1)
    train, unseen = source.sample(50, length, seed=1), source.sample(100, length, seed=2)
    store = EmpiricalDenoiser(train, vocab)
    assert kappa(surprise(calibration(store, unseen))).ends()[0] > 50
    known = calibration(store, train)
    assert known.kappa == pytest.approx(1, abs=0.05)  # certain and right
    gap = log_kappa_difference(surprise(calibration(store, unseen)), surprise(known))
    assert gap.ends()[0] > math.log(50)


def test_kappa_is_no_function_of_the_basin_advantage() -> None:
    """Half of the mass on 20 rows, half on the source: an exact law that brings most of what is
    changed in its rows back, as a store does, and judges unseen text as the source itself does.
    Networks of this advantage (0.7) have kappa 5. (Of so short text what is unseen is improbable
    text, so that the source, too, has more than 1.)"""
    vocab, length, k = 4, 7, 20
    source = random_source(vocab, 1.0, seed=1)
    every = torch.cartesian_prod(*[torch.arange(vocab)] * length)
    law = (-source.nll(every)).exp()
    train = source.sample(k, length, seed=1)
    index = (train * vocab ** torch.arange(length - 1, -1, -1)).sum(1)
    mixture = EmpiricalDenoiser(every, vocab, law.index_add(0, index, law.new_full((k,), 1 / k)))
    rows = source.sample(600, length, seed=2)
    unseen = rows[~(rows[:, None] == train).all(-1).any(1)]
    returned = [
        recovery(mixture, x, 0.15, 40, repeats=3, batch_size=200).rate for x in (train, unseen[:50])
    ]
    assert (returned[0] - returned[1]) / (1 - returned[1]) > 0.5
    ratio = calibration(mixture, unseen).kappa / calibration(source, unseen).kappa
    assert 1 <= ratio < 1.2


@pytest.mark.parametrize(
    ("vocab", "length"), [(8, 12), pytest.param(32, 24, marks=pytest.mark.slow)]
)
def test_a_low_temperature_is_told_from_a_store_by_its_own_text(vocab: int, length: int) -> None:
    """Both are surer than the text allows. What the store writes it knows; the sharpened model is
    too sure of its own text as well, when it writes as sweeps do."""
    source = random_source(vocab, seed=1)
    store = EmpiricalDenoiser(source.sample(50, length, seed=1), vocab)
    unseen = source.sample(150, length, seed=2)
    sharp = Sharpened(source, temperature=0.7)
    on = {
        name: [surprise(calibration(model, x)) for x in (sample(model, 60, length, 60), unseen)]
        for name, model in (("sharp", sharp), ("store", store))
    }
    assert min(kappa(found).ends()[0] for found in (*on["sharp"], on["store"][1])) > 1
    assert kappa(on["store"][0]).value < 1.1
    assert kappa(on["sharp"][1]).ends()[1] < 3 < 50 < kappa(on["store"][1]).ends()[0]
    assert log_kappa_difference(*on["store"]).ends()[1] < -3
    assert log_kappa_difference(*on["sharp"]).ends()[1] > -0.3


@pytest.mark.slow
def test_exact_samples_are_judged_as_any_text() -> None:
    """The null of own text: drawn without the likeliest token at the end, a perfect model's kappa
    is 1 (four standard errors, 6e-5, and 1% for the steps of the grid)."""
    length = 12
    source = random_source(8, seed=1)
    own = sample(source, 300, length, 100, noise_removal="ancestral")
    nll, entropy = surprise(calibration(source, own))
    error = (nll - entropy).std() / math.sqrt(len(nll)) / entropy.mean()
    assert abs(nll.mean() / entropy.mean() - 1) < 4 * error + 0.01


class Masked(Denoiser):
    """A Markov source under masks, whose clean neighbours are all that matters at one mask."""

    def __init__(self, source: MarkovDenoiser) -> None:
        self.source, self.process = source, AbsorbingProcess(source.process.vocab_size + 1)
        self.asked = 0

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Of a row with one mask; the source leaves the token there out, whatever stands for it."""
        assert where is not None
        assert ((x_t == self.process.mask) == where).all()
        self.asked += len(x_t)
        shown = x_t.where(~where, 0)
        found = self.source.log_probs(shown, torch.zeros_like(t), where)
        return torch.nn.functional.pad(found, (0, 1), value=-torch.inf)


def test_with_masks_each_token_is_judged_behind_a_mask() -> None:
    """A visible token would be carried over: kappa would be 0 / 0. Numbers equal those of uniform
    noise, and each row costs as many calls as it has tokens."""
    source = random_source(6, seed=1)
    rows = source.sample(40, 9, seed=2)
    masked = Masked(source)
    behind = calibration(masked, rows)
    plain = calibration(source, rows, t=1e-9)
    for one, two in zip(behind, plain, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
    assert masked.asked == 40 * 9 == 40 * reading_calls(masked.process, 9).dense
    assert reading_calls(UniformProcess(6), 9).dense == 1


def test_entropy_is_that_of_the_entropy_probe() -> None:
    source = random_source(8, seed=1)
    rows = source.sample(20, 16, seed=2)
    one, two = calibration(source, rows, 1e-5, 3), conditional_entropy(source, rows, 1e-5, 3)
    torch.testing.assert_close(one.entropy, two.per_token)


def intervals(n: int, trials: int) -> Iterator[tuple[float, float]]:
    source = random_source(8, seed=1)
    nll, entropy = surprise(calibration(source, source.sample(n * trials, 16, seed=4)))
    for i in range(trials):
        part = slice(i * n, (i + 1) * n)
        yield kappa(Surprise(nll[part], entropy[part]), seed=i).ends()


@pytest.mark.parametrize("n", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_the_interval_of_kappa_covers_what_it_says(n: int) -> None:
    """Of 300 samples from the source 95% contain 1; within four binomial standard errors, false
    alarm rate 6e-5."""
    hits = np.mean([low <= 1 <= high for low, high in intervals(n, 300)])
    assert abs(hits - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 300)


def test_bad_input_is_named() -> None:
    with pytest.raises(AttractorError, match=r"t = 0.0 is outside \(0, 1\]"):
        calibration(Ignorant(), random_tokens(3, 4, V), t=0.0)
    with pytest.raises(AttractorError, match="1 sequences with a value"):
        kappa(Surprise(np.ones(1), np.ones(1)))
    with pytest.raises(AttractorError, match="1 of 3 sequences have no finite value, first row 1"):
        kappa(Surprise(np.array([1, np.nan, 1]), np.ones(3)))

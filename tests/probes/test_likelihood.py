"""The NELBO's integral over time: where it is known exactly, where a model is surely wrong, and
whether its interval says the truth."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from enumerated import PROCESSES
from enumerated import Exact as ExactMasked
from exact import STATES, Exact, joint_law
from torch import Tensor

import attractor
from attractor import Denoiser, nelbo
from attractor.analysis.statistics import mean_interval
from attractor.probes import likelihood
from attractor.probes.likelihood import _times
from attractor.process.uniform import UniformProcess
from attractor.results.draws import draws_error
from attractor.theory.solvable import EmpiricalDenoiser

MODELS = Path(__file__).parents[1] / "data" / "models"
RARE = 1e-6


def rare_law() -> Tensor:
    """Two sequences that are nearly certain, and one, the second of `STATES`, that is nearly
    impossible, whichever of its tokens is looked at."""
    law = torch.zeros(9, dtype=torch.float64)
    law[[0, 4, 1]] = torch.tensor([0.5, 0.5 - RARE, RARE], dtype=torch.float64)
    return law


EXACT = {
    "uniform": Exact,
    **{name: lambda law, p=process: ExactMasked(p, law) for name, process in PROCESSES.items()},
}
of_every_process = pytest.mark.parametrize("exact", EXACT.values(), ids=EXACT.keys())


def test_a_memorizer_on_unseen_text_is_as_wrong_as_a_fine_quadrature_says() -> None:
    """6.06 nats a token. Two seeds differ by less than two standard errors in 95 of 100 pairs; each
    lies within 0.15, three standard errors, of the value, in 997 of 1,000 runs."""
    denoiser = attractor.load(str(MODELS / "n32"))
    rows = np.load(MODELS / "test96.npy").astype(np.int64)
    one, other = (likelihood(denoiser, rows, seed=seed) for seed in (0, 1))
    for found in (one, other):
        assert found.mean == pytest.approx(6.06, abs=0.15)
        assert found.time_error < 0.06
        low, high = mean_interval(found.per_sequence().numpy().astype(float)).ends()
        assert low < 6.06 < high
        assert high - low < 0.6
    assert abs(one.mean - other.mean) < 2 * math.hypot(one.time_error, other.time_error)


@of_every_process
def test_exact_denoisers_integrate_to_the_likelihood(exact: type[Exact]) -> None:
    """Of each of nine sequences, within four standard errors: one test in 1,700 would fail."""
    law, n = joint_law(), 500
    found = likelihood(exact(law), STATES.repeat_interleave(n, 0))
    nats = 2 * found.per_sequence().double().view(9, n)
    error = nats.std(1) / math.sqrt(n)
    assert ((nats.mean(1) + law.log()).abs() < 4 * error + 1e-4).all()


@pytest.mark.slow
@of_every_process
def test_a_sequence_that_is_nearly_impossible_costs_what_it_should(exact: type[Exact]) -> None:
    """-log of 1e-6 is 13.8 nats; four standard errors: one test in 16,000 would fail."""
    found = likelihood(exact(rare_law()), STATES[[1]].repeat(2000, 1))
    nats = 2 * found.per_sequence().double()
    error = nats.std().item() / math.sqrt(len(nats))
    assert abs(nats.mean().item() + math.log(RARE)) < 4 * error
    assert error < 0.2


def test_a_token_of_probability_zero_costs_what_the_smallest_time_lets_it() -> None:
    """A token that a model excludes costs about log(V / 1e-9) = 22 nats; without end it would be
    infinite. Four standard errors."""
    store = EmpiricalDenoiser(torch.zeros(1, 8, dtype=torch.long), 4)
    found = likelihood(store, torch.full((200, 8), 2))
    error = found.per_sequence().std().item() / math.sqrt(200)
    assert abs(found.mean - math.log(4 / 1e-9)) < 4 * error + 0.1


@pytest.mark.parametrize("rate", [1e-8, 1e-4, 1e-1])
def test_times_cover_the_interval_with_their_weights(rate: float) -> None:
    """The integral of 1 / (rate + t) from 1e-9 to 1 is a logarithm."""
    s = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    t, slope = _times(s)
    assert (t.diff() > 0).all()
    assert 1e-9 < t[0] < 1.001e-9
    assert 1 - 1e-4 < t[-1] < 1
    exact = math.log((rate + 1) / (rate + 1e-9))
    assert (slope / (rate + t)).mean().item() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("t", [1e-9, 1e-6, 1e-2])
@pytest.mark.parametrize("noisy", [0, 1, 2])
def test_the_rate_keeps_its_digits_at_small_times(t: float, noisy: int) -> None:
    """Against UDLM eq. 18 as it stands, with 60 digits; distributions come in single precision."""
    log_p = torch.tensor([[[1e-7, 0.3, 0.7]]]).log()
    schedule = UniformProcess(3).schedule
    time = torch.tensor([t], dtype=torch.float64)
    found = nelbo(
        log_p, torch.tensor([[noisy]]), torch.tensor([[0]]), schedule.alpha(time),
        schedule.dalpha(time),
    )  # fmt: skip
    with localcontext() as context:
        context.prec = 60
        slope = 1 - Decimal("0.001")
        a = 1 - slope * Decimal(t)
        p = [Decimal(v).exp() for v in log_p.flatten().tolist()]
        x_bar = [3 * a * (v == 0) + 1 - a for v in range(3)]
        p_bar = [3 * a * p[v] + 1 - a for v in range(3)]
        ratios = [
            x_bar[v] / x_bar[noisy] * (p_bar[noisy] * x_bar[v] / (p_bar[v] * x_bar[noisy])).ln()
            for v in range(3)
        ]
        exact = -slope / (3 * a) * (3 / x_bar[noisy] - 3 / p_bar[noisy] - sum(ratios))
    assert found.item() == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("name", ["one text", "texts of a law"])
@pytest.mark.parametrize(
    "exact",
    [pytest.param(e, marks=[] if name == "uniform" else pytest.mark.slow, id=name)
     for name, e in EXACT.items()],
)  # fmt: skip
def test_intervals_contain_the_truth(exact: type[Exact], name: str) -> None:
    """400 times 40 sequences, of one text, so that only times and noise vary, or drawn from a law.
    An interval that covers 95% would leave these bounds, four standard deviations wide, once in
    15,000 tests; below, 2 points are left to the skewness of so few sequences."""
    law, repeats, n = joint_law(2), 400, 40
    if name == "one text":
        chosen = torch.full((repeats * n,), int(law.argmin()))
        truth = -law.min().log().item() / 2
    else:
        generator = torch.Generator().manual_seed(0)
        chosen = torch.multinomial(law, repeats * n, replacement=True, generator=generator)
        truth = -(law * law.log()).sum().item() / 2
    found = likelihood(exact(law), STATES[chosen], draws=8)
    values = found.per_sequence().double().view(repeats, n).numpy()
    intervals = [mean_interval(row).ends() for row in values]
    covered = np.mean([low < truth < high for low, high in intervals])
    assert 0.95 - 0.044 - 0.02 < covered < 0.95 + 0.044


def test_the_error_of_the_times_is_told_apart_from_that_of_the_sequences() -> None:
    """Against the spread over 40 seeds of the mean over the same sequences, which is itself known
    to a ninth: four of those."""
    law, n = joint_law(), 20
    rows = STATES.repeat_interleave(n, 0)
    found = [likelihood(Exact(law), rows, draws=8, seed=seed) for seed in range(40)]
    spread = np.std([f.mean for f in found], ddof=1)
    claimed = math.sqrt(np.mean([f.time_error**2 for f in found]))
    assert 1 - 4 / 9 < claimed / spread < 1 + 4 / 9
    between = np.std(found[0].per_sequence().numpy()) / math.sqrt(len(rows))
    assert claimed < between


def test_the_error_of_known_draws() -> None:
    """Four strata of standard deviation 3 whose means rise: the sum has 6. Of 200,000 sequences it
    is known to 0.2%; five times that."""
    rng = np.random.default_rng(0)
    draws = np.arange(4) + 3 * rng.standard_normal((200_000, 4))
    assert draws_error(draws) * math.sqrt(200_000) == pytest.approx(6, rel=0.01)
    assert math.isnan(draws_error(draws[:1]))
    assert math.isnan(draws_error(draws[:, :1]))


class Asked(Denoiser):
    """Keeps in which precision times were asked for."""

    def __init__(self) -> None:
        self.process = UniformProcess(3)
        self.asked: set[torch.dtype] = set()

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        self.asked.add(t.dtype)
        full = torch.full((*x_t.shape, 3), 1 / 3).log()
        return full if where is None else full[where]


def test_networks_are_asked_in_single_precision() -> None:
    denoiser = Asked()
    likelihood(denoiser, STATES)
    assert denoiser.asked == {torch.float32}

"""Entropy at a sample of the positions of each row."""

from __future__ import annotations

import pytest
import torch

from attractor import AbsorbingProcess, AttractorError, UniformProcess
from attractor.model.denoiser import Denoiser
from attractor.probes import calibration, conditional_entropy
from attractor.process.forward import ForwardProcess

V, L, N = 6, 10, 400


class Sloped(Denoiser):
    """Entropy differs from position to position, and rows of one batch are counted."""

    def __init__(self, process: ForwardProcess) -> None:
        self.process, self.seq_len, self.calls = process, L, 0

    def log_probs(
        self, x_t: torch.Tensor, t: torch.Tensor, where: torch.Tensor | None = None
    ) -> torch.Tensor:
        self.calls += 1
        logits = torch.zeros(*x_t.shape, V)
        logits[..., 0] = torch.arange(L)[None, :] * 0.5 + (x_t[:, :1] % 2)
        logits = self.process.distribution(logits, torch.full_like(x_t, V - 1))
        return logits if where is None else logits[where]


def rows() -> torch.Tensor:
    return torch.randint(V - 1, (N, L), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("process", [AbsorbingProcess(V), UniformProcess(V)])
def test_a_sample_is_a_part_of_the_whole_and_costs_its_part(process: ForwardProcess) -> None:
    whole = conditional_entropy(Sloped(process), rows()).per_token
    denoiser = Sloped(process)
    some = conditional_entropy(denoiser, rows(), positions=3).per_token
    read = ~some.isnan()
    assert (read.sum(1) == 3).all()
    assert torch.equal(some[read], whole[read])
    batches = 2  # of at most 256 rows
    assert denoiser.calls == batches * (3 if isinstance(process, AbsorbingProcess) else 1)
    # Every position is drawn about equally often: 400 rows give 120 each, with a standard deviation
    # of 9; all ten within 5 of these fail once in 10^5.
    assert ((read.sum(0) - 120).abs() < 46).all()


def test_the_mean_of_rows_is_unbiased_and_its_interval_holds() -> None:
    denoiser = Sloped(AbsorbingProcess(V))
    exact = conditional_entropy(denoiser, rows()).mean
    # 40 seeds of one set of rows: the interval is that of what is drawn, given the rows.
    inside = 0
    for seed in range(40):
        per_row = conditional_entropy(denoiser, rows(), seed=seed, positions=2).per_sequence()
        error = per_row.std() / N**0.5
        inside += abs(float(per_row.mean()) - exact) < 1.96 * float(error)
    # Of 40 intervals that hold 95% of the time (somewhat more, since rows are given), fewer than 33
    # do once in 10^3.
    assert inside >= 33


def test_frozen_tokens_are_never_drawn() -> None:
    frozen = torch.zeros(L, dtype=torch.bool)
    frozen[2:] = True
    found = calibration(Sloped(AbsorbingProcess(V)), rows(), frozen=frozen, positions=5)
    assert (~found.entropy.isnan()).sum(1).eq(2).all()
    assert found.entropy[:, 2:].isnan().all()
    with pytest.raises(AttractorError, match="positions = 0 must be at least 1"):
        conditional_entropy(Sloped(AbsorbingProcess(V)), rows(), positions=0)

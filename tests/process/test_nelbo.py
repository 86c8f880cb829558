"""The NELBO against the exact likelihood of a small joint law, every x_t enumerated and t
integrated by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exact import STATES, Exact, channel, joint_law
from torch import Tensor

from attractor import Denoiser, UniformProcess, nelbo


def integrated_nelbo(denoiser: Denoiser, nodes: int = 200) -> Tensor:
    """NELBO of each of the nine sequences in nats: Gauss-Legendre in u with t = u**2, exact sum
    over x_t."""
    process = UniformProcess(3)
    u, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(nodes))
    u, weights = (u + 1) / 2, weights / 2
    total = torch.zeros(len(STATES), dtype=torch.float64)
    for u_k, weight in zip(u, weights, strict=True):
        t = (u_k**2).expand(len(STATES))
        alpha, dalpha = process.schedule.alpha(t), process.schedule.dalpha(t)
        log_p = denoiser.log_probs(STATES, t)
        q = channel(alpha[:1])[0]
        for i, x_0 in enumerate(STATES):
            chance = q[x_0[0], STATES[:, 0]] * q[x_0[1], STATES[:, 1]]
            rate = nelbo(log_p, STATES, x_0.expand(len(STATES), 2), alpha, dalpha).sum(1)
            total[i] += weight * 2 * u_k * (chance * rate).sum()
    return total


def test_the_leave_one_out_distribution_integrates_to_the_exact_likelihood() -> None:
    """What is left at t = 1, alpha = 1e-3, is worth less than 1e-5 nats."""
    law = joint_law()
    torch.testing.assert_close(integrated_nelbo(Exact(law)), -law.log(), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_any_other_denoiser_is_worse_on_average(seed: int) -> None:
    law, other = joint_law(), joint_law(seed)
    entropy = -(law * law.log()).sum()
    assert law @ integrated_nelbo(Exact(other)) > entropy + 1e-3


def test_the_ordinary_posterior_is_not_the_minimiser() -> None:
    law = joint_law()
    entropy = -(law * law.log()).sum()
    assert law @ integrated_nelbo(Exact(law, ordinary=True)) > entropy + 0.1


def test_nelbo_is_never_negative_and_zero_for_certainty() -> None:
    alpha, dalpha = (
        torch.tensor([0.5], dtype=torch.float64),
        torch.tensor([-0.999], dtype=torch.float64),
    )
    certain = torch.tensor([[[0.0, -torch.inf, -torch.inf]]], dtype=torch.float64)
    x_0 = torch.tensor([[0]])
    for z in range(3):
        assert nelbo(certain, torch.tensor([[z]]), x_0, alpha, dalpha).abs() < 1e-12
    vague = torch.randn(
        1, 64, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).log_softmax(-1)
    x = torch.randint(3, (1, 64), generator=torch.Generator().manual_seed(1))
    assert (nelbo(vague, x, x.flip(1), alpha, dalpha) >= 0).all()

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from scipy import stats

from attractor import AttractorError, LogLinear, UniformProcess, nelbo
from attractor.process.uniform import categorical

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "formulas.json").read_text())


def tensor(record: dict[str, list[float]], key: str) -> torch.Tensor:
    return torch.tensor(record[key], dtype=torch.int64 if key in ("x0", "xt") else torch.float64)


@pytest.mark.parametrize("record", GOLDEN, ids=lambda record: f"V={record['vocab_size']}")
def test_posterior_and_nelbo_reproduce_the_golden_values(record: dict[str, list[float]]) -> None:
    process = UniformProcess(int(record["vocab_size"]))  # type: ignore[call-overload]
    log_p, x_t, x_0 = (
        tensor(record, "logits").log_softmax(-1),
        tensor(record, "xt"),
        tensor(record, "x0"),
    )
    alpha_t, alpha_s = tensor(record, "alpha_t"), tensor(record, "alpha_s")
    posterior = process.posterior(x_t, log_p.exp(), alpha_s, alpha_t)
    torch.testing.assert_close(posterior, tensor(record, "posterior"), rtol=0, atol=1e-13)
    found = nelbo(log_p, x_t, x_0, alpha_t, tensor(record, "dalpha_t"))
    torch.testing.assert_close(found, tensor(record, "nelbo_per_token"), rtol=1e-13, atol=1e-13)


def test_schedule_and_its_derivative_travel_together() -> None:
    schedule, t = LogLinear(), torch.linspace(0, 1, 11, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(schedule.alpha(t).sum(), t)
    torch.testing.assert_close(schedule.dalpha(t), slope)
    torch.testing.assert_close(schedule.sigma(t), -schedule.alpha(t).log())
    assert schedule.alpha(t)[0] == 1
    assert schedule.alpha(t)[-1].item() == pytest.approx(1e-3)


def test_posterior_is_bayes_rule_for_a_known_token() -> None:
    """With p = e_{x_0}: q(x_s | x_t, x_0) = q(x_t | x_s) q(x_s | x_0) / q(x_t | x_0), by
    enumeration."""
    vocab, a, b = (
        3,
        torch.tensor([0.3], dtype=torch.float64),
        torch.tensor([0.7], dtype=torch.float64),
    )
    process, eye = UniformProcess(vocab), torch.eye(3, dtype=torch.float64)
    to_s, s_to_t, to_t = (c * eye + (1 - c) / vocab for c in (b, a / b, a))
    for x_0 in range(vocab):
        for x_t in range(vocab):
            bayes = to_s[x_0] * s_to_t[:, x_t] / to_t[x_0, x_t]
            found = process.posterior(torch.tensor([[x_t]]), eye[x_0].view(1, 1, vocab), b, a)[0, 0]
            torch.testing.assert_close(found, bayes, rtol=1e-12, atol=1e-15)
            assert found.sum().item() == pytest.approx(1, abs=1e-12)


def test_corrupted_tokens_follow_the_forward_law() -> None:
    """Chi-square at level 1e-4 (one draw, fixed noise seed)."""
    vocab, n, t = 5, 20_000, 0.4
    process = UniformProcess(vocab)
    noise = torch.rand(n, 1, 2, generator=torch.Generator().manual_seed(0))
    x_t = process.corrupt(torch.full((n, 1), 2), torch.full((n,), t), noise)
    alpha = process.schedule.alpha(torch.tensor(t)).item()
    expected = [n * (alpha * (v == 2) + (1 - alpha) / vocab) for v in range(vocab)]
    assert (
        stats.chisquare(torch.bincount(x_t[:, 0], minlength=vocab).numpy(), expected).pvalue > 1e-4
    )


@pytest.mark.parametrize("times", [(0.9, 0.899), (0.3, 0.2), (1.0, 0.5), (1e-5, 0.0)])
def test_coin_and_jump_together_are_the_posterior(times: tuple[float, float]) -> None:
    """Integrated over its uniforms exactly, not sampled: each decision is a threshold on one
    uniform of its own."""
    vocab = 3
    process = UniformProcess(vocab)
    a, b = (process.schedule.alpha(torch.tensor([t], dtype=torch.float64)) for t in times)
    p = torch.tensor([[0.2, 0.7, 0.1]], dtype=torch.float64)
    lattice = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    for z in range(vocab):
        posterior = process.posterior(torch.tensor([[z]]), p[:, None], b, a)[0, 0]
        found = _law_of_jump(process, z, p, b, a, lattice)
        coin = process.coin(b, a)
        stay = torch.eye(vocab, dtype=torch.float64)[z]
        torch.testing.assert_close(coin * found + (1 - coin) * stay, posterior, rtol=0, atol=2e-3)
        # The bound itself, without a lattice: what does not stay fits under the coin.
        assert (1 - posterior[z]).item() <= coin.item() + 1e-12


def _law_of_jump(
    process: UniformProcess,
    z: int,
    p: torch.Tensor,
    b: torch.Tensor,
    a: torch.Tensor,
    lattice: torch.Tensor,
) -> torch.Tensor:
    n = len(lattice)

    def jump(moves: torch.Tensor, informed: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        noise = torch.stack([moves, informed, token], -1)
        m = len(noise)
        to = process.jump(
            torch.full((m,), z), p.log().expand(m, -1), b.expand(m), a.expand(m), noise
        )
        return torch.bincount(to, minlength=process.vocab_size).double() / m

    low, high = (
        torch.zeros(n, dtype=torch.float64),
        torch.full((n,), 1 - 1e-12, dtype=torch.float64),
    )
    # Which way each of the first two uniforms falls, from a token that differs from z so that the
    # effect shows.
    other = (z + 1) % process.vocab_size
    aim = torch.full((n,), (p[0, :other].sum() + p[0, other] / 2).item(), dtype=torch.float64)
    moved = 1 - jump(lattice, low, aim)[z]
    from_network, from_noise = jump(low, low, lattice), jump(low, high, lattice)
    informed = (b - a) / ((b - a) + (1 - a / b) * (1 - b))
    stay = torch.eye(process.vocab_size, dtype=torch.float64)[z]
    return moved * (informed * from_network + (1 - informed) * from_noise) + (1 - moved) * stay


def test_frozen_steps_cannot_be_moved_by_any_network() -> None:
    process, generator = UniformProcess(4), torch.Generator().manual_seed(0)
    t = torch.linspace(1, 1e-5, 101, dtype=torch.float64)
    a, b = process.schedule.alpha(t[:-1]), process.schedule.alpha(t[1:])
    frozen = process.frozen(b, a)
    assert 0 < frozen.sum() < len(frozen)
    x_t = torch.randint(4, (100, 1), generator=generator)
    for sharpness in (0.1, 3, 300):
        p = (sharpness * torch.randn(100, 1, 4, generator=generator, dtype=torch.float64)).softmax(
            -1
        )
        likeliest = process.posterior(x_t, p, b, a).argmax(-1)
        assert torch.equal(likeliest[frozen], x_t[frozen])
    one_hot = torch.eye(4, dtype=torch.float64)[(x_t + 1) % 4]
    assert torch.equal((process.posterior(x_t, one_hot, b, a).argmax(-1) == x_t)[:, 0], frozen)


def test_categorical_inverts_the_cumulative_distribution() -> None:
    probs = torch.tensor([[0.25, 0.0, 0.75]]).expand(5, 3)
    assert categorical(probs, torch.tensor([0.0, 0.2499, 0.2501, 0.9, 1.0])).tolist() == [
        0,
        0,
        2,
        2,
        2,
    ]


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    """Float32 has no number between the largest uniforms of float64 and 1, to which they are
    rounded."""
    probs, largest = (
        torch.tensor([[0.0, 0.7, 0.3, 0.0]]),
        torch.tensor([1 - 2.0**-33], dtype=torch.float64),
    )
    assert categorical(probs, largest).tolist() == [2]
    assert categorical(probs, torch.zeros(1)).tolist() == [1]


def test_bad_settings_are_named() -> None:
    with pytest.raises(AttractorError, match="vocab_size = 1 "):
        UniformProcess(1)
    with pytest.raises(AttractorError, match=r"eps = 0\.0 "):
        LogLinear(0.0)

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from attractor import AttractorError, UniformProcess
from attractor.config.settings import RunConfig, SweepConfig, TrainConfig
from attractor.model.ddit import DDiT, Embedding
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.gaussian import GAMMA, gamma_at, signal
from attractor.process.interfaces import Mixture
from attractor.process.nelbo import nelbo
from attractor.train.loop import train
from attractor.train.objective import antithetic_times, batch_loss, noisy_batch
from attractor.train.state import Progress

V = 30
DUO = TrainConfig(
    steps=10, batch_size=8, curriculum="duo", lr=1e-2, warmup=5, log_every=10, validate_every=1000
)
X_0 = torch.arange(48).view(8, 6) % V


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def network(seed: int = 0) -> DDiT:
    torch.manual_seed(seed)
    built = DDiT(vocab_size=V, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, dropout=0.0)
    torch.nn.init.normal_(built.output_layer.linear.weight, std=0.3)
    return built


def test_a_mixture_is_the_mean_of_embeddings() -> None:
    embed = Embedding(V, 4)
    tokens = torch.randint(V, (2, 3, 5), generator=generator())
    shares = torch.rand(2, 3, 5, generator=generator()).softmax(-1)
    mean = (embed(tokens.flatten(1)).unflatten(1, (3, 5)) * shares[..., None]).sum(2)
    torch.testing.assert_close(embed(Mixture(tokens, shares)), mean)
    (expected,) = torch.autograd.grad(mean.square().sum(), embed.embedding)
    (found,) = torch.autograd.grad(embed(Mixture(tokens, shares)).square().sum(), embed.embedding)
    torch.testing.assert_close(found, expected)


def test_a_mixture_of_one_token_is_that_token() -> None:
    net, sigma = network(), torch.linspace(0.1, 2, 8)
    one = Mixture(X_0[..., None], torch.ones(*X_0.shape, 1))
    torch.testing.assert_close(net(one, sigma), net(X_0, sigma))


def test_the_loss_is_the_nelbo_at_the_argmax_with_the_alpha_of_the_latent() -> None:
    process, net = UniformProcess(V), network()
    batch = noisy_batch(process, X_0, 0, DUO, generator())
    t, _ = antithetic_times(8, DUO.t_min, 1.0, generator())
    exact = signal(gamma_at(t), V)
    dense_input = torch.zeros(*X_0.shape, V).scatter_add_(-1, batch.seen, batch.shares)
    assert torch.equal(dense_input.argmax(-1), batch.x_t)
    alpha, dalpha = exact.alpha.float(), (exact.slope * (GAMMA[1] - GAMMA[0])).float()
    log_p = net(Mixture(batch.seen, batch.shares), -alpha.log()).log_softmax(-1)
    per_token = nelbo(log_p, batch.x_t, X_0, alpha, dalpha)
    expected = (per_token * batch.weight[:, None]).sum() / X_0.numel()
    found = batch_loss(net, process, batch, X_0.numel(), "float32")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_curriculum_is_the_first_half_or_what_is_asked_for() -> None:
    process = UniformProcess(V)

    def width(step: int, config: TrainConfig) -> int:
        return noisy_batch(process, X_0, step, config, generator()).seen.shape[-1]

    assert [width(step, DUO) for step in (0, 4, 5, 9)] == [17, 17, 1, 1]
    shorter = dataclasses.replace(DUO, curriculum_steps=2)
    assert [width(step, shorter) for step in (1, 2)] == [17, 1]
    assert width(0, dataclasses.replace(DUO, curriculum="none")) == 1


def test_after_the_curriculum_a_step_is_an_ordinary_one() -> None:
    plain = dataclasses.replace(DUO, curriculum="none")
    after, ordinary = (
        noisy_batch(UniformProcess(V), X_0, 5, config, generator()) for config in (DUO, plain)
    )
    assert all(torch.equal(a, b) for a, b in zip(after, ordinary, strict=True))


def test_training_with_it_learns_and_is_a_function_of_the_seed() -> None:
    rows = np.tile(np.arange(6, dtype=np.int32), (40, 1))
    config = dataclasses.replace(DUO, steps=60, log_every=15)
    logs: list[Progress] = []
    state = train(network(), UniformProcess(V), rows, config, on_progress=logs.append)
    assert logs[1].loss < 0.6 * logs[0].loss  # both within the curriculum
    again = train(network(), UniformProcess(V), rows, config)
    assert all(torch.equal(a, b) for a, b in zip(state.ema.shadow, again.ema.shadow, strict=True))


def test_other_noise_has_no_such_curriculum() -> None:
    for kind in (RunConfig, SweepConfig):
        sizes = {"sizes": (8,)} if kind is SweepConfig else {}
        with pytest.raises(
            AttractorError, match=r"curriculum = 'duo' needs process = 'uniform', not 'absorbing'"
        ):
            kind(process="absorbing", train=DUO, **sizes)
    with pytest.raises(
        AttractorError, match=r"'duo' needs the uniform process, not AbsorbingProcess"
    ):
        noisy_batch(AbsorbingProcess(V), X_0, 0, DUO, generator())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(
        AttractorError, match="curriculum_steps = 11 must be at least 0 and below 11"
    ):
        dataclasses.replace(DUO, curriculum_steps=11)
    with pytest.raises(AttractorError, match="curriculum_steps = 3 needs a curriculum"):
        TrainConfig(curriculum_steps=3)

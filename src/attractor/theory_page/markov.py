"""Exact denoisers and a trained network under the same probes, on data whose source is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.analysis.statistics import mean_interval
from attractor.config.presets import SHORT, preset
from attractor.machine.device import pick_device
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.probes import conditional_entropy, recovery
from attractor.results.estimate import Estimate
from attractor.theory.solvable import EmpiricalDenoiser, MarkovDenoiser
from attractor.theory.sources import random_source
from attractor.train.loop import train

VOCAB, LENGTH, CONCENTRATION = 16, 16, 0.1
"""Of the Markov source."""
SIZES = (30, 120, 480, 1920, 7680)
"""Numbers of training sequences; each training set is the beginning of the next."""
ROWS, REPEATS, TIME, GRID = 30, 4, 0.25, 200
"""How many sequences of each kind are probed, how often each is corrupted and at which time, and
steps of the reverse process from t = 1."""
TRAIN = dataclasses.replace(SHORT, steps=2500, batch_size=64, time_power=3.0)
"""Training of the network."""


class Control(NamedTuple):
    """One model under the probes, at one number of training sequences."""

    name: str
    """memorizer, generalizer or network"""
    split: str
    """of the probed sequences: train or test"""
    n_train: int
    recovery: Estimate
    entropy: Estimate
    """of tokens between two others, nats"""
    distance: Estimate
    """KL from the source, nats per token"""


def markov_source() -> MarkovDenoiser:
    """The source of all sequences."""
    return random_source(VOCAB, CONCENTRATION, seed=1)


def measure_controls(
    source: MarkovDenoiser,
    with_network: bool,
    on_progress: Callable[[str], None] = lambda done: None,
) -> list[Control]:
    """Memorizer and generalizer, and a network between them if asked for, on the same rows at every
    training size."""
    rows = source.sample(max(SIZES), LENGTH, seed=1)
    # More than are wanted, since a source of low entropy repeats itself: what is in the largest
    # training set is left out, so that the same rows are unseen at every n.
    unseen = source.sample(8 * ROWS, LENGTH, seed=2)
    unseen = torch.stack([x for x in unseen if not (rows == x).all(1).any()])[:ROWS]
    found = []
    for n in SIZES:
        models: dict[str, Denoiser] = {
            "memorizer": EmpiricalDenoiser(rows[:n], VOCAB),
            "generalizer": source,
        }
        if with_network:
            models["network"] = train_network(rows[:n], source)
        for name, model in models.items():
            for split, tokens in (("train", rows[:ROWS]), ("test", unseen)):
                found.append(_probe(name, model, split, n, tokens, source))
        on_progress(f"controls at n = {n:,}")
    return found


def train_network(rows: Int[Tensor, "N L"], source: MarkovDenoiser) -> Denoiser:
    """A network of the demo's shape trained on these rows, with its averaged weights."""
    # Its first weights are the same at every n, and the caller's random numbers are left alone.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DDiT(VOCAB, **dataclasses.asdict(preset("demo").model)).to(pick_device())
    state = train(network, source.process, rows.numpy(), TRAIN)
    return NetworkDenoiser(state.averaged(), source.process, rows.shape[1])


def kl_from_source(
    model: Denoiser, source: MarkovDenoiser, tokens: Int[Tensor, "N L"], t: float = 1e-5
) -> Float[Tensor, "N"]:
    """KL(source | model) of the distributions of each token given all the others, nats per token.

    The tokens are clean and t is nearly 0: there a denoiser gives these distributions.
    """
    times = torch.full((len(tokens),), t)
    log_r = source.log_probs(tokens, times)
    log_p = model.log_probs(tokens.to(model.device), times.to(model.device)).double().cpu()
    return (log_r.exp() * (log_r - log_p)).sum(-1).mean(1)


def _probe(
    name: str,
    model: Denoiser,
    split: str,
    n: int,
    tokens: Int[Tensor, "N L"],
    source: MarkovDenoiser,
) -> Control:
    rate = recovery(model, tokens, TIME, GRID, repeats=REPEATS).rate_per_sequence()
    # Inner tokens only: they have two neighbours, as in the closed form.
    entropy = conditional_entropy(model, tokens).per_token[:, 1:-1].mean(1)
    return Control(
        name,
        split,
        n,
        recovery=mean_interval(rate.double().numpy(), share=True, missing=True),
        entropy=mean_interval(entropy.double().numpy()),
        distance=mean_interval(kl_from_source(model, source, tokens).numpy()),
    )

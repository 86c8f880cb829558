"""`attractor theory`: measure spin memories and exact denoisers, train a network between them, write one page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from attractor.analysis.statistics import Estimate as Interval
from attractor.analysis.statistics import mean_interval
from attractor.config import TrainConfig, preset
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.probes import conditional_entropy, recovery
from attractor.report.fields import Estimate
from attractor.report.theory import write_page
from attractor.report.theory_view import Line, Numbers, Theory
from attractor.report.words import duration
from attractor.runtime import pick_device
from attractor.theory import experiments
from attractor.theory.capacities import basin_floor, max_margin
from attractor.theory.experiments import Load
from attractor.theory.solvable import EmpiricalDenoiser, MarkovDenoiser, random_source
from attractor.train.loop import averaged, train
from attractor.types import Tensor

LOADS = (0.05, 0.1, 0.2, 0.4)
SEEDS = (0, 1, 2)
VOCAB, LENGTH, CONCENTRATION = 24, 16, 0.15
SIZES = (30, 120, 480, 1920, 7680)
ROWS, REPEATS, TIME, GRID = 30, 4, 0.25, 200
TRAIN = TrainConfig(steps=700, batch_size=64, lr=4e-3, warmup=50, decay="cosine", betas=(0.9, 0.98), time_power=2.0)


class Control(NamedTuple):
    """One model under the probes, at one number of training sequences."""

    name: str
    split: str
    n_train: int
    recovery: Interval
    entropy: Interval
    distance: Interval
    """KL from the source, nats per token"""


def write_theory_report(
    out: Path,
    *,
    n: int = 500,
    loads: Sequence[float] = LOADS,
    seeds: Sequence[int] = SEEDS,
    markov: bool = False,
    on_progress: Callable[[str], None] = lambda done: None,
) -> Path:
    """Write `theory.html` into a directory.

    Args:
        out: the directory.
        n: spins of each memory, at least 10.
        loads: patterns per spin, each in [1/n, 2].
        seeds: of the patterns; intervals are over them.
        markov: also train a demo-size network on data of the Markov source, at several numbers of sequences.
        on_progress: told what has been done.

    Raises:
        AttractorError: for n, loads or seeds outside their range.
    """
    start = time.perf_counter()
    loads = sorted(set(loads))
    measured = []
    for load in loads:
        measured.append(experiments.measure_load(n, load, seeds))
        on_progress(f"spins at load {load:g}")
    points = experiments.measure_generalization(n, seeds)
    on_progress("random features")
    source = random_source(VOCAB, CONCENTRATION, seed=1)
    controls = measure_controls(source, markov, on_progress)
    middle = measured[len(measured) // 2]
    theory = Theory(
        n=n,
        seeds=tuple(seeds),
        loads=tuple(loads),
        retrieval=tuple((m.load, _retrieval(m)) for m in measured),
        radius=_by_rule(measured),
        floors=_floors(measured, n),
        training=tuple(line for m in measured for line in _training(m)),
        density_load=middle.load,
        density=_density(middle),
        manifold=tuple(
            Line(name="overlap", split=split, points=tuple((p.per_feature, _plain(getattr(p, split))) for p in points))
            for split in ("train", "test", "features")
        ),
        recovery=_lines(controls, "recovery"),
        entropy=_lines(controls, "entropy"),
        distance=_lines([c for c in controls if c.name == "network"], "distance"),
        closed_form=source.token_entropy(),
        control_note=_note(source, markov),
        numbers=tuple(_numbers(measured)),
        facts=(
            ("Spins N", str(n)),
            ("Loads", ", ".join(f"{load:g}" for load in loads)),
            ("Seeds", ", ".join(map(str, seeds))),
            ("Markov source", f"V = {VOCAB}, L = {LENGTH}, {source.entropy_rate():.3f} nats per token"),
            ("attractor version", version("attractor")),
            ("Time", duration(time.perf_counter() - start)),
        ),
    )
    return write_page(theory, Path(out))


def measure_controls(
    source: MarkovDenoiser, with_network: bool, on_progress: Callable[[str], None] = lambda done: None
) -> list[Control]:
    """Memorizer and generalizer, and a network between them if asked for, on the same rows at every training size."""
    rows = source.sample(max(SIZES), LENGTH, seed=1)
    unseen = source.sample(8 * ROWS, LENGTH, seed=2)
    unseen = torch.stack([x for x in unseen if not (rows == x).all(1).any()])[:ROWS]
    found = []
    for n in SIZES:
        models: dict[str, Denoiser] = {"memorizer": EmpiricalDenoiser(rows[:n], VOCAB), "generalizer": source}
        if with_network:
            models["network"] = train_network(rows[:n], source)
        for name, model in models.items():
            for split, tokens in (("train", rows[:ROWS]), ("test", unseen)):
                found.append(_probe(name, model, split, n, tokens, source))
        on_progress(f"controls at n = {n}")
    return found


def train_network(rows: Tensor, source: MarkovDenoiser) -> Denoiser:
    """A network of the demo's shape on these rows, with its averaged weights."""
    model, device = preset("demo").model, pick_device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DDiT(
            VOCAB, model.hidden_size, model.n_blocks, model.n_heads, cond_dim=model.cond_dim, dropout=model.dropout
        ).to(device)
    state = train(network, source.process, rows.numpy(), TRAIN)
    return NetworkDenoiser(averaged(state.network, state.ema), source.process, rows.shape[1])


def kl_from_source(model: Denoiser, source: MarkovDenoiser, tokens: Tensor, t: float = 1e-5) -> Tensor:
    """KL(source | model) of the conditional distributions at clean tokens, as t -> 0: nats per token, (N,)."""
    times = torch.full((len(tokens),), t)
    log_r = source.log_probs(tokens, times)
    log_p = model.log_probs(tokens.to(model.device), times.to(model.device)).double().cpu()
    return (log_r.exp() * (log_r - log_p)).sum(-1).mean(1)


def _probe(name: str, model: Denoiser, split: str, n: int, tokens: Tensor, source: MarkovDenoiser) -> Control:
    rate = recovery(model, tokens, TIME, GRID, repeats=REPEATS).rate_per_sequence()
    entropy = conditional_entropy(model, tokens).per_token[:, 1:-1].mean(1)  # inner tokens have two neighbours
    return Control(
        name, split, n,
        recovery=mean_interval(rate.double().numpy(), share=True),
        entropy=mean_interval(entropy.double().numpy()),
        distance=mean_interval(kl_from_source(model, source, tokens).numpy()),
    )  # fmt: skip


def _lines(controls: Iterable[Control], what: str) -> tuple[Line, ...]:
    controls = list(controls)
    kinds = dict.fromkeys((c.name, c.split) for c in controls)
    return tuple(
        Line(
            name=name,
            split=split,
            points=tuple(
                (float(c.n_train), _plain(getattr(c, what))) for c in controls if (c.name, c.split) == (name, split)
            ),
        )
        for name, split in kinds
    )


def _plain(e: experiments.Interval | Interval) -> Estimate:
    return Estimate(e.value, e.low, e.high)


def _retrieval(measured: Load) -> tuple[Line, ...]:
    return tuple(
        Line(name=r.name, points=tuple((x, _plain(m)) for x, m in zip(experiments.SHARES, r.overlaps, strict=True)))
        for r in measured.rules
    )


def _by_rule(measured: list[Load]) -> tuple[Line, ...]:
    names = dict.fromkeys(rule.name for m in measured for rule in m.rules)
    return tuple(
        Line(name=name, points=tuple((m.load, _plain(r.radius)) for m in measured for r in m.rules if r.name == name))
        for name in names
    )


def _floors(measured: list[Load], n: int) -> tuple[Line, ...]:
    kappas = [(m.load, max_margin(m.load)) for m in measured]
    return (
        Line(
            name="Gardner's margin, random flips",
            split="floor",
            points=tuple((load, Estimate(experiments.one_step_radius(k))) for load, k in kappas),
        ),
        Line(
            name="Gardner's margin, any flips",
            split="floor",
            points=tuple((load, Estimate(basin_floor(k, n))) for load, k in kappas),
        ),
    )


def _training(measured: Load) -> tuple[Line, ...]:
    name, steps = f"{measured.load:g}", experiments.STEPS
    gardner = Estimate(max_margin(measured.load))
    found = measured.training
    return (
        Line(name=name, split="Gardner", points=((steps[0], gardner), (steps[-1], gardner))),
        Line(name=name, split="median", points=tuple(zip(steps, map(_plain, found.median), strict=True))),
        Line(name=name, split="lowest", points=tuple(zip(steps, map(_plain, found.lowest), strict=True))),
    )


def _density(measured: Load) -> tuple[Line, ...]:
    steps = experiments.STEPS
    return tuple(
        Line(
            name=str(steps[i]),
            split="step",
            points=tuple((x, Estimate(y)) for x, y in zip(experiments.BINS, measured.training.density[i], strict=True)),
        )
        for i in (0, 3, 5, len(steps) - 1)
    )


def _numbers(measured: list[Load]) -> Iterable[Numbers]:
    for m in measured:
        for r in m.rules:
            yield Numbers(
                load=m.load,
                rule=r.name,
                radius=_plain(r.radius),
                stable=_plain(r.stable),
                fixed=_plain(r.fixed),
                asymmetry=None if r.asymmetry is None else _plain(r.asymmetry),
                lowest_margin=None if r.lowest_margin is None else _plain(r.lowest_margin),
            )


def _note(source: MarkovDenoiser, markov: bool) -> str:
    note = (
        f"Sequences of {LENGTH} tokens from a Markov source with {VOCAB} tokens and an entropy rate of "
        f"{source.entropy_rate():.2f} nats; t = {TIME:g}, {ROWS} sequences of each kind, {REPEATS} corruptions "
        "of each. Bands: 95% intervals over sequences."
    )
    return note + (f" The network: {TRAIN.steps} steps, one training seed." if markov else "")

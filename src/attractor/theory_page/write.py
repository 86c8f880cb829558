"""`attractor theory`: measure spin memories and exact denoisers, train a network between them,
write one page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attractor
from attractor.machine.device import pick_device
from attractor.machine.units import duration
from attractor.report.curves import Line
from attractor.results.estimate import Estimate
from attractor.theory.capacities import basin_floor, max_margin
from attractor.theory.solvable import MarkovDenoiser
from attractor.theory_page import experiments
from attractor.theory_page import markov as controls
from attractor.theory_page.experiments import Generalization, Load
from attractor.theory_page.markov import Control
from attractor.theory_page.page import write_page
from attractor.theory_page.view import Numbers, Theory

LOADS = (0.05, 0.1, 0.2, 0.4)
SEEDS = (0, 1, 2)


def write_theory_report(
    out: Path,
    *,
    n: int = 500,
    loads: Sequence[float] = LOADS,
    seeds: Sequence[int] = SEEDS,
    markov: bool = False,
    on_progress: Callable[[str], None] = lambda done: None,
) -> Path:
    """Write `theory.html` and its numbers, `theory.json`, into a directory; `why-basins.svg` too
    with a network.

    Args:
        out: the directory.
        n: spins of each memory, at least 10.
        loads: patterns per spin, each in [1/n, 2].
        seeds: of the patterns; intervals are over them.
        markov: also train a demo-size network on data of the Markov source, at several numbers of
            sequences.
        on_progress: told what has been done.

    Raises:
        AttractorError: for n, loads or seeds outside their range.
    """
    experiments.check_inputs(n, loads, seeds)
    out = Path(out)
    # A folder that cannot be written to is to be known before minutes of measuring.
    out.mkdir(parents=True, exist_ok=True)
    start, device = time.perf_counter(), pick_device()
    measured = experiments.measure_loads(n, loads, seeds, device, on_progress)
    manifold = experiments.measure_generalization(n, seeds, device=device)
    on_progress("random features")
    source = controls.markov_source()
    found = controls.measure_controls(source, markov, on_progress)
    rate = f"{source.entropy_rate():.3f} nats per token"
    facts = (
        ("Spins N", str(n)),
        ("Loads", ", ".join(f"{m.load:g}" for m in measured)),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Markov source", f"V = {controls.VOCAB}, L = {controls.LENGTH}, {rate}"),
        ("attractor version", attractor.__version__),
        ("Time", duration(time.perf_counter() - start)),
    )
    return write_page(view(n, seeds, measured, manifold, source, found, facts), out)


def view(
    n: int,
    seeds: Sequence[int],
    measured: Sequence[Load],
    manifold: Sequence[Generalization],
    source: MarkovDenoiser,
    found: Sequence[Control],
    facts: tuple[tuple[str, str], ...],
) -> Theory:
    """Everything that was measured, as the page shows it."""
    middle = measured[len(measured) // 2]
    network = [c for c in found if c.name == "network"]
    return Theory(
        n=n,
        seeds=tuple(seeds),
        loads=tuple(m.load for m in measured),
        retrieval=tuple((m.load, _retrieval(m)) for m in measured),
        radius=_by_rule(measured),
        floors=_floors(measured, n),
        training=tuple(line for m in measured for line in _training(m)),
        density_load=middle.load,
        density=_density(middle),
        manifold=_manifold(manifold),
        recovery=_lines(found, "recovery"),
        entropy=_lines(found, "entropy"),
        distance=_lines(network, "distance"),
        closed_form=source.token_entropy(),
        control_note=_note(source, bool(network)),
        numbers=tuple(_numbers(measured)),
        facts=facts,
    )


def _note(source: MarkovDenoiser, network: bool) -> str:
    note = (
        f"Sequences of {controls.LENGTH} tokens from a Markov source with {controls.VOCAB} tokens "
        f"and an entropy rate of {source.entropy_rate():.2f} nats; t = {controls.TIME:g}, "
        f"{controls.ROWS} sequences of each kind, {controls.REPEATS} corruptions of each. Bands: "
        "95% intervals over sequences."
    )
    if network:
        note += f" The network: {controls.TRAIN.steps:,} steps, one training seed."
    return note


def _manifold(points: Sequence[Generalization]) -> tuple[Line, ...]:
    return tuple(
        Line(
            name="overlap",
            split=split,
            points=tuple((p.per_feature, getattr(p, split)) for p in points),
        )
        for split in ("train", "test", "features")
    )


def _lines(found: Sequence[Control], what: str) -> tuple[Line, ...]:
    """One quantity of the controls against n: a line for each model and kind of text."""
    points: dict[tuple[str, str], list[tuple[float, Estimate]]] = {}
    for c in found:
        points.setdefault((c.name, c.split), []).append((float(c.n_train), getattr(c, what)))
    return tuple(
        Line(name=name, split=split, points=tuple(line)) for (name, split), line in points.items()
    )


def _retrieval(measured: Load) -> tuple[Line, ...]:
    return tuple(
        Line(name=r.name, points=tuple(zip(experiments.SHARES, r.overlaps, strict=True)))
        for r in measured.rules
    )


def _by_rule(measured: Sequence[Load]) -> tuple[Line, ...]:
    names = dict.fromkeys(rule.name for m in measured for rule in m.rules)
    return tuple(
        Line(
            name=name,
            points=tuple((m.load, r.radius) for m in measured for r in m.rules if r.name == name),
        )
        for name in names
    )


def _floors(measured: Sequence[Load], n: int) -> tuple[Line, ...]:
    """The radius that Gardner's largest possible margin promises; see `charts.radius`."""
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
        Line(name=name, split="median", points=tuple(zip(steps, found.median, strict=True))),
        Line(name=name, split="lowest", points=tuple(zip(steps, found.lowest, strict=True))),
    )


def _density(measured: Load) -> tuple[Line, ...]:
    """The density of margins after the first step, after the last, and at two steps between."""
    steps, found = experiments.STEPS, measured.training.density
    lines = []
    for i in (0, 3, 5, len(steps) - 1):
        bins = zip(experiments.BINS, found[i], strict=True)
        points = tuple((x, Estimate(y)) for x, y in bins)
        lines.append(Line(name=str(steps[i]), split="step", points=points))
    return tuple(lines)


def _numbers(measured: Sequence[Load]) -> Iterable[Numbers]:
    for m in measured:
        for r in m.rules:
            yield Numbers(
                load=m.load,
                rule=r.name,
                radius=r.radius,
                stable=r.stable,
                fixed=r.fixed,
                asymmetry=r.asymmetry,
                lowest_margin=r.lowest_margin,
                floor=r.floor,
            )

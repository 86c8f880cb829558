"""kappa of unseen text against the basin advantage: two ways to see memory, one with training data
and one without."""

from __future__ import annotations

from typing import NamedTuple

from attractor.analysis.advantage import basin_advantage
from attractor.report import words
from attractor.report.axes import log_axis, plane
from attractor.report.beside import named, paint, shared_time
from attractor.report.figures import MUTED, Figure, Key, Panel, finish, polyline, ribbon
from attractor.report.view import Curve, Point, Report, curves, find
from attractor.results.estimate import Estimate

REACH = (-0.15, 1.05)
"""Range of the advantage that is drawn unless a model lies outside; below 0 unseen text returns
better."""


class Judged(NamedTuple):
    """The models of one training-set size, averaged over training seeds."""

    n_train: float
    advantage: float
    kappa: Estimate


def advantage(report: Report) -> Figure | None:
    """A point for each training-set size of this sweep and of those beside it; None where no sweep
    has both numbers."""
    every = named(report) if report.beside else {report.name: report}
    t = shared_time(every)
    found = {} if t is None else {name: judged(sweep, t) for name, sweep in every.items()}
    found = {name: models for name, models in found.items() if models}
    if t is None or not found:
        return None
    drawn = {name: _curve(models) for name, models in found.items()}
    xs = [p.n_train for curve in drawn.values() for p in curve.points]
    reach = (min(REACH[0], *xs), max(REACH[1], *xs))
    x_title = f"basin advantage at t = {words.time(t)}"
    figure = plane(x_title, "kappa of unseen text (log scale)", reach, log=False)
    keys = []
    for i, (name, models) in enumerate(found.items()):
        look = paint(list(every).index(name))
        bars = (_bar(model) for model in models)
        figure.add_traces([ribbon(bar, look, [name]) for bar in bars if bar])
        places = [(model.advantage, model.kappa.value) for model in models]
        figure.add_trace(polyline(places, [_said(name, m) for m in models], look, [name], 8))
        keys.append(Key(tag=name, label=name, style=paint(i)))
    figure.add_hline(y=1, line={"color": MUTED, "width": 1}, layer="below")
    figure.update_yaxes(**log_axis(drawn.values()))
    title = "Calibration against basin advantage"
    label = "; ".join(_plain(name, m) for name, models in found.items() for m in models)
    return Figure(
        id="advantage",
        title=title,
        read="A point is a model, and a line joins those of a sweep by training-set size. To the "
        "right training text returns and unseen text does not; above the line at 1 the model is "
        "too sure of unseen text. Sweeps on one curve say that calibration, which needs no "
        "training data, stands for the advantage there.",
        assumed="The advantage is (training minus unseen recovery) over 1 minus unseen recovery, "
        "means over training seeds, without an interval here. No law ties the two: a model may "
        "hold its training text and still know what it does not know of other text.",
        keys=tuple(keys),
        panels=(Panel(id="advantage-plot", label=f"{title}. {label}.", spec=finish(figure)),),
    )


def judged(sweep: Report, t: float) -> list[Judged]:
    """Advantage at t and kappa of unseen text at each size that has both, smallest first."""
    rows = [r for r in sweep.measured if (r.measurement, r.split) == ("kappa", "test")]
    kappa = next(iter(curves(rows)), None)
    train, test = (find(sweep.recovery, split, t) for split in ("train", "test"))
    found = []
    for n in sweep.sizes:
        a, b, k = (None if curve is None else curve.at(n) for curve in (train, test, kappa))
        if a is not None and b is not None and k is not None:
            found.append(Judged(n, basin_advantage(a.value, b.value), k))
    return found


def _curve(models: list[Judged]) -> Curve:
    """The models with their advantage in the place of n."""
    points = (Point(n_train=m.advantage, mean=m.kappa, seeds=()) for m in models)
    return Curve(split="test", t=None, points=tuple(points))


def _bar(model: Judged) -> list[tuple[float, float, float]]:
    ends = model.kappa.interval
    return [] if ends is None else [(model.advantage, *ends)]


def _said(name: str, model: Judged) -> str:
    kappa = words.with_interval(model.kappa, words.approx)
    return (
        f"<b>{name}</b><br>n = {words.count(model.n_train)}<br>advantage "
        f"{words.decimal(model.advantage)}<br>kappa {kappa}"
    )


def _plain(name: str, model: Judged) -> str:
    return (
        f"{name}, n = {words.count(model.n_train)}: kappa {words.approx(model.kappa.value)} at "
        f"advantage {words.decimal(model.advantage)}"
    )

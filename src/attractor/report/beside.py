"""Several sweeps in one figure: does the transition hold for another noise, or for another
model?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attractor.report import words
from attractor.report.axes import canvas, share_axis
from attractor.report.figures import (
    INK,
    PALETTE,
    SYMBOLS,
    Figure,
    Key,
    Panel,
    Style,
    band,
    finish,
    line,
    style,
)
from attractor.report.tables import Table
from attractor.report.view import Curve, Report, Star, find

ALIKE = {
    "corpus": "corpus",
    "tokenizer": "tokenizer",
    "seq_len": "length",
    "parameters": "size of the model",
    "train_steps": "training steps",
    "process": "noise",
    "probe_rows": "training rows probed",
    "test_rows": "unseen rows probed",
    "grid_steps": "reverse steps",
}
"""What sweeps that are compared should share, except for what the comparison is about; the page
names what they do not."""


def beside(report: Report) -> Figure | None:
    """Recovery at the smallest shared t, and entropy of training text, of this sweep and of those
    beside it."""
    if not report.beside:
        return None
    every = named(report)
    panels = []
    t = shared_time(every)
    if t is not None:
        what = f"corrupted tokens that return, t = {words.time(t)}"
        curves = {name: _both(sweep, t) for name, sweep in every.items()}
        panels.append(_panel(every, curves, "recovery", what, words.percent, share=True))
    what = "conditional entropy, nats per token"
    curves = {name: _both(sweep, None) for name, sweep in every.items()}
    panels.append(_panel(every, curves, "entropy", what, words.nats))
    keys = [Key(tag=name, label=name, style=paint(i)) for i, name in enumerate(every)]
    kinds = [
        Key(tag=kind, label=words.NAMES[kind], style=style(kind)._replace(colour=INK))
        for kind in ("train", "test")
    ]
    return Figure(
        id="beside",
        title="Beside other sweeps",
        read="A colour is a sweep. Each turns from memorization to generalization where its solid "
        "and dashed line meet; the table says where.",
        assumed="Bands: 95% intervals, each sweep by itself. The sweeps differ in "
        f"{_differences(every)}.",
        keys=(*keys, *kinds),
        panels=tuple(panels),
    )


def locations(report: Report) -> Table | None:
    """n* of each of the sweeps, by what it is seen in."""
    if not report.beside:
        return None
    rows = [(name, *cells) for name, sweep in named(report).items() for cells in _stars(sweep)]
    head = ("sweep", "seen in", "n*", "why not")
    return Table(
        "beside-stars", "n* of each sweep", "95% intervals, each sweep by itself.", head, rows
    )


def named(report: Report) -> dict[str, Report]:
    """The sweeps by name: their noise where that tells them apart, else their folders, else both
    place and folder."""
    every = (report, *report.beside)
    for names in (
        [str(sweep.provenance.get("process")) for sweep in every],
        [sweep.name for sweep in every],
    ):
        if len(set(names)) == len(every):
            return dict(zip(names, every, strict=True))
    return {f"{i + 1}: {sweep.name}": sweep for i, sweep in enumerate(every)}


def shared_time(every: dict[str, Report]) -> float | None:
    """The smallest t at which all sweeps measured recovery."""
    return min(set.intersection(*(set(sweep.times) for sweep in every.values())), default=None)


def _both(sweep: Report, t: float | None) -> list[Curve]:
    """Recovery of training and unseen text at t, or, without a t, their entropy."""
    curves = sweep.entropy if t is None else sweep.recovery
    return [found for split in ("train", "test") if (found := find(curves, split, t)) is not None]


def _panel(
    every: dict[str, Report],
    curves: dict[str, list[Curve]],
    name: str,
    what: str,
    form: Callable[[float], str],
    share: bool = False,
) -> Panel:
    figure = canvas([n for sweep in every.values() for n in sweep.sizes], what)
    lines, said = [], []
    for i, (label, both) in enumerate(curves.items()):
        for curve in both:
            look = paint(i, curve.split)
            shade = band(curve, look, [label, curve.split])
            figure.add_traces([shade] if shade is not None else [])
            lines.append(line(curve, look, [label, curve.split], form, f"{label}: {name}"))
            first, last = curve.points[0].mean.value, curve.points[-1].mean.value
            said.append(f"{label}, {words.NAMES[curve.split]}: {form(first)} to {form(last)}")
    figure.add_traces(lines)  # above all bands
    figure.update_yaxes(**(share_axis() if share else {"rangemode": "tozero"}))
    return Panel(id=f"beside-{name}-plot", label=f"{what}. {'; '.join(said)}.", spec=finish(figure))


def paint(i: int, split: str = "train") -> Style:
    """The look of one kind of text in the i-th sweep, whose colour and marker are its own."""
    symbol = SYMBOLS[i % len(SYMBOLS)]
    return style(split)._replace(
        colour=PALETTE[i % len(PALETTE)], symbol=symbol if split == "train" else f"{symbol}-open"
    )


def _differences(every: dict[str, Report]) -> str:
    # By repr, since what is recorded may be a list.
    known = [
        (label, {repr(sweep.provenance.get(key)) for sweep in every.values()})
        for key, label in ALIKE.items()
    ]
    differing = [label for label, values in known if len(values) > 1]
    return words.joined(differing or ["nothing that they record"])


def _stars(sweep: Report) -> Iterator[tuple[str, str, str]]:
    """What a transition is seen in, n*, and why it or its interval is missing."""

    def cells(star: Star) -> tuple[str, str]:
        where = "none" if star.n_star is None else words.with_interval(star.n_star, words.approx)
        return where, star.reason or ""

    for star in sweep.stars:
        yield (f"recovery at t = {words.time(star.t or 0.0)}", *cells(star))
    if sweep.entropy_star is not None:
        yield ("conditional entropy", *cells(sweep.entropy_star))
    if sweep.calibration_star is not None:
        yield ("calibration", *cells(sweep.calibration_star))

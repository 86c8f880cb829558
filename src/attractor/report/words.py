"""The sentences and numbers of the report, computed from the view."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log10

from attractor.analysis.advantage import HALF, basin_advantage
from attractor.analysis.training_runs import FEW_SEEDS
from attractor.report.view import Curve, Report, Star, curves, find
from attractor.results.estimate import Estimate
from attractor.results.units import PROBABILITY, SHARE, Unit

UNSURE = "without an interval"
NAMES = {"train": "training", "test": "unseen", "generated": "generated", "random": "random tokens"}


def name(split: str) -> str:
    """Name a kind of text; what is no kind of text has its own name."""
    return NAMES.get(split, split)


def count(n: float) -> str:
    """Write a whole number with thousands separators."""
    return f"{n:,.0f}"


def place(x: float) -> str:
    """Write where a point lies: a count, or up to three significant digits."""
    return count(x) if x == int(x) and x >= 1 else f"{x:.3g}"


def approx(x: float) -> str:
    """Write a positive number with three significant digits, and a size of ten or more without
    decimals."""
    if x <= 0:
        return f"{x:.3g}"
    digits = 2 - floor(log10(x))  # after the point; before it where negative
    digits = min(digits, 0) if x >= 10 else digits
    return f"{round(x, digits):,.{max(digits, 0)}f}"


def approx_signed(x: float) -> str:
    """The same of a number of either sign."""
    return f"-{approx(-x)}" if x < 0 else approx(x)


def percent(x: float) -> str:
    """Write a share in per cent, one decimal."""
    return f"{100 * x:.1f}%"


def nats(x: float) -> str:
    """Write an entropy; three decimals where it is small."""
    return f"{x:.3f}" if abs(x) < 0.1 else f"{x:.2f}"


def form(unit: Unit) -> Callable[[float], str]:
    """How numbers of a unit are written: shares in per cent, everything else as a number."""
    return percent if unit in (SHARE, PROBABILITY) else nats


def decimal(x: float) -> str:
    """Write a number with two decimals."""
    return f"{x:.2f}"


def with_interval(e: Estimate, form: Callable[[float], str]) -> str:
    """Write an estimate and, where there is one, its interval."""
    if e.interval is None:
        return form(e.value)
    low, high = map(form, e.interval)
    return f"{form(e.value)} ({low} to {high})"


def with_brackets(e: Estimate, form: Callable[[float], str]) -> str:
    """Write an estimate as a table of a paper does, "0.98 [0.95, 0.99]"."""
    if e.interval is None:
        return form(e.value)
    low, high = map(form, e.interval)
    return f"{form(e.value)} [{low}, {high}]"


def time(t: float) -> str:
    """Write a corruption time."""
    return f"{t:g}"


def joined(items: list[str]) -> str:
    """Join with commas and a final "and"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _extraction_sentence(report: Report, star: Star) -> str:
    """The main sentence where models have no noise, and so no basins."""
    if star.n_star is None:
        return f"No transition{of_one(report)} was located in this sweep: {_reason(star)}."
    where = "the memorization advantage in prefix extraction"
    return _star_sentence(report, star, star.n_star, where)


def _star_sentence(report: Report, star: Star, n_star: Estimate, what: str = "") -> str:
    what = what or f"the basin advantage at t = {time(star.t or 0.0)}"
    known = [UNSURE]
    if n_star.interval is not None:
        known = ["95% interval over sequences {} to {}".format(*map(approx, n_star.interval))]
    if star.seed_ci is not None:
        ends = " to ".join(map(approx, star.seed_ci))
        known.append(f"over training runs {ends}")
    if star.sizes is not None:
        known.append("between the sizes {} and {}".format(*map(count, star.sizes)))
    return (
        f"{_whose(report)} stop memorizing at n* = {approx(n_star.value)} training sequences "
        f"({', '.join(known)}; there {what} is 1/2)."
    )


def _whose(report: Report) -> str:
    """Whom a headline is about: with one run nothing is known of other training runs."""
    if report.runs == 1:
        return "In this training run, models"
    return f"Over {runs_of(report)}, models"


def of_one(report: Report) -> str:
    """What other places add where nothing is known of other training runs."""
    return " of this training run" if report.runs == 1 else ""


def placed(n_star: Estimate) -> str:
    """Write a transition with its interval, or say that it has none."""
    return with_interval(n_star, approx) + (f" ({UNSURE})" if n_star.interval is None else "")


def headline(report: Report) -> tuple[str, str]:
    """Return the main sentence, of the primary place, and what is to be said of other times."""
    if not report.times and report.extraction is not None:
        return _extraction_sentence(report, report.extraction), ""
    star = report.primary
    if star is None or not report.located:
        said = " ".join(_missing(each) for each in report.stars)
        return f"No transition{of_one(report)} was located in this sweep.", said
    rest = [f"n* = {placed(n)} at t = {time(t)}" for t, n in report.located if t != star.t]
    others = [f"At other times: {joined(rest)}."] if rest else []
    others += [_missing(each) for each in report.stars if each.n_star is None and each != star]
    if star.n_star is None:
        least = f"At t = {time(star.t or 0.0)}, {LEAST}, no transition{of_one(report)} was located"
        return f"{least}: {_reason(star)}.", " ".join(others)
    return _star_sentence(report, star, star.n_star), " ".join(others)


LEAST = "the least corruption measured"
"""Why a headline is of this time and of no other."""


def _missing(star: Star) -> str:
    return f"At t = {time(star.t or 0.0)} there is no n*: {_reason(star)}."


def _reason(star: Star) -> str:
    return (star.reason or "no reason is recorded").rstrip(".")


def _ends(report: Report, n: int, t: float) -> str | None:
    """Say how much the model of one n returns; None where that was not measured."""
    train, test = (find(report.recovery, split, t) for split in ("train", "test"))
    a, b = (None if curve is None else curve.at(n) for curve in (train, test))
    if a is None or b is None:
        return None
    advantage = basin_advantage(a.value, b.value)
    noun = "sequence" if n == 1 else "sequences"
    return (
        f"with {count(n)} training {noun} {percent(a.value)} of the corrupted training tokens "
        f"return and {percent(b.value)} of the unseen ones: a basin advantage of "
        f"{decimal(advantage)}{', so it memorizes' if advantage > HALF else ''}."
    )


SCALE = "(1: training text always returns; 0: no more often than unseen text)"
"""How to read it."""


def summary(report: Report) -> str:
    """Say what the smallest and the largest model do."""
    if not report.times:
        return _prefix_summary(report)
    t = report.times[0]
    ends = dict.fromkeys((report.sizes[0], report.sizes[-1]))
    said = [sentence for n in ends if (sentence := _ends(report, n, t))]
    if said:
        # A reader meets both terms here first, and need not look them up.
        first = said[0].replace("basin advantage", f"basin advantage {SCALE}")
        corrupted = f"where about {approx(100 * t)}% of the tokens are corrupted"
        least = f" ({LEAST})" if len(report.times) > 1 else ""
        said = [
            f"At t = {time(t)}{least}, {corrupted}, {first}",
            *(s.capitalize() for s in said[1:]),
        ]
    return " ".join(filter(None, [*said, _own_text(report)]))


def _own_text(report: Report) -> str:
    """Say how much of what the two ends write is copied; nothing where that was not measured."""
    rows = [row for row in report.measured if row.measurement == "share_memorized"]
    curve = find(curves(rows), "generated")
    ends = {n: curve.at(n) for n in (report.sizes[0], report.sizes[-1])} if curve else {}
    if len(ends) < 2 or None in ends.values():
        return ""
    shares = joined([f"{percent(e.value)} with {count(n)}" for n, e in ends.items() if e])
    return f"Of what a model writes by itself {shares} sequences are copies of training text."


def _prefix_summary(report: Report) -> str:
    rows = [row for row in report.measured if row.measurement == "prefix_tokens"]
    train, test = (find(curves(rows), split) for split in ("train", "test"))
    said = []
    for n in dict.fromkeys((report.sizes[0], report.sizes[-1])):
        a, b = (None if curve is None else curve.at(n) for curve in (train, test))
        if a is not None and b is not None:
            said.append(
                f"With {count(n)} training sequences {percent(a.value)} of the second half of "
                f"training rows come back from the first and {percent(b.value)} of unseen ones."
            )
    return " ".join(said)


MOST_PASSES = 12
"""Sizes whose passes over the training text are listed; of more, the two ends."""


def passes(report: Report) -> str:
    """Say how often each model saw its training text, where all were trained for as many steps;
    else nothing."""
    steps, batch = (report.provenance.get(key) for key in ("train_steps", "batch_size"))
    if not isinstance(steps, int) or not isinstance(batch, int):
        return ""
    sizes = report.sizes
    if len(sizes) > MOST_PASSES:
        sizes = (sizes[0], sizes[-1])
    often = [f"{approx(steps * batch / n)} at n = {count(n)}" for n in sizes]
    return (
        f"Every model was trained for {count(steps)} steps of {count(batch)} sequences. Passes "
        f"over its training text (epochs): {joined(often)}."
    )


def unbroken(sentence: str) -> str:
    """Keep "n* = 1,830" on one line."""
    return sentence.replace(" = ", "\u00a0=\u00a0")


def seeds_note(report: Report, drawn: tuple[Curve, ...]) -> str:
    """Say what lines, dots and bands are, and what the bands leave out."""
    banded = any(p.mean.interval for curve in drawn for p in curve.points)
    k = report.fewest
    if report.runs == 1:
        band = "Bands: 95% intervals over sequences." if banded else "No interval is recorded here."
        return f"{band} One training seed, so the spread between training runs is not shown."
    lines = f"Lines: means over {runs_of(report)}. Small dots: single runs."
    if not banded:
        return f"{lines} No interval is recorded here."
    few = f"; {k} of a kind tell little of it, so the bands are wide" if k < FEW_SEEDS else ""
    return f"{lines} Bands: 95% intervals over sequences and over the spread between runs{few}."


def runs_of(report: Report) -> str:
    """What means over runs are taken over."""
    seeds, orders = len(report.seeds), len(report.data_seeds)
    each = [f"{seeds} training seeds"] * (seeds > 1) + [f"{orders} orders of the data"] * (
        orders > 1
    )
    counts = {len(point.seeds) for curve in report.recovery for point in curve.points}
    where = " at some sizes" * (len(counts) > 1)
    return f"{' and '.join(each)}{where}" if each else "one training run"


def printable(text: str) -> str:
    """Show control characters, which HTML does not allow, as U+FFFD."""
    return "".join(c if c.isprintable() or c in "\n\t\u00a0" else "\ufffd" for c in text)


def visible(token: str) -> str:
    """Write a token so that an empty one and a line break can be seen."""
    return printable(token.replace("\n", "↵").replace("\r", "↵").replace("\t", "⇥")) or "∅"

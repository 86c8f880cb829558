"""What `attractor report` writes beside the page: figures and tables for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attractor.analysis.advantage import basin_advantage
from attractor.machine.files import write_atomically
from attractor.report import words
from attractor.report.charts import all_figures
from attractor.report.page import every_table, stars
from attractor.report.paper import FIGURES, chosen, write_paper
from attractor.report.passages import latex_passages
from attractor.report.sweep_files import read_report
from attractor.report.tables import Table, write_tables
from attractor.report.vector import DPI, STYLE, write_figures
from attractor.report.view import Report, find
from attractor.types import AttractorError

SIZES_SHOWN = 6
"""Lines of the table of sizes."""


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Which files are wanted."""

    figures: Literal["pdf", "svg", "eps", "png"] | None = None
    """their format; None for no figures"""
    tables: Literal["csv", "tex"] | None = None
    """their format; None for no tables"""
    set: Literal["page", "paper"] = "page"
    """each figure of the page, or those that a paper about a transition shows"""
    only: tuple[str, ...] = ()
    """names of the figures that are wanted; all of them unless given"""
    out: Path | None = None
    """where the files go; unless given, folders `figures` and `tables` beside the page"""
    style: Path | None = None
    """a matplotlib style file; None for the package's own"""
    dpi: int = DPI
    """dots per inch of png"""

    def __post_init__(self) -> None:
        if self.dpi < 1:
            raise AttractorError(f"dpi = {self.dpi}: at least 1")
        if self.only and self.figures is None:
            raise AttractorError(f"only = {self.only[0]!r} names figures: add --figures pdf")
        if self.set == "paper":  # which of the page there are, only the sweep knows
            chosen(FIGURES, self.only)


def write_extras(
    folders: Sequence[Path], extras: Extras, beside: Sequence[Path] = ()
) -> list[Path]:
    """Write the figures and tables of a sweep.

    Args:
        folders: of its pages, one for each of its models.
        extras: which.
        beside: folders of sweeps to compare with.

    Returns:
        the files written.

    Raises:
        AttractorError: for a figure that is not there, or a style file.
    """
    reports = [read_report(folder, beside) for folder in folders]
    paths = []
    for folder, report in zip(folders, reports, strict=True):
        # Several models in one folder would overwrite each other.
        out = extras.out if extras.out is None or len(folders) == 1 else extras.out / folder.name
        if extras.figures and extras.set == "page":
            paths += _page_figures(report, out or folder / "figures", extras)
        if extras.tables:
            paths += _write_tables(report, out or folder / "tables", extras.tables)
    if extras.figures and extras.set == "paper":
        # The figures of a paper show all models, so they lie beside the folders of the models.
        above = folders[0] if len(folders) == 1 else folders[0].parent
        out, look = extras.out or above / "figures", extras.style or STYLE
        paths += write_paper(reports, out, extras.figures, look, extras.only, extras.dpi)
    return paths


def _page_figures(report: Report, out: Path, extras: Extras) -> list[Path]:
    drawn = {figure.id: figure for figure in all_figures(report)}
    wanted = [drawn[name] for name in chosen(drawn, extras.only)]
    kind = extras.figures or ""
    return write_figures(wanted, out, kind, extras.style or STYLE, extras.dpi)


def _write_tables(report: Report, out: Path, kind: str) -> list[Path]:
    made = [sizes_table(report), places_table(report), *every_table(report)]
    if kind == "csv":  # thousands of lines, which nobody sets in print
        return write_tables([*made, numbers_table(report)], out, kind)
    paths = write_tables(made, out, kind)
    if report.passages:
        paths.append(out / "passages.tex")
        write_atomically(paths[-1], latex_passages(report.passages))
    return paths


def sizes_table(report: Report) -> Table:
    """What the models of at most six sizes do, at the first time of the sweep."""
    t = (*report.times, None)[0]
    found = [
        find(report.recovery, "train", t),
        find(report.recovery, "test", t),
        find(report.entropy, "train"),
        find(report.entropy, "test"),
        find(report.perplexity, "test"),
    ]
    forms = (words.decimal, words.decimal, words.nats, words.nats, words.approx)
    rows = []
    for n in _some(report.sizes):
        at = [None if curve is None else curve.at(n) for curve in found]
        cells = [
            "" if e is None else words.with_brackets(e, form)
            for e, form in zip(at, forms, strict=True)
        ]
        train, test = at[:2]
        advantage = (
            ""
            if train is None or test is None
            else words.decimal(basin_advantage(train.value, test.value))
        )
        rows.append((words.count(n), *cells[:2], advantage, *cells[2:]))
    head = (
        "n",
        "recovery, training",
        "recovery, unseen",
        "advantage",
        "entropy, training",
        "entropy, unseen",
        "perplexity, unseen",
    )
    when = "" if t is None else f"t = {words.time(t)}; "
    read = f"{when}entropies in nats per token; 95% intervals over sequences."
    return Table("sizes", "What each model does", read, head, rows)


def _some(sizes: Sequence[int]) -> list[int]:
    """At most six of them, evenly, both ends among them."""
    if len(sizes) <= SIZES_SHOWN:
        return list(sizes)
    last = SIZES_SHOWN - 1
    return [sizes[round(i * (len(sizes) - 1) / last)] for i in range(SIZES_SHOWN)]


def places_table(report: Report) -> Table:
    """Where it turns, as the page says it; why a place is not there is said beside the table."""
    head = ("seen in", "n*", "95% over sequences", "between sizes", "95% over runs", "decades")
    every = stars(report)
    rows = [(what, n, *([""] * 4 if n == "none" else rest)) for what, n, *rest in every]
    missing = [f"{what}: {rest[0]}" for what, n, *rest in every if n == "none"]
    read = f"Not located: {'; '.join(missing)}." if missing else "All were located."
    return Table("places", "Where the transition is", read, head, rows)


def numbers_table(report: Report) -> Table:
    """Every number of the sweep."""
    head = (
        "n",
        "seed",
        "of",
        "t",
        "at",
        "measurement",
        "value",
        "low",
        "high",
        "sequences",
        "data seed",
    )
    rows = [
        (
            f"{r.n_train:g}",
            str(r.seed),
            r.split,
            "" if r.t is None else f"{r.t:g}",
            "" if r.at is None else f"{r.at:g}",
            r.measurement,
            *("" if x is None else f"{x:.6g}" for x in r.estimate[:3]),
            str(r.estimate.n),
            str(r.data_seed),
        )
        for r in report.measured
    ]
    return Table("measurements", "Every number", "95% intervals over sequences.", head, rows)

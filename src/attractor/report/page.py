"""One self-contained HTML page: it opens from disk, loads nothing and needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attractor.machine.files import write_atomically
from attractor.machine.paths import nearest_name
from attractor.machine.units import duration
from attractor.measurements import ALL
from attractor.report import words
from attractor.report.beside import locations
from attractor.report.charts import all_figures
from attractor.report.onset import onset_tables
from attractor.report.sweep_files import read_report
from attractor.report.tables import Table, tables, write_tables
from attractor.report.template import fill
from attractor.report.vector import STYLE, write_figures
from attractor.report.view import Curve, Report, Star, find
from attractor.results.outcomes import OUTCOME_NAMES
from attractor.types import AttractorError

FILE = "report.html"
PROVENANCE = {
    "corpus": "Corpus",
    "train_documents": "Training documents",
    "test_documents": "Test documents",
    "duplicates": "Duplicates dropped",
    "near_duplicates": "Near-duplicates dropped",
    "lost": "Training text the tokenizer does not know",
    "test_lost": "Unseen text the tokenizer does not know",
    "tokenizer": "Tokenizer",
    "process": "Noise",
    "vocab_size": "Vocabulary size V",
    "seq_len": "Sequence length L",
    "model": "Model",
    "parameters": "Parameters",
    "train_steps": "Training steps",
    "probe_rows": "Training sequences probed, at most",
    "test_rows": "Unseen sequences probed",
    "repeats": "Repeats",
    "grid_steps": "Reverse grid steps",
    "judge": "Judge of generative perplexity",
    "measured": "Measured",
    "measured_with": "Measured with",
    "seeds": "Training seeds",
    "data_seeds": "Orders of the training rows",
    "denormals": "Numbers below 1.2e-38 are",
    "grouped_by": "Rows belong to a",
    "version": "attractor version",
    "config_hash": "Config hash",
}


@dataclass(frozen=True, kw_only=True)
class ResultLine:
    """One line of the table of results, as it is written."""

    n_train: str
    span: int
    """lines of its training-set size where it is the first of them, else 0"""
    split: str
    t: str
    cells: tuple[str, ...]


def _cell(curves: tuple[Curve, ...], split: str, t: float | None, n: int, form: Any) -> str:
    curve = find(curves, split, t)
    value = None if curve is None else curve.at(n)
    return "" if value is None else words.with_interval(value, form)


def table(report: Report) -> list[ResultLine]:
    """Return the numbers behind the figures, averaged over seeds."""
    rows = []
    for n in report.sizes:
        block = [
            (split, t)
            for t in report.times
            for split in ("train", "test")
            if find(report.recovery, split, t)
        ]
        # What does not depend on t is repeated, so that a line can be read by itself.
        for i, (split, t) in enumerate(block):
            cells = (
                _cell(report.recovery, split, t, n, words.percent),
                _cell(report.broken, split, t, n, words.percent),
                _cell(report.entropy, split, None, n, words.nats),
                _cell(report.perplexity, split, None, n, words.approx),
            )
            rows.append(
                ResultLine(
                    n_train=words.count(n),
                    span=0 if i else len(block),
                    split=words.NAMES[split],
                    t=words.time(t),
                    cells=cells,
                )
            )
    return rows


def stars(report: Report) -> list[tuple[str, ...]]:
    """Return (what, n*, interval over sequences, sizes, interval over seeds, width) for each
    located or missing transition."""
    found = [(f"recovery at t = {words.time(star.t or 0.0)}", star) for star in report.stars]
    # A place outside recovery that nobody looked for has neither an n* nor a reason.
    found += [at for at in _other_places(report) if at[1].n_star or at[1].reason]
    return [(what, *_star_cells(star)) for what, star in found]


def _star_cells(star: Star) -> tuple[str, ...]:
    if star.n_star is None:
        return "none", star.reason or "no reason is recorded", "", "", ""
    interval = star.reason or "not recorded"
    if star.n_star.interval is not None:
        interval = " to ".join(map(words.approx, star.n_star.interval))
    sizes = "" if star.sizes is None else " to ".join(map(words.count, star.sizes))
    seeds = "" if star.seed_ci is None else " to ".join(map(words.approx, star.seed_ci))
    width = "" if star.width is None else words.approx(star.width)
    return words.approx(star.n_star.value), interval, sizes, seeds, width


def _other_places(report: Report) -> list[tuple[str, Star]]:
    """Where something changes outside recovery, by what it is seen in."""
    named = {
        "conditional entropy": report.entropy_star,
        "entropy, change of slope": report.entropy_bend,
        "calibration": report.calibration_star,
        "generation: half are copies": report.copying,
        "entropy of own text": report.own_entropy,
        "generative perplexity, peak": report.peak,
        "validation perplexity, peak": report.validation_peak,
    }
    return [(name, star) for name, star in named.items() if star is not None]


def warnings(report: Report) -> list[str]:
    """Warnings about the intervals of the transitions as sentences, each of them once."""
    every = (*report.stars, *(star for _, star in _other_places(report)))
    found = [star.warning for star in every if star.warning]
    return [f"{warning[0].upper()}{warning[1:]}." for warning in dict.fromkeys(found)]


def provenance(report: Report) -> list[tuple[str, str]]:
    """Return the labelled facts about the run that the file holds."""

    facts = [
        (label, _fact(report.provenance[key]))
        for key, label in PROVENANCE.items()
        if report.provenance.get(key) is not None
    ]
    if report.elapsed_s:
        facts.append(("Time for the sweep", duration(report.elapsed_s)))
    return facts


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return words.percent(value)  # the only ones are shares
    # A bool is an int in Python, and no count.
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return words.count(value) if is_count else str(value)


def render(report: Report) -> str:
    """Return the page as text."""
    head, others = words.headline(report)
    return fill(
        "report.html.j2",
        report=report,
        headline=head,
        standfirst=[paragraph for paragraph in (others, words.summary(report)) if paragraph],
        figures=all_figures(report),
        stars=stars(report),
        warnings=warnings(report),
        rows=table(report),
        tables=_tables(report),
        absent=absent(report),
        facts=provenance(report),
        names=words.NAMES,
        outcomes=OUTCOME_NAMES,
    )


def write_extras(
    sweep_dir: Path,
    figures: str | None,
    table: str | None,
    style: Path | None,
    beside: Sequence[Path] = (),
) -> list[Path]:
    """Write the figures and tables of a report as files for a paper.

    Args:
        sweep_dir: the folder of the sweep; figures go into `figures` in it, tables into `tables`.
        figures: pdf, svg, eps or png; None for no figures.
        table: csv or tex; None for no tables.
        style: a matplotlib style file; None for the package's own.
        beside: folders of sweeps to compare with.

    Returns:
        the files written.
    """
    sweep_dir = Path(sweep_dir)
    report = read_report(sweep_dir, beside)
    paths = []
    if figures:
        drawn = all_figures(report)
        paths += write_figures(drawn, sweep_dir / "figures", figures, style or STYLE)
    if table:
        written = [*_tables(report), _numbers(report)]
        paths += write_tables(written, sweep_dir / "tables", table)
    return paths


def absent(report: Report) -> list[tuple[str, str]]:
    """The title of each section for which the sweep holds no data, and what would measure it."""
    drawn = {figure.id for figure in all_figures(report)}
    return [
        (section.title, m.command or m.trained or f"attractor measure SWEEP --measure {m.name}")
        for m in ALL
        for section in m.sections
        if section.id not in drawn
    ]


def _tables(report: Report) -> list[Table]:
    compared = locations(report)
    return [*([compared] if compared else []), *onset_tables(report), *tables(report)]


def _numbers(report: Report) -> Table:
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


def write_report(sweep_dir: Path, beside: Sequence[Path] = ()) -> Path:
    """Read `transition.json` and `passages.json` of a sweep and write `report.html` beside them.

    Args:
        sweep_dir: the folder.
        beside: folders of sweeps to compare with.

    Raises:
        AttractorError: if a folder holds no finished sweep, or damaged files.
    """
    sweep_dir = Path(sweep_dir)
    if not sweep_dir.is_dir():
        raise AttractorError(
            f"{sweep_dir}: no such directory; give the directory of a sweep"
            f"{nearest_name(sweep_dir)}"
        )
    page = render(read_report(sweep_dir, beside))
    path = sweep_dir / FILE
    write_atomically(path, page)
    return path

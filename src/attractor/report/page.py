"""One self-contained HTML page: it opens from disk, loads nothing and needs no network."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attractor.machine.files import write_atomically
from attractor.machine.paths import nearest_name
from attractor.machine.units import duration
from attractor.measurements import ALL
from attractor.report import words
from attractor.report.answers import answer
from attractor.report.beside import locations
from attractor.report.charts import folds, hero
from attractor.report.onset import onset_tables
from attractor.report.sweep_files import read_report
from attractor.report.tables import Table, tables
from attractor.report.template import fill
from attractor.report.view import Curve, Passage, Report, Star, find
from attractor.results.outcomes import OUTCOME_NAMES
from attractor.types import AttractorError

FILE, EXPLORER, STILL = "report.html", "explorer.html", "explorer.svg"
BESIDE = 100
"""Characters of passages that stand beside the first figure; longer ones stand below it."""
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
            for t in report.times or (None,)
            for split in ("train", "test")
            if t is None or find(report.recovery, split, t)
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
                    t="" if t is None else words.time(t),
                    cells=cells,
                )
            )
    return rows


def stars(report: Report) -> list[tuple[str, ...]]:
    """Return (what, n*, interval over sequences, sizes, interval over seeds, width) for each
    located or missing transition."""
    return [(what, *_star_cells(star)) for what, star in _places(report)]


def _places(report: Report) -> list[tuple[str, Star]]:
    found = [(f"recovery at t = {words.time(star.t or 0.0)}", star) for star in report.stars]
    # A place outside recovery that nobody looked for has neither an n* nor a reason.
    return found + [at for at in _other_places(report) if at[1].n_star or at[1].reason]


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
        "prefix extraction": report.extraction,
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
    """Warnings about the intervals of the transitions as sentences, each of them once, with the
    places it is about where it is not about all."""
    located = [(what, star) for what, star in _places(report) if star.n_star is not None]
    about: dict[str, list[str]] = {}
    for what, star in located:
        for warning in star.warning.split("; ") if star.warning else ():
            about.setdefault(warning, []).append(what)
    said = []
    for warning, places in about.items():
        where = "" if len(places) == len(located) else f" ({'; '.join(places)})"
        said.append(f"{warning[0].upper()}{warning[1:]}{where}.")
    return said


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


def render(report: Report, explorer: str | None = None, still: bytes | None = None) -> str:
    """Return the page as text.

    Args:
        report: what it shows.
        explorer: where a page to explore the sweep is, as seen from this one; None without one.
        still: a picture of that page, as SVG, which this one then carries; None without one.
    """
    head, others = words.headline(report)
    located = report.primary is not None and report.primary.n_star is not None
    first, found = hero(report), folds(report)
    drawn = {figure.id for figures in found.values() for figure in figures}
    return fill(
        "report.html.j2",
        report=report,
        headline=head,
        # Beside a located place the table is enough to tell of the others.
        standfirst=[words.summary(report), *([others] if others and not located else [])],
        hero=first,
        folds=[(fold, answer(report, fold), figures) for fold, figures in found.items() if figures],
        beside_hero=fits_beside(report.passages),
        stars=stars(report),
        warnings=warnings(report),
        rows=table(report),
        tables=every_table(report),
        absent=absent(drawn),
        facts=provenance(report),
        names=words.NAMES,
        outcomes=OUTCOME_NAMES,
        explorer=explorer,
        still=base64.b64encode(still).decode() if still else None,
    )


def fits_beside(passages: Sequence[Passage]) -> bool:
    """Whether passages are so short that they stand beside a figure."""
    return all(sum(passage.widths) <= BESIDE for passage in passages)


def absent(drawn: Collection[str]) -> list[tuple[str, str]]:
    """The title of each section that is not among the drawn figures, and what would measure it."""
    return [
        (section.title, m.command or m.trained or f"attractor measure SWEEP --measure {m.name}")
        for m in ALL
        for section in m.sections
        if section.id not in drawn
    ]


def every_table(report: Report) -> list[Table]:
    """The tables of the page but that of the numbers behind the figures."""
    compared = locations(report)
    return [*([compared] if compared else []), *onset_tables(report), *tables(report)]


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
    explorer = EXPLORER if (sweep_dir / EXPLORER).is_file() else None
    picture = sweep_dir / STILL
    still = picture.read_bytes() if explorer and picture.is_file() else None
    page = render(read_report(sweep_dir, beside), explorer, still)
    path = sweep_dir / FILE
    write_atomically(path, page)
    return path

"""The tables of the report, and how they are written as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from attractor.analysis.multiple import holm, p_above
from attractor.analysis.statistics import LEVEL
from attractor.machine.files import write_atomically
from attractor.measurements import entropy_gap, quantity
from attractor.measurements.membership import BLIND
from attractor.report import words
from attractor.report.view import Measured, Report, over_seeds
from attractor.results.estimate import Estimate

TOKENS_SHOWN = 40
"""Micro-attractors in the table."""
DISTANCES = {quantity.name: quantity.title for quantity in entropy_gap.DISTANCES}


class Table(NamedTuple):
    """A table of finished text, and how to read it."""

    id: str
    title: str
    read: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(report: Report) -> list[Table]:
    """The tables for which the sweep holds data, in the order of the page."""
    makers = (agreement, models, distances, micro, membership, alike, detector, controls)
    made = [make(report) for make in makers]
    return [table for table in made if table is not None and table.rows]


def membership(report: Report) -> Table | None:
    """AUROC and true positives of each score at the smallest, a middle and the largest n."""
    sizes = (report.sizes[0], report.sizes[len(report.sizes) // 2], report.sizes[-1])
    rates_at = {r.at for r in report.measured if r.measurement == "tpr"}
    levels = sorted(at for at in rates_at if at is not None)
    found = {
        n: _over_seeds(report, n, "auroc", "auroc_gain", "auroc_shuffled", "tpr")
        for n in dict.fromkeys(sizes)
    }
    better, tests = _better(found, report.fewest)
    rows: list[tuple[str, ...]] = []
    said = []
    for n, there in found.items():
        scores = [score for measurement, score, _ in there if measurement == "auroc"]
        above = [score for score in scores if (n, score) in better]
        if BLIND in scores:
            said.append(f"at n = {words.count(n)} {words.joined(above) if above else 'none'}")
        for score in scores:
            cells = _score_cells(there, score, levels, (n, score) in better)
            rows.append((words.count(n), *cells))
    read = (
        "A score is better if its AUROC lies above 0.5 and its difference from the bag of words, "
        f"on the same rows, above 0, surely enough for the {tests} comparisons of this table "
        "(Holm, 5% in all). Intervals are of 95% each. With labels shuffled: the "
        "mean and 95% of 200 permutations. TPR is the share of training rows above every unseen "
        "row, or above all but the share of them that the column names; a level has a column if "
        "the unseen rows can resolve it: 1% needs 100 of them, 0.1% needs 1,000."
    )
    if said:
        which = "; ".join(said)
        read = f"Better than a bag of words that never saw the model: {which}. {read}"
    rates = (f"TPR at {100 * at:g}% FPR" if at else "TPR, no false positive" for at in levels)
    head = ("n", "score", "AUROC", "minus bag of words", "against blind", "labels shuffled", *rates)
    return Table("scores", "Membership scores, side by side", read, head, rows)


Scores = dict[tuple[str, str, float | None], Estimate]
"""Of one n, by (measurement, kind of text or score, place)."""


def _better(found: dict[int, Scores], seeds: int) -> tuple[set[tuple[int, str]], int]:
    """Which scores are surely better than a coin and than the bag of words, of all n together, and
    how many were compared."""
    p_values = {}
    for n, there in found.items():
        for measurement, score, _ in there:
            area, gain = (there.get((name, score, None)) for name in ("auroc", "auroc_gain"))
            if measurement == "auroc" and area and gain and area.interval and gain.interval:
                # Better than both: as sure as the less sure of the two.
                p_values[n, score] = max(p_above(area, 0.5, seeds), p_above(gain, 0.0, seeds))
    return {key for key, p in holm(p_values).items() if p < 1 - LEVEL}, len(p_values)


def _score_cells(found: Scores, score: str, levels: list[float], better: bool) -> tuple[str, ...]:
    """One score at one n, all but the n."""

    def cell(measurement: str) -> str:
        e = found.get((measurement, score, None))
        return "" if e is None else words.with_interval(e, words.decimal)

    gain = cell("auroc_gain")
    verdict = "better" if better else "no better than blind"
    if score == BLIND or not gain:
        verdict = ""  # there is nothing to compare, or nothing to compare with
    rates = (words.with_interval(found["tpr", score, at], words.percent) for at in levels)
    return (score, cell("auroc"), gain, verdict, cell("auroc_shuffled"), *rates)


def _over_seeds(report: Report, n: float, *measurements: str) -> Scores:
    """Means over the training seeds at one n."""
    found: dict[tuple[str, str, float | None], list[Measured]] = {}
    for r in report.measured:
        if r.n_train == n and r.measurement in measurements:
            found.setdefault((r.measurement, r.split, r.at), []).append(r)
    return {
        key: over_seeds([r.estimate for r in rows], key[0], [(r.data_seed, r.seed) for r in rows])
        for key, rows in found.items()
    }


def detector(report: Report) -> Table | None:
    """How well entropy alone tells memorizing models from generalizing ones."""
    found = report.detector
    if not found.has("models"):
        return None
    rows = [
        ("models", f"{found.integer('models')}, {found.integer('memorizing')} of them memorizing")
    ]
    group = found.text("held_out") if found.has("held_out") else "size"
    right = f"right, by a threshold that never saw their {group}"
    for key, label in (("auroc", "AUROC"), ("accuracy", right)):
        if found.has(key):
            e = found.estimate(key, f"{key}_ci")
            rows.append((label, words.with_interval(e, words.decimal)))
    if found.has("reason"):
        rows.append(("not given", found.text("reason")))
    return Table(
        "detector",
        "Entropy as a detector of memorizing models",
        "A model counts as memorizing if its basin advantage at the smallest time is above 1/2; "
        "the score is the entropy of its own generations, which needs no training data. "
        "Few models give wide intervals, and these take the models as independent, although they "
        "share training text.",
        ("", "value"),
        rows,
    )


def models(report: Report) -> Table | None:
    """n* of each model of a sweep of several."""
    rows = []
    for model in sorted(report.models, key=lambda model: model.parameters):
        size = words.count(model.parameters)
        for star in model.stars:
            n_star = star.n_star
            where = "none" if n_star is None else words.with_interval(n_star, words.approx)
            rows.append((model.name, size, words.time(star.t or 0.0), where, star.reason or ""))
    return Table(
        "model-sizes",
        "n* of each model",
        "Where the basin advantage falls to 1/2, model by model.",
        ("model", "parameters", "t", "n*", "why not"),
        rows,
    )


def distances(report: Report) -> Table | None:
    """Every distance between the entropies of generations and of real text."""
    rows = []
    by_chance = [name + entropy_gap.CHANCE for name in DISTANCES]
    for n in report.sizes:
        found = _over_seeds(report, n, *DISTANCES, *by_chance)
        for (measurement, split, at), e in found.items():
            if measurement in DISTANCES:
                title = DISTANCES[measurement]
                value = words.with_interval(e, words.nats)
                chance = words.nats(found[measurement + entropy_gap.CHANCE, split, at].value)
                rows.append((words.count(n), words.name(split), title, value, chance))
    return Table(
        "gaps",
        "Distances between the entropy of generations and of real text",
        "Below the last column, which 95% of random splits stay under, a distance is what chance "
        "gives; of the effect sizes, which have a sign, the size without it counts. Only they have "
        "an interval: the first three are never negative.",
        ("n", "compared with", "distance", "value", "by chance"),
        rows,
    )


def agreement(report: Report) -> Table | None:
    """How far apart the transitions seen in recovery, generation, entropy and perplexity are."""
    rows, margins, tested = [], set(), False
    for pair in report.agreement:
        decades = words.with_interval(pair.estimate("decades", "ci"), words.decimal)
        # Earlier versions did not test it.
        verdict = pair.text("verdict") if pair.has("verdict") else "not tested"
        tested |= pair.has("pairs")
        why = f": {pair.text('reason')}" if pair.has("reason") else ""
        margins |= {pair.number("margin")} if pair.has("margin") else set()
        rows.append((pair.text("first"), pair.text("second"), decades, verdict + why))
    among = f", surely enough for {len(rows)} pairs (Holm, 5% in all)" if tested else ""
    named = "".join(f", {margin:g} as named before the sweep" for margin in sorted(margins))
    return Table(
        "agreement",
        "Do the locations of the transition agree?",
        "log10 of the second place over the first: 0 is the same n, 1 ten times as much; 95% "
        "intervals over sequences and, where there are several, training runs, of each pair by "
        f"itself. Two places agree if their ratio is surely within the margin{named}, and are "
        f"apart if it is surely not 1 and they lie between different sizes{among}.",
        ("first", "second", "decades between", ""),
        rows,
    )


def alike(report: Report) -> Table | None:
    """How alike the rows of one group are, and whether that makes an interval one over groups."""
    rows = []
    sizes, first = {report.sizes[0], report.sizes[-1]}, (*report.times, None)[0]
    for r in report.measured:
        single = r.seed == report.seeds[0] and r.data_seed == report.data_seeds[0]
        if r.design is None or r.n_train not in sizes or r.t not in (None, first) or not single:
            continue
        if r.at is not None:
            continue  # one of many points of a curve
        numbers = (r.design.icc, r.design.effect)
        rows.append(
            (
                words.count(r.n_train),
                words.name(r.split),
                quantity(r.measurement).title,
                words.count(r.design.groups),
                *("" if x is None else words.decimal(x) for x in numbers),
                "groups" if r.design.by_group else "sequences",
            )
        )
    kind = report.provenance.get("grouped_by") or "document"
    return Table(
        "alike",
        f"How alike rows of one {kind} are",
        "The intraclass correlation is the share of the spread that lies between groups, here each "
        f"a {kind}; the design effect is by how much that makes the variance of a mean larger. "
        "Above 1.5 the interval is one over groups, unless it was said what is resampled. Of the "
        "first run at the smallest and at the largest n; empty where all rows have the same value.",
        ("n", "text", "quantity", "groups", "correlation", "design effect", "interval over"),
        rows,
    )


def micro(report: Report) -> Table | None:
    """Tokens of unseen text that the largest model is certain of."""
    rows = []
    # Word classes are there if the summary was made with a tagger.
    tagged = any(m.has("word_class") for m in report.micro)
    for m in report.micro[:TOKENS_SHOWN]:
        ends = m.interval("ci") or (None, None)
        share = Estimate(m.number("vanishing") / m.number("occurrences"), *ends)
        rows.append(
            (
                words.visible(m.text("token")),
                words.count(m.number("rank")),
                words.count(m.number("occurrences")),
                words.with_interval(share, words.percent),
                words.percent(m.number("position")),
                *([m.text("word_class") if m.has("word_class") else ""] if tagged else []),
            )
        )
    return Table(
        "micro",
        "Micro-attractors",
        "Tokens of unseen text whose entropy stays below 0.01 nats in the model trained on "
        f"{words.count(report.sizes[-1])} sequences: certain although the text was never seen.",
        (
            "token",
            "frequency rank",
            "occurrences",
            "certain",
            "median place in the row",
            *["word class"] * tagged,
        ),
        rows,
    )


def controls(report: Report) -> Table | None:
    """What the probes say of models whose behaviour is known."""
    wanted = (
        ("recovery_rate", "train", words.percent),
        ("recovery_rate", "test", words.percent),
        ("conditional_entropy", "train", words.nats),
        ("conditional_entropy", "test", words.nats),
        ("kappa", "test", words.approx),
        ("auroc", "NELBO", words.decimal),
        ("auroc_shuffled", "NELBO", words.decimal),
    )
    rows = []
    for name in dict.fromkeys(control for control, _ in report.controls):
        here = [r for control, r in report.controls if control == name]
        found = {(r.measurement, r.split): r.estimate for r in here}
        asked = ((found.get((measurement, split)), form) for measurement, split, form in wanted)
        cells = ("" if e is None else words.with_interval(e, form) for e, form in asked)
        rows.append((name, *cells))
    return Table(
        "controls",
        "Controls",
        "An untrained network recovers nothing; the exact memorizer of the smallest training set "
        "returns it, and of unseen text, of which it is far too sure, what both happen to share; "
        "the exact generalizer treats both alike and has kappa 1. Shuffled labels must give an "
        "AUROC near 0.5.",
        (
            "model",
            "recovery, training",
            "recovery, unseen",
            "entropy, training",
            "entropy, unseen",
            "kappa, unseen",
            "AUROC of NELBO",
            "labels shuffled",
        ),
        rows,
    )


def write_tables(tables: list[Table], folder: Path, kind: str) -> list[Path]:
    """Write each table as `<id>.csv` or `<id>.tex`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in tables:
        path = folder / f"{table.id}.{kind}"
        write_atomically(path, comma_separated(table) if kind == "csv" else latex(table))
        paths.append(path)
    return paths


def comma_separated(table: Table) -> str:
    """The head and the rows, as a spreadsheet reads them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([table.head, *table.rows])
    return text.getvalue()


def latex(table: Table) -> str:
    """A LaTeX tabular in the style of booktabs, with how to read it as a comment."""
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (table.head, *table.rows)]
    # LaTeX takes a bracket or an asterisk for an option of the line break that ends the line above.
    lines = [f"{{}}{line}" if line[0] in "[*" else line for line in lines]
    body = "\n".join([lines[0], r"\midrule", *lines[1:]])
    opening = (
        f"% {table.title}: {table.read}\n\\begin{{tabular}}{{{'l' * len(table.head)}}}\n\\toprule\n"
    )
    return opening + body + "\n\\bottomrule\n\\end{tabular}\n"


ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    }
)


def escaped(text: str) -> str:
    """Text as TeX writes it."""
    return text.translate(ESCAPES)

"""The page of `attractor audit`: one verdict, its evidence, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from attractor.analysis.advantage import HALF
from attractor.analysis.multiple import holm, p_above
from attractor.analysis.statistics import LEVEL
from attractor.audits.charts import reference_figure
from attractor.audits.evidence import Membership, least_store
from attractor.audits.reference import CURVES, TENTH, Reference
from attractor.audits.verdict import GENERALIZING, MEMORIZING, TRANSITION, Finding, Verdict
from attractor.measurements.membership import BLIND
from attractor.report import words
from attractor.report.tables import Table
from attractor.report.template import fill
from attractor.report.words import with_interval
from attractor.results.estimate import Estimate

TITLES = {
    "repeats": "generations that repeat another one",
    **CURVES,
    "advantage": "basin advantage of training text",
    "copies": "generations that copy training text",
    "structure": "entropy that context takes away",
}
MEANS = {
    "repeats": "Near means an edit distance of at most a quarter of the length. A model that "
    "repeats itself draws from a small store; one that does not may still have a large one.",
    "entropy": "How unsure the model is of a token of its own text given all the others; a stored "
    "text has none.",
    "vanishing": "Tokens of its own text below 0.01 nats.",
    "agreement": "Each generation is corrupted twice with different noise and restored twice: do "
    "both runs end alike on tokens that both corrupted? Inside a basin they do.",
    "advantage": "Of what fails on unseen text, the share that training text recovers more: 1 for "
    "a store, 0 where both are treated alike, 1/2 at the transition.",
    "copies": "Within an edit distance of a quarter of the length of a training sequence.",
}
HEADLINES = {
    MEMORIZING: "This model memorizes.",
    TRANSITION: "This model is in transition between memorizing and generalizing.",
    GENERALIZING: "This model generalizes.",
}


class Extraction(NamedTuple):
    """Sequences that come back without one wrong token."""

    t: float
    train: Estimate
    test: Estimate


class VerbatimPassage(NamedTuple):
    """A training passage that came back verbatim."""

    row: int
    kept: int
    """how many of its tokens the model was shown"""
    length: int
    tokens: tuple[tuple[str, bool], ...]
    """each token and whether the model was shown it"""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All that an audit found."""

    model: str
    place: str
    """which of several models of this name it is"""
    alone: Verdict
    with_data: Verdict | None
    numbers: dict[str, Estimate]
    """see `evidence.alone`"""
    against: dict[str, Estimate]
    """see `evidence.against_data`; empty without data"""
    store: Estimate | None
    """see `evidence.store`"""
    generations: int
    reference: Reference
    misfit: list[str]
    """why the reference curves do not carry to the model; empty if they do"""
    rates: tuple[tuple[float, Estimate, Estimate, Estimate], ...]
    """t, recovery of training and of unseen text, basin advantage"""
    membership: dict[str, Membership]
    extraction: tuple[Extraction, ...]
    passages: tuple[VerbatimPassage, ...]
    samples: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the audit: that with data where there are any."""
        return self.with_data or self.alone

    def plain(self) -> dict[str, Any]:
        """What audit.json holds."""
        return {
            "schema": 1,
            "model": self.model,
            "place": self.place,
            "verdict": self.verdict.word,
            "exit_code": self.verdict.exit_code,
            "without_data": _plain_verdict(self.alone),
            "with_data": None if self.with_data is None else _plain_verdict(self.with_data),
            "numbers": {name: _plain(e) for name, e in {**self.numbers, **self.against}.items()},
            "store": None if self.store is None else _plain(self.store),
            "generations": self.generations,
            "reference": {"name": self.reference.name, "misfit": self.misfit},
            "recovery": [
                {"t": t, "train": _plain(train), "test": _plain(test), "advantage": _plain(more)}
                for t, train, test, more in self.rates
            ],
            "membership": {name: _plain(score.auroc) for name, score in self.membership.items()},
            "extraction": [
                {"t": e.t, "train": _plain(e.train), "test": _plain(e.test)}
                for e in self.extraction
            ],
            "passages": [_plain_passage(p) for p in self.passages],
            "facts": dict(self.facts),
        }


def _plain(e: Estimate) -> dict[str, Any]:
    return {"value": e.value, "ci": [e.low, e.high], "sequences": e.n}


def _plain_passage(p: VerbatimPassage) -> dict[str, Any]:
    text = "".join(piece for piece, _ in p.tokens)
    return {"row": p.row, "kept": p.kept, "length": p.length, "text": text}


def _plain_verdict(verdict: Verdict) -> dict[str, Any]:
    findings = {finding.name: list(finding.states) for finding in verdict.findings}
    return {
        "verdict": verdict.word,
        "allows": list(verdict.states),
        "objection": verdict.objection or None,
        "readings": findings,
    }


def headline(verdict: Verdict) -> str:
    """The verdict in a sentence."""
    if verdict.word in HEADLINES:
        return HEADLINES[verdict.word]
    if verdict.objection:
        return f"Undecided: {verdict.objection}."
    if not verdict.states:
        return "Undecided: the evidence contradicts itself."
    return f"Undecided: the evidence allows {' or '.join(verdict.states)}."


def standfirst(found: Audit) -> list[str]:
    """What the verdict rests on, in sentences."""
    said, e = [], found.numbers
    if found.with_data is not None:
        # The time at which the verdict was read, see `largest_advantage`.
        t, train, test, _ = max(found.rates, key=lambda rate: rate[3].value)
        said.append(
            f"Corrupted at t = {words.time(t)}, {with_interval(train, words.percent)} of the "
            f"changed tokens of its training text return and {with_interval(test, words.percent)} "
            "of those of unseen text."
        )
        most = found.extraction[0]
        said.append(
            f"With {most.t:.0%} of the tokens replaced, {with_interval(most.train, words.percent)} "
            f"of the training passages and {with_interval(most.test, words.percent)} of the unseen "
            "ones come back verbatim."
        )
    said.append(
        f"In text of its own it is certain of {with_interval(e['vanishing'], words.percent)} of "
        f"the tokens, with {with_interval(e['entropy'], words.nats)} nats per token; two "
        "restorations from different noise agree on "
        f"{with_interval(e['agreement'], words.percent)}."
    )
    said.append(store_sentence(found))
    if found.with_data is not None and found.with_data.word != found.alone.word:
        said.append(f"Without the data the verdict would have been: {headline(found.alone)}")
    return said


def store_sentence(found: Audit) -> str:
    """Say how large a store of texts would explain the repeats."""
    n = found.generations
    if found.store is None:
        return (
            f"None of its {words.count(n)} generations repeats another: if it draws from a store, "
            f"that holds more than {words.approx(least_store(n))} texts (95%)."
        )
    return (
        f"{with_interval(found.numbers['repeats'], words.percent)} of its {words.count(n)} "
        f"generations repeat another one, as draws from {with_interval(found.store, words.approx)} "
        "equally likely texts would."
    )


def reach(found: Audit) -> str:
    """Say whose the reference curves are, and whether they carry to this model."""
    r = found.reference
    whose = (
        f"The curves are audits of {len(r.points)} models of one sweep: {r.name}, {r.process} "
        f"noise, V = {words.count(r.vocab_size)}, L = {r.seq_len}, {words.count(r.parameters)} "
        "parameters."
    )
    if found.misfit:
        return (
            f"{whose} They do not carry to this model: {'; '.join(found.misfit)}. They are shown "
            "and not used; `attractor reference` makes curves of a sweep of one's own."
        )
    return (
        f"{whose} They are used for this model because noise, vocabulary and length are near "
        "theirs. Entropy depends on the language too: a text that is more predictable than theirs "
        "looks more memorized than it is."
    )


def evidence_table(found: Audit) -> Table:
    """Every number that was read, where its edges lie, and what it allows."""
    rows = []
    for finding in _all_findings(found):
        name = finding.name
        form = words.nats if name in ("entropy", "advantage") else words.percent
        value = with_interval(finding.estimate, form)
        rows.append((TITLES[name], value, *_edges(found, name, form), _allowed(finding)))
    return Table(
        "evidence",
        "The evidence",
        "Each number is read by itself; the verdict is what all of them allow. An interval that "
        "lies across an edge allows both sides.",
        ("number", "value and 95% interval", "memorizing", "generalizing", "allows"),
        rows,
    )


def _edges(found: Audit, name: str, form: Any) -> tuple[str, str]:
    """Where a number says memorizing, and where generalizing; empty where it is not placed on a
    curve."""
    if name == "advantage":
        return f"above {HALF:g}", f"below {TENTH:g}"
    if name not in CURVES or found.misfit:
        return "", ""
    first, second = found.reference.edges(name)
    more, less = ("above", "below") if found.reference.rises(name) else ("below", "above")
    return f"{less} {form(first)}", f"{more} {form(second)}"


def _allowed(finding: Finding) -> str:
    return "anything" if len(finding.states) == 3 else " or ".join(finding.states) or "nothing"


def data_tables(found: Audit) -> list[Table]:
    """Basins, extraction and membership; none without data."""
    if found.with_data is None:
        return []
    return [_basins(found), _extraction(found), _membership(found)]


def _basins(found: Audit) -> Table:
    rows = [
        (
            words.time(t),
            with_interval(train, words.percent),
            with_interval(test, words.percent),
            with_interval(more, words.nats),
        )
        for t, train, test, more in found.rates
    ]
    return Table(
        "basins",
        "Basins",
        "The share of changed tokens that return. Where training and unseen text are treated alike "
        "the basin advantage is 0.",
        ("t", "training text", "unseen text", "basin advantage"),
        rows,
    )


def _extraction(found: Audit) -> Table:
    rows = [
        (
            f"{1 - e.t:.0%}",
            with_interval(e.train, words.percent),
            with_interval(e.test, words.percent),
        )
        for e in found.extraction
    ]
    return Table(
        "extraction",
        "Extraction",
        "Passages that come back without one wrong token, from what was left of them; unseen text "
        "is the control.",
        ("tokens left", "training passages", "unseen passages"),
        rows,
    )


def _membership(found: Audit) -> Table:
    p_values = {
        name: max(p_above(score.auroc, 0.5), p_above(score.gain, 0.0))
        for name, score in found.membership.items()
        if name != BLIND
    }
    better = {name for name, p in holm(p_values).items() if p < 1 - LEVEL}
    rows = [
        (name, with_interval(score.auroc, words.nats), _verdict_of_score(name, score, better))
        for name, score in found.membership.items()
    ]
    return Table(
        "membership",
        "Membership",
        "AUROC: how well a score tells training from unseen text; 0.5 is a coin. The bag of words "
        "never saw the model: if it does well, the two texts differ by themselves, and so may "
        "everything else on this page that compares them. What is not marked is surely better than "
        f"a coin and than the bag of words, with {len(p_values)} scores compared (Holm).",
        ("score", "AUROC", ""),
        rows,
    )


def _verdict_of_score(name: str, score: Membership, better: set[str]) -> str:
    if name == BLIND:
        # Its gain over itself says nothing, and a little above a coin are any two sets of text.
        return "the two texts differ by themselves" if score.auroc.ends()[0] > 0.6 else ""
    return "" if name in better else "no better than blind"


def card(found: Audit) -> str:
    """A paragraph for a model card, in Markdown."""
    verdict = headline(found.verdict)
    how = "without its training data"
    if found.with_data:
        how = "with its training text and unseen text"
    said = [
        f"**Memorization audit.** {verdict} Audited {how} by `attractor audit` (arXiv:2604.26841)."
    ]
    said += standfirst(found)
    if found.with_data is None and not found.misfit:
        said.append(f"Judged by reference curves of another sweep: {found.reference.name}.")
    return " ".join(said) + " Brackets: 95% intervals over sequences.\n"


def render(found: Audit) -> str:
    """Return the page as text."""
    return fill(
        "audit.html.j2",
        found=found,
        headline=headline(found.verdict),
        standfirst=standfirst(found),
        evidence=evidence_table(found),
        means=[(TITLES[r.name], MEANS[r.name]) for r in _all_findings(found)],
        tables=data_tables(found),
        figure_=reference_figure(found.reference, found.numbers),
        reach=reach(found),
        card=card(found),
        outcomes={},
    )


def _all_findings(found: Audit) -> list[Finding]:
    """The findings of both verdicts, one for each number."""
    with_data = found.with_data.findings if found.with_data else ()
    return list({finding.name: finding for finding in (*with_data, *found.alone.findings)}.values())

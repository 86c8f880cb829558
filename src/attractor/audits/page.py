"""The page of `attractor audit`: one verdict, its evidence, and how far it reaches."""

from __future__ import annotations

import math

from attractor.analysis.advantage import HALF
from attractor.analysis.multiple import holm, p_above
from attractor.analysis.statistics import LEVEL
from attractor.audits.attack import IN_AUDIT
from attractor.audits.brought import came_back, tried_of
from attractor.audits.charts import reference_figure
from attractor.audits.evidence import Membership
from attractor.audits.extraction_page import GIVEN, beside, least, needed, tried_table
from attractor.audits.found import Audit
from attractor.audits.thresholds import (
    CALM,
    CHANCE,
    CLOSED,
    FAMILIAR,
    FEWEST,
    SOME,
    STORE,
    STRANGE,
    SURE,
    SURE_OF_RECOMBINED,
    TENTH,
)
from attractor.audits.verdict import (
    GENERALIZING,
    IN_BULK,
    MEMORIZING,
    TRANSITION,
    Finding,
    Verdict,
)
from attractor.measurements.membership import BLIND
from attractor.report import words
from attractor.report.tables import Table
from attractor.report.template import fill
from attractor.report.words import with_interval
from attractor.results.estimate import Estimate

TITLES = {
    "advantage": "basin advantage of training text",
    "excess_copies": "generations that copy training text, beyond unseen rows that do",
    "excess_repeats": "generations that repeat another one, beyond unseen rows that do",
    "fresh_kappa": "kappa of fresh text",
    "recombined_kappa": "kappa of own text, recombined",
    "strangeness": "kappa of recombined over kappa of own text",
    "recombination": "recombination advantage",
    "texts": "effective number of texts",
}
MEANS = {
    "advantage": "Of what fails on unseen text, the share that training text recovers more: 1 for "
    "a store, 0 where both are treated alike, 1/2 at the transition. Where there are fewer than "
    f"{FEWEST} different training rows, all of them fall many times, and falls are counted.",
    "excess_copies": "Within an edit distance of a quarter of the length of a training sequence; "
    "unseen rows are near one by chance.",
    "excess_repeats": "Within that distance of another generation; as many unseen rows are near "
    "each other by chance.",
    "fresh_kappa": "How surprised the model is by text that it has not seen, over how surprised it "
    "expects to be: 1 for a model that knows the law of the text, large for a store. Of several "
    "texts the best calibrated counts, since text of another kind surprises any model.",
    "recombined_kappa": "Own generations are settled (a little noise, restored, again and again), "
    "then cut in half and joined with another. Away from the joint a language stays a language; a "
    "store has never seen such text and is wrong about it as surely as it is right about its own.",
    "strangeness": "Above 1 where the model takes recombined text for worse than its own.",
    "recombination": "Of what fails on recombined text, the share that settled text restores "
    "more: 1 for a store, 0 for a language.",
    "texts": "All pairs of settled texts over the pairs that are the same text: as many equally "
    "likely texts would repeat themselves as often. Pairs are compared with those in text drawn by "
    "an n-gram model of the different ones.",
}
EDGES = {
    "advantage": (f"above {HALF:g}", f"below {TENTH:g}"),
    "excess_copies": (f"not generalizing above {SOME:.0%}", ""),
    "excess_repeats": (f"not generalizing above {SOME:.0%}", ""),
    "fresh_kappa": (f"above {SURE:g}", f"below {CALM:g}"),
    "recombined_kappa": (
        f"above {SURE_OF_RECOMBINED:g}, and strange",
        f"below {CALM:g}, and familiar",
    ),
    "strangeness": (f"strange above {STRANGE:g}", f"familiar below {FAMILIAR:g}"),
    "recombination": (f"above {STORE:g}", f"not above {CLOSED:g}"),
    "texts": (f"not generalizing where chance is below {CHANCE:g}", ""),
}
"""Where a number says memorizing, and where generalizing."""
SHARES = ("excess_copies", "excess_repeats")
HEADLINES = {
    MEMORIZING: "This model memorizes.",
    TRANSITION: "This model is in transition between memorizing and generalizing.",
    GENERALIZING: "This model generalizes.",
}
BULK = "This model generalizes in bulk."
ONLY_WITH_DATA = "Single memorized passages can be found with training data only."


def headline(found: Audit) -> str:
    """The verdict in a sentence."""
    return _headline(found.verdict, found.with_data is not None)


def _headline(verdict: Verdict, with_data: bool) -> str:
    if verdict.word == IN_BULK:
        return f"This model generalizes in bulk, training rows identifiable: {verdict.objection}."
    if verdict.word == GENERALIZING and not with_data:
        return BULK
    if verdict.word in HEADLINES:
        return HEADLINES[verdict.word]
    if verdict.objection:
        return f"Undecided: {verdict.objection}."
    if not verdict.states:
        return "Undecided: the evidence contradicts itself."
    return f"Undecided: the evidence allows {' or '.join(verdict.states)}."


def standfirst(found: Audit) -> list[str]:
    """What the verdict rests on, in sentences."""
    said = []
    if found.with_data is not None:
        said += _with_data(found)
    for name, e in found.fresh.items():
        said.append(
            f"Of {name} it is surprised {with_interval(e, words.approx)} times as much as it "
            f"expects{_reading(e)}."
        )
    said += _of_own_text(found)
    said.append(texts_sentence(found))
    if found.with_data is None:
        if found.verdict.word == GENERALIZING:
            said.append(ONLY_WITH_DATA)
    elif found.with_data.word != found.alone.word:
        alone = _headline(found.alone, with_data=False)
        said.append(f"Without the data the verdict would have been: {alone}")
    return said


def _with_data(found: Audit) -> list[str]:
    # The time at which the verdict was read, see `largest_advantage`.
    t, train, test, _ = max(found.rates, key=lambda rate: rate[3].value)
    said = [
        f"Corrupted at t = {words.time(t)}, {with_interval(train, words.percent)} of the "
        f"changed tokens of its training text return and {with_interval(test, words.percent)} "
        "of those of unseen text.",
        " ".join(
            [
                came_back(found.brought_back, tried_of(found.targeted)),
                *least(found.brought_back),
                beside(found.targeted),
            ]
        ),
    ]
    if found.membership and not _better(found):
        said.append(
            "No score tells training from unseen rows better than the bag of words, which never "
            "saw the model."
        )
    if found.rows is None:
        return said
    for name, tail in found.rows.tails.items():
        said.append(
            f"Of {words.count(found.rows.looked)} different training rows "
            f"{words.count(len(tail.rows))} lie beyond the 99.9% quantile of unseen rows in "
            f"{name}; {tail.expected:.1f} were expected."
        )
    return said


def _reading(e: Estimate) -> str:
    low, high = e.ends()
    if high < CALM:
        return ", as a model that knows such text"
    if low > SURE:
        return ", as a store, if it was trained on such text"
    return "; between the two, the kind of text is in doubt"


def _of_own_text(found: Audit) -> list[str]:
    e = found.numbers
    if "recombined_kappa" not in e:
        return ["All of its text settles into one."]
    kappa = with_interval(e["recombined_kappa"], words.approx)
    said = f"Own text, settled and recombined, surprises it {kappa} times as much as it expects"
    own = with_interval(e["own_kappa"], words.approx)
    said += f", the same text before it was recombined {own} times"
    if "recombination" in e:
        said += f"; its recombination advantage is {with_interval(e['recombination'], words.nats)}"
    return [said + "."]


def texts_sentence(found: Audit) -> str:
    """Say from about how many texts the model writes."""
    counted = found.patterns.found
    chains, low = words.count(counted.texts.n), words.approx(counted.texts.ends()[0])
    if not counted.pairs:
        return (
            f"No two of {chains} settled texts are the same: it writes from at least {low} (95%)."
        )
    high = counted.texts.ends()[1]
    about = f"{words.approx(counted.texts.value)} texts ({low} to "
    about += f"{words.approx(high) if math.isfinite(high) else 'any number'})"
    if found.patterns.p < CHANCE:
        return f"Of {chains} settled texts so many are the same that it writes from about {about}."
    pairs = "1 pair" if counted.pairs == 1 else f"{words.count(counted.pairs)} pairs"
    return (
        f"{pairs} of {chains} settled texts {'is' if counted.pairs == 1 else 'are'} the same, as "
        f"by chance in text of so little variety: it writes from about {about}."
    )


def reach(found: Audit) -> str:
    """Say whose the reference curves are, and whether they carry to this model."""
    r = found.reference
    assert r is not None, "only what was given is spoken of"
    whose = (
        f"The curves are audits of {len(r.points)} models of one sweep: {r.name}, {r.process} "
        f"noise, V = {words.count(r.vocab_size)}, L = {r.seq_len}, {words.count(r.parameters)} "
        "parameters. No verdict is read from them."
    )
    if found.misfit:
        return f"{whose} They do not carry to this model: {'; '.join(found.misfit)}."
    return (
        f"{whose} Entropy depends on the text: they say something of models of the same text only."
    )


def evidence_table(found: Audit) -> Table:
    """Every number that was read, where its edges lie, and what it allows."""
    rows = []
    for finding in _all_findings(found):
        form = words.percent if finding.name in SHARES else words.approx_signed
        value = "" if not math.isfinite(finding.estimate.value) else form(finding.estimate.value)
        low, high = finding.estimate.ends()
        if math.isfinite(high):
            value += f" ({form(low)} to {form(high)})"
        else:
            value = f"at least {form(low)}"
        count = words.count(finding.estimate.n)
        rows.append((TITLES[finding.name], value, count, *EDGES[finding.name], _allowed(finding)))
    return Table(
        "evidence",
        "The evidence",
        "Each number is read by itself; the verdict is what all of them allow. An interval that "
        "lies across an edge allows both sides. The edges were chosen on small models of "
        "known state; the documentation of the verdict tells how often it was right on others.",
        ("number", "value and 95% interval", "sequences", "memorizing", "generalizing", "allows"),
        rows,
    )


def _allowed(finding: Finding) -> str:
    return "anything" if len(finding.states) == 3 else " or ".join(finding.states) or "nothing"


def data_tables(found: Audit) -> list[Table]:
    """Basins, extraction, membership and every row; none without data."""
    if found.with_data is None:
        return []
    made = [
        _basins(found),
        tried_table(found.targeted, IN_AUDIT.falls),
        _membership(found),
    ]
    return [*made, _strata(found)] if found.rows else made


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


def _membership(found: Audit) -> Table:
    better, scores = _better(found), len(found.membership) - 1
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
        f"a coin and than the bag of words, with {scores} scores compared (Holm).",
        ("score", "AUROC", ""),
        rows,
    )


def _better(found: Audit) -> set[str]:
    """The scores that are surely better than a coin and than the bag of words."""
    p_values = {
        name: max(p_above(score.auroc, 0.5), p_above(score.gain, 0.0))
        for name, score in found.membership.items()
        if name != BLIND
    }
    return {name for name, p in holm(p_values).items() if p < 1 - LEVEL}


def _verdict_of_score(name: str, score: Membership, better: set[str]) -> str:
    if name == BLIND:
        # Its gain over itself says nothing, and a little above a coin are any two sets of text.
        return "the two texts differ by themselves" if score.auroc.ends()[0] > 0.6 else ""
    return "" if name in better else "no better than blind"


def _strata(found: Audit) -> Table:
    assert found.rows is not None, "only what was looked at is shown"
    rows = [
        (
            part.name,
            words.count(part.rows),
            *(with_interval(score.auroc, words.nats) for score in part.membership.values()),
        )
        for part in found.rows.strata
    ]
    names = found.rows.strata[0].membership if found.rows.strata else ()
    near = with_interval(found.rows.near, words.percent)
    return Table(
        "every-row",
        "Every training row",
        f"One pass over {words.count(found.rows.looked)} different training rows, against "
        f"{words.count(found.rows.unseen)} unseen ones, by how often a row stands in the training "
        f"file. {near} of the rows looked at have another row, or a copy, within a quarter of the "
        "length. AUROC: 0.5 is a coin.",
        ("copies", "different rows", *(f"AUROC, {name}" for name in names)),
        rows,
    )


def card(found: Audit) -> str:
    """A paragraph for a model card, in Markdown."""
    how = "without its training data"
    if found.with_data:
        how = "with its training text and unseen text"
    elif found.with_fresh:
        how = "with text that it has not seen, without its training data"
    said = [
        f"**Memorization audit.** {headline(found)} Audited {how} by `attractor audit` "
        "(arXiv:2604.26841)."
    ]
    said += standfirst(found)
    return " ".join(said) + " Brackets: 95% intervals over sequences.\n"


def render(found: Audit) -> str:
    """Return the page as text."""
    figure = reach_ = None
    if found.reference is not None:
        figure, reach_ = reference_figure(found.reference, found.numbers), reach(found)
    return fill(
        "audit.html.j2",
        found=found,
        headline=headline(found),
        standfirst=standfirst(found),
        evidence=evidence_table(found),
        means=[(TITLES[r.name], MEANS[r.name]) for r in _all_findings(found)],
        tables=data_tables(found),
        figure_=figure,
        reach=reach_,
        card=card(found),
        falls=IN_AUDIT.falls,
        probability=IN_AUDIT.probability,
        given=GIVEN,
        needed=needed,
        outcomes={},
    )


def _all_findings(found: Audit) -> list[Finding]:
    """The findings of all verdicts, one for each number."""
    verdicts = [found.with_data, found.with_fresh, found.alone]
    named: dict[str, Finding] = {}
    for verdict in verdicts:
        for finding in verdict.findings if verdict else ():
            named.setdefault(finding.name, finding)
    return list(named.values())

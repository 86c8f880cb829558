"""From numbers to a word: which states each number allows, and which are left by all of them.

A verdict is a function of numbers with intervals and of nothing else. Every edge that it reads is
in `audits.thresholds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from attractor.analysis.advantage import HALF
from attractor.audits.evidence import EveryRow, Membership, Patterns
from attractor.audits.thresholds import (
    CALM,
    CHANCE,
    CLOSED,
    FAMILIAR,
    FEWEST,
    FOUND,
    GAIN,
    LEARNED,
    MANY,
    SOME,
    STORE,
    STRANGE,
    SURE,
    SURE_OF_RECOMBINED,
    TENTH,
)
from attractor.measurements.membership import BLIND
from attractor.results.estimate import Estimate

STATES = MEMORIZING, TRANSITION, GENERALIZING = ("memorizing", "in transition", "generalizing")
IN_BULK = "generalizing in bulk"
UNDECIDED = "undecided"
EXIT = {GENERALIZING: 0, MEMORIZING: 1, TRANSITION: 3, IN_BULK: 3, UNDECIDED: 3}
"""Exit codes by which a script can be stopped; 2 is left for everything that is no verdict."""
NOT_GENERALIZING = (MEMORIZING, TRANSITION)


class Finding(NamedTuple):
    """One number and the states that it allows."""

    name: str
    estimate: Estimate
    states: tuple[str, ...]


class Verdict(NamedTuple):
    """A word, and what stands behind it."""

    word: str
    """memorizing, in transition, generalizing, generalizing in bulk or undecided"""
    states: tuple[str, ...]
    """what the evidence allows; none where it contradicts itself"""
    findings: tuple[Finding, ...]
    objection: str = ""
    """why it is undecided although the findings may agree, or generalizing in bulk only"""

    @property
    def exit_code(self) -> int:
        """The exit code of a command that gives this verdict."""
        return EXIT[self.word]


def verdict_alone(numbers: Mapping[str, Estimate], patterns: Patterns) -> Verdict:
    """Judge by the model's own text, settled and recombined.

    It acquits a model whose own text can be cut and joined without surprise, and convicts one that
    is sure of what it has not written, or that cannot restore it.
    """
    if "recombined_kappa" not in numbers:
        return _together([], "all of its text settles into one, which cannot be recombined")
    return _together(_own_findings(numbers, patterns), _untrained(numbers))


def verdict_with_fresh(
    numbers: Mapping[str, Estimate], patterns: Patterns, fresh: Mapping[str, Estimate]
) -> Verdict:
    """Judge by fresh text, the best calibrated of several, and by the model's own text.

    A model that is far too sure of fresh text is a store, unless its own text, recombined, is as
    good to it as any: then it is sharpened, or the text is of another kind.
    """
    name = min(fresh, key=lambda each: fresh[each].value)
    best = fresh[name]
    low, high = best.ends()
    states = (GENERALIZING,) if high < CALM else (MEMORIZING,) if low > SURE else STATES
    findings = [Finding("fresh_kappa", best, states)]
    if "recombined_kappa" not in numbers:
        return _together(findings, _untrained(numbers))
    own = _own_findings(numbers, patterns)
    calm = _calm(numbers)
    if calm and states == (MEMORIZING,):
        return _together(
            [*findings, *own],
            f"it is surer of {name} than it may be, and as sure as it may be of its own text, "
            "recombined: it is sharpened, or the text is of another kind than it was trained on",
        )
    if states == (GENERALIZING,):
        # Fresh text is the stronger witness: own text that is worse than the model reads says
        # little, but one that repeats itself or cannot be cut is no language.
        own = [f for f in own if f.name not in ("recombined_kappa", "strangeness")]
    return _together([*findings, *own], _untrained(numbers))


def verdict_with_data(
    numbers: Mapping[str, Estimate],
    membership: Mapping[str, Membership],
    rows: EveryRow | None,
    there: int,
) -> Verdict:
    """Judge by training and unseen text.

    Args:
        numbers: see `evidence`.
        membership: each score on the rows that were probed.
        rows: the pass over every training row.
        there: different training rows that there are.
    """
    e = numbers["advantage"]
    low, high = e.ends()
    # The states in which the advantage may be, as far as its interval tells.
    allowed = (high >= HALF, low <= HALF and high >= TENTH, low <= TENTH)
    states = tuple(state for state, is_allowed in zip(STATES, allowed, strict=True) if is_allowed)
    findings = [Finding("advantage", e, states)]
    for name in ("excess_copies", "excess_repeats"):
        if name in numbers:
            many = numbers[name].ends()[0] > SOME
            findings.append(Finding(name, numbers[name], NOT_GENERALIZING if many else STATES))
    # An untrained model treats both texts alike too. One with an advantage has learned something.
    in_doubt = _untrained(numbers) or _too_few_to_acquit(there) if GENERALIZING in states else ""
    found = _together(findings, in_doubt)
    if found.word != GENERALIZING:
        return found
    reasons = [*identifiable(membership, rows), *_not_ruled_out(membership, rows, there)]
    if reasons:
        return found._replace(word=IN_BULK, objection="; ".join(reasons))
    return found


def identifiable(membership: Mapping[str, Membership], rows: EveryRow | None) -> list[str]:
    """What shows that training rows can be told from unseen ones; empty where nothing does."""
    found = [
        f"{name} tells training rows from unseen ones"
        for name, score in membership.items()
        if name != BLIND and _tells(score)
    ]
    if rows is None:
        return found
    for part in rows.strata:
        # A few likely rows stand twice in a file by chance, and are likely to any good model.
        if part.rows < FEWEST and part.copies < MANY:
            continue
        if any(map(_tells, part.membership.values())):
            found.append(f"the {part.rows:,} rows of {part.name} are identifiable")
    # One test for each score.
    for name, tail in rows.tails.items():
        if tail.p * len(rows.tails) < CHANCE:
            found.append(
                f"{len(tail.rows):,} training rows lie beyond the 99.9% quantile of unseen rows in "
                f"{name}, where {tail.expected:.0f} were expected"
            )
    return found


def _tells(score: Membership) -> bool:
    """Whether the lower ends of a score are above what may be."""
    some = score.found is not None and score.found.ends()[0] > FOUND
    return some or score.gain.ends()[0] > GAIN


def _not_ruled_out(
    membership: Mapping[str, Membership], rows: EveryRow | None, there: int
) -> list[str]:
    """What stands in the way of saying that no training row is identifiable."""
    found = []
    open_ = [
        name
        for name, score in membership.items()
        if name != BLIND
        and not _tells(score)
        and (score.found is None or score.found.ends()[1] >= FOUND or score.gain.ends()[1] >= GAIN)
    ]
    if open_:
        found.append(
            f"that rows are identifiable is not ruled out by {', '.join(open_)}: raise --rows"
        )
    looked = rows.looked if rows else 0
    if looked < there:
        found.append(
            f"{looked:,} of {there:,} different training rows were looked at: raise --minutes"
        )
    return found


def _own_findings(numbers: Mapping[str, Estimate], patterns: Patterns) -> list[Finding]:
    kappa, strange = numbers["recombined_kappa"], numbers["strangeness"]
    too_sure = kappa.ends()[0] > SURE_OF_RECOMBINED and strange.ends()[0] > STRANGE
    calm = _calm(numbers)
    states = (MEMORIZING,) if too_sure else (GENERALIZING,) if calm else STATES
    findings = [Finding("recombined_kappa", kappa, states)]
    findings.append(Finding("strangeness", strange, STATES))
    if "recombination" in numbers:
        e = numbers["recombination"]
        low = e.ends()[0]
        kept = (MEMORIZING,) if low > STORE else NOT_GENERALIZING if low > CLOSED else STATES
        findings.append(Finding("recombination", e, kept))
    repeats = patterns.p < CHANCE
    findings.append(Finding("texts", patterns.found.texts, NOT_GENERALIZING if repeats else STATES))
    return findings


def _calm(numbers: Mapping[str, Estimate]) -> bool:
    """Whether recombined text is as good to the model as its own, and judged as well."""
    kappa, strange = numbers["recombined_kappa"], numbers["strangeness"]
    return kappa.ends()[1] < CALM and strange.ends()[1] < FAMILIAR


def _untrained(numbers: Mapping[str, Estimate]) -> str:
    """A model that has learned nothing does not memorize either, and must not pass for a good
    one."""
    if numbers["structure"].ends()[0] >= LEARNED:
        return ""
    return "its text has no structure beyond single tokens: it has learned too little to be judged"


def _too_few_to_acquit(there: int) -> str:
    """A handful of rows that a model knows tells what it does; of those it does not know, nothing
    follows for any others."""
    if there >= FEWEST:
        return ""
    return (
        f"the training file has {there} different rows, fewer than {FEWEST}: that a model does not "
        "know them says little of it: give more of its training text"
    )


def _together(findings: Sequence[Finding], objection: str) -> Verdict:
    """The states that every finding allows. Only a single one is a verdict, and only if enough
    sequences stand behind each number."""
    states = tuple(
        state for state in STATES if all(state in finding.states for finding in findings)
    )
    few = [f for f in findings if f.estimate.n < FEWEST]
    if few:
        objection = (
            f"{few[0].name.replace('_', ' ')} rests on {few[0].estimate.n} sequences, fewer than "
            f"{FEWEST}: raise --n, --rows or --minutes, or give more text"
        )
    word = states[0] if len(states) == 1 and not objection else UNDECIDED
    return Verdict(word, states, tuple(findings), objection)

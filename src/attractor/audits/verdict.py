"""From numbers to a word: which states each number allows, and which are left by all of them."""

from __future__ import annotations

from typing import NamedTuple

from attractor.analysis.advantage import HALF
from attractor.audits.reference import CURVES, TENTH, Reference
from attractor.results.estimate import Estimate

STATES = MEMORIZING, TRANSITION, GENERALIZING = ("memorizing", "in transition", "generalizing")
UNDECIDED = "undecided"
EXIT = {GENERALIZING: 0, MEMORIZING: 1, TRANSITION: 3, UNDECIDED: 3}
"""Exit codes by which a script can be stopped; 2 is left for bad input."""
SOME = 0.05
"""Share of generations that may repeat, or copy, without speaking against generalization."""
CERTAIN = 0.9
"""Share of tokens below 0.01 nats that no language reaches: a model above it replays text, which
needs no reference to be seen."""
LEARNED = 0.1
"""Share of the entropy of single tokens that context must take away before a model counts as
trained."""


class Finding(NamedTuple):
    """One number and the states that it allows."""

    name: str
    estimate: Estimate
    states: tuple[str, ...]


class Verdict(NamedTuple):
    """A word, and what stands behind it."""

    word: str
    """memorizing, in transition, generalizing or undecided"""
    states: tuple[str, ...]
    """what the evidence allows; none where it contradicts itself"""
    findings: tuple[Finding, ...]
    objection: str = ""
    """why it is undecided although the findings may agree"""

    @property
    def exit_code(self) -> int:
        """The exit code of a command that gives this verdict."""
        return EXIT[self.word]


def verdict_alone(numbers: dict[str, Estimate], reference: Reference, misfit: list[str]) -> Verdict:
    """Judge by the model's own generations.

    Where the reference curves do not carry to the model, only what needs none is read: repeats, and
    certainty of nearly all tokens. These can convict a model, but not acquit it.
    """
    findings = [_few("repeats", numbers["repeats"])]
    vanishing = numbers["vanishing"]
    certain = vanishing.ends()[0] > CERTAIN
    if misfit:
        findings.append(Finding("vanishing", vanishing, (MEMORIZING,) if certain else STATES))
    else:
        findings += [_placed(name, numbers[name], reference) for name in CURVES]
    objection = ""
    # A model that has learned nothing does not memorize either, and must not pass for a good one.
    if numbers["structure"].ends()[0] < LEARNED:
        objection = (
            "its text has no structure beyond single tokens: it has learned too little to be judged"
        )
    elif misfit and not certain:
        objection = f"the reference curves do not carry to this model: {'; '.join(misfit)}"
    return _together(findings, objection)


def verdict_with_data(numbers: dict[str, Estimate]) -> Verdict:
    """Judge by training and unseen text, and by whether the model repeats itself; needs no
    reference."""
    low, high = numbers["advantage"].ends()
    # The states in which the advantage may be, as far as its interval tells.
    allowed = (high >= HALF, low <= HALF and high >= TENTH, low <= TENTH)
    findings = [Finding("advantage", numbers["advantage"], _chosen(allowed))]
    findings += [_few(name, numbers[name]) for name in ("copies", "repeats") if name in numbers]
    # An untrained model treats both texts alike too. One with an advantage has learned something.
    untrained = numbers["structure"].ends()[0] < LEARNED and GENERALIZING in findings[0].states
    objection = "its text has no structure beyond single tokens: it has learned too little"
    return _together(findings, objection if untrained else "")


def _few(name: str, e: Estimate) -> Finding:
    """Many repeats or copies exclude generalization; few exclude nothing, since a large store
    rarely repeats."""
    return Finding(name, e, (MEMORIZING, TRANSITION) if e.ends()[0] > SOME else STATES)


def _placed(name: str, e: Estimate, reference: Reference) -> Finding:
    """Allow the states whose spans of the reference curve the interval meets."""
    spans, (low, high) = reference.spans(name), e.ends()
    return Finding(name, e, _chosen(tuple(low <= span.high and high >= span.low for span in spans)))


def _chosen(allowed: tuple[bool, ...]) -> tuple[str, ...]:
    return tuple(state for state, is_allowed in zip(STATES, allowed, strict=True) if is_allowed)


def _together(findings: list[Finding], objection: str) -> Verdict:
    """The states that every finding allows. Only a single one is a verdict."""
    states = tuple(
        state for state in STATES if all(state in finding.states for finding in findings)
    )
    word = states[0] if len(states) == 1 and not objection else UNDECIDED
    return Verdict(word, states, tuple(findings), objection)

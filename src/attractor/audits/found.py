"""What an audit found: all that its page and its files tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from attractor.audits.brought import BroughtBack, Tried, plain, plain_passage, plain_tried
from attractor.audits.evidence import EveryRow, Membership, Patterns
from attractor.audits.reference import Reference
from attractor.audits.verdict import Verdict
from attractor.results.estimate import Estimate


class Pattern(NamedTuple):
    """A settled text that came up more than once."""

    times: int
    text: str


class StandingOut(NamedTuple):
    """A training row that the model knows better than 99.9% of unseen rows."""

    copies: int
    """of it in the training file"""
    scores: tuple[str, ...]
    """in which it stands out"""
    text: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All that an audit found."""

    model: str
    place: str
    """which of several models of this name it is"""
    alone: Verdict
    with_fresh: Verdict | None
    with_data: Verdict | None
    numbers: dict[str, Estimate]
    """see `evidence.alone` and `evidence.settled_numbers`"""
    fresh: dict[str, Estimate]
    """kappa of each fresh text"""
    against: dict[str, Estimate]
    """see `evidence.against_data`; empty without data"""
    patterns: Patterns
    recovered: tuple[Pattern, ...]
    """the settled texts that came up most often"""
    generations: int
    reference: Reference | None
    """curves that were given"""
    misfit: list[str]
    """why they do not carry to the model; empty if they do"""
    rates: tuple[tuple[float, Estimate, Estimate, Estimate], ...]
    """t, recovery of training and of unseen text, basin advantage"""
    membership: dict[str, Membership]
    rows: EveryRow | None
    standing_out: tuple[StandingOut, ...]
    targeted: tuple[Tried, ...]
    """parts of rows from which it was tried to bring back the rest"""
    brought_back: tuple[BroughtBack, ...]
    """training passages that came back, those that needed the least first"""
    samples: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the audit: that with data where there are any, else that with fresh
        text."""
        return self.with_data or self.with_fresh or self.alone

    def plain(self) -> dict[str, Any]:
        """What audit.json holds."""
        texts = self.patterns.found
        return {
            "schema": 1,
            "model": self.model,
            "place": self.place,
            "verdict": self.verdict.word,
            "exit_code": self.verdict.exit_code,
            "without_data": _plain_verdict(self.alone),
            "with_fresh": _plain_verdict(self.with_fresh),
            "with_data": _plain_verdict(self.with_data),
            "numbers": {name: plain(e) for name, e in {**self.numbers, **self.against}.items()},
            "fresh": {name: plain(e) for name, e in self.fresh.items()},
            "store": plain(texts.texts) if texts.pairs else None,
            "texts": {
                **plain(texts.texts),
                "pairs": texts.pairs,
                "of": texts.total,
                "p_by_chance": self.patterns.p,
            },
            "recovered": [{"times": p.times, "text": p.text} for p in self.recovered],
            "generations": self.generations,
            "reference": None
            if self.reference is None
            else {"name": self.reference.name, "misfit": self.misfit},
            "recovery": [
                {"t": t, "train": plain(train), "test": plain(test), "advantage": plain(more)}
                for t, train, test, more in self.rates
            ],
            "membership": {name: plain(score.auroc) for name, score in self.membership.items()},
            "every_row": None if self.rows is None else _plain_rows(self.rows),
            "standing_out": [
                {"copies": row.copies, "scores": list(row.scores), "text": row.text}
                for row in self.standing_out
            ],
            "targeted": [plain_tried(each) for each in self.targeted],
            "brought_back": [plain_passage(p) for p in self.brought_back],
            "facts": dict(self.facts),
        }


def _plain_rows(rows: EveryRow) -> dict[str, Any]:
    return {
        "looked": rows.looked,
        "unseen": rows.unseen,
        "near": plain(rows.near),
        "strata": [
            {
                "name": part.name,
                "rows": part.rows,
                "scores": {name: plain(m.auroc) for name, m in part.membership.items()},
            }
            for part in rows.strata
        ],
        "beyond": {
            name: {
                "rows": len(tail.rows),
                "expected": tail.expected,
                "p": tail.p,
                "share": plain(tail.share),
            }
            for name, tail in rows.tails.items()
        },
    }


def _plain_verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    findings = {finding.name: list(finding.states) for finding in verdict.findings}
    return {
        "verdict": verdict.word,
        "allows": list(verdict.states),
        "objection": verdict.objection or None,
        "readings": findings,
    }

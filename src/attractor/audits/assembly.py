"""Arrays in, all that an audit tells out: numbers, verdicts, and the texts that go with them."""

from __future__ import annotations

import numpy as np

from attractor.analysis.advantage import Falls, recovery_of_falls
from attractor.analysis.statistics import mean_interval
from attractor.audits import evidence
from attractor.audits.against import prey_of
from attractor.audits.attack import aims, in_audit
from attractor.audits.brought import BroughtBack, Tried, as_numbers, brought_back, tried
from attractor.audits.found import Audit, Pattern, StandingOut
from attractor.audits.measure import NOISE, Effort
from attractor.audits.reference import Reference
from attractor.audits.subject import Audited
from attractor.audits.verdict import verdict_alone, verdict_with_data, verdict_with_fresh
from attractor.data.multiplicity import Multiplicity, multiplicity
from attractor.data.tokenizer import Tokenizer
from attractor.machine.units import duration
from attractor.measurements.texts import Texts
from attractor.process.registry import process_name
from attractor.results.estimate import Estimate, Groups
from attractor.results.tables import Arrays, code_version

SHOWN = 8
"""Recovered texts and generations on the page, of each at most."""
LISTED = 200
"""Training rows that stand out, and passages that come back, in the files at most."""


def assembled(
    subject: Audited, effort: Effort, curves: Reference | None, arrays: Arrays, seconds: float
) -> Audit:
    """Everything that an audit found.

    Args:
        subject: model and, if they are known, its texts.
        effort: how much was measured.
        curves: reference curves to show it beside.
        arrays: what was measured.
        seconds: how long that took.
    """
    process, texts, seed = subject.denoiser.process, subject.texts, effort.seed
    numbers = {**evidence.alone(arrays, seed), **evidence.settled_numbers(arrays, seed)}
    patterns = evidence.patterns(arrays)
    fresh = evidence.fresh_numbers(arrays, list(subject.fresh), seed)
    against, membership, rows, with_data, different = {}, {}, None, None, 0
    targeted: tuple[Tried, ...] = ()
    back: tuple[BroughtBack, ...] = ()
    if texts is not None:
        copies = multiplicity(np.asarray(texts.corpus))
        against, membership = evidence.against_data(arrays, seed), evidence.membership(arrays)
        rows = evidence.every_row(arrays)
        told = {**numbers, **against}
        different = len(copies.rows)
        with_data = verdict_with_data(told, membership, rows, different)
        targeted, back = _targeted(subject, effort, arrays, texts, copies)
    own = arrays.array("original", "echoes", "generated")[0]
    return Audit(
        model=subject.name,
        place=subject.place,
        alone=verdict_alone(numbers, patterns),
        with_fresh=verdict_with_fresh(numbers, patterns, fresh) if fresh else None,
        with_data=with_data,
        numbers=numbers,
        fresh=fresh,
        against=against,
        patterns=patterns,
        recovered=_recovered(arrays, patterns, subject.tokenizer),
        generations=len(own),
        reference=curves,
        misfit=_misfit(curves, process_name(process), process.vocab_size, subject, effort),
        rates=_rates(arrays, seed) if texts else (),
        membership=membership,
        rows=rows,
        standing_out=_standing_out(arrays, rows, subject.tokenizer) if texts else (),
        targeted=targeted,
        brought_back=back,
        samples=tuple(_text(row, subject.tokenizer) for row in own[:SHOWN]),
        facts=_facts(subject, effort, arrays, len(own), different, seconds),
    )


def _targeted(
    subject: Audited, effort: Effort, arrays: Arrays, texts: Texts, copies: Multiplicity
) -> tuple[tuple[Tried, ...], tuple[BroughtBack, ...]]:
    """What came back from parts of rows, and the passages."""
    attack = in_audit(effort)
    rows = prey_of(texts, copies, attack.rows)
    wanted = aims(subject.denoiser, rows, attack)
    pieces = subject.tokenizer.pieces if subject.tokenizer else as_numbers
    back = brought_back(arrays, wanted, rows, subject.denoiser, pieces, attack)
    return tried(arrays, wanted, effort.seed), back[:LISTED]


def _misfit(
    curves: Reference | None, noise: str, vocab_size: int, subject: Audited, effort: Effort
) -> list[str]:
    if curves is None:
        return []
    return curves.misfit(noise, vocab_size, subject.length, effort.steps, NOISE)


def _recovered(
    arrays: Arrays, found: evidence.Patterns, tokenizer: Tokenizer | None
) -> tuple[Pattern, ...]:
    """The settled texts that came up most often."""
    tokens = arrays.array("original", "settled", "generated")[0]
    return tuple(Pattern(times, _text(tokens[i], tokenizer)) for i, times in found.texts[:SHOWN])


def _standing_out(
    arrays: Arrays, rows: evidence.EveryRow | None, tokenizer: Tokenizer | None
) -> tuple[StandingOut, ...]:
    """The training rows beyond the unseen quantile, those in both scores first."""
    if rows is None:
        return ()
    tokens = arrays.array("original", "every_row", "train")[0]
    ranks: dict[int, list[str]] = {}
    for name, tail in rows.tails.items():
        for row in tail.rows.tolist():
            ranks.setdefault(row, []).append(name)
    ordered = sorted(ranks, key=lambda row: (-len(ranks[row]), -int(rows.copies[row]), row))
    return tuple(
        StandingOut(int(rows.copies[row]), tuple(ranks[row]), _text(tokens[row], tokenizer))
        for row in ordered[:LISTED]
    )


def _rates(arrays: Arrays, seed: int) -> tuple[tuple[float, Estimate, Estimate, Estimate], ...]:
    """At each time: recovery of training and of unseen text, and the advantage of the former."""
    found, copies = [], evidence.copied_rows(arrays)
    for t, _ in arrays.places("recovery"):
        train, test = evidence.training_rates(arrays, t), arrays.outcomes("test", t)
        unseen = test.rate_per_sequence()
        more = evidence.advantage_over(train, unseen, copies, seed)
        found.append((t, _mean(train, copies), _mean(unseen), more))
    return tuple(found)


def _mean(rates: evidence.Rates, copies: Groups | None = None) -> Estimate:
    if isinstance(rates, Falls):
        return recovery_of_falls(rates)
    return mean_interval(rates, share=True, missing=True, groups=copies)


def _text(row: np.ndarray, tokenizer: Tokenizer | None) -> str:
    return tokenizer.decode(row.tolist()) if tokenizer else " ".join(map(str, row.tolist()))


def _facts(
    subject: Audited,
    effort: Effort,
    arrays: Arrays,
    generations: int,
    different: int,
    seconds: float,
) -> tuple[tuple[str, str], ...]:
    process, texts = subject.denoiser.process, subject.texts
    chains = arrays.array("original", "settled", "generated").shape[1]
    rows = [
        (f"Fresh text {name}", f"{arrays.array('original', 'fresh_nll', name).shape[1]:,} rows")
        for name in subject.fresh
    ]
    if subject.base is not None:
        rows.append(("Base model", subject.base_name))
    if texts is not None:
        unseen = len(texts.test) + len(texts.other_test)
        probed = [arrays.array("original", "entropy", kind).shape[1] for kind in ("train", "test")]
        rows += [
            ("Training rows", f"{len(texts.corpus):,}, {probed[0]:,} probed"),
            ("Unseen rows", f"{unseen:,}, {probed[1]:,} probed"),
        ]
        looked = arrays.array("original", "every_row", "train").shape[1]
        rows += [("Different training rows", _of(looked, different) + " looked at once")]
    return (
        ("Noise", process_name(process)),
        ("Vocabulary size V", f"{process.vocab_size:,}"),
        ("Sequence length L", f"{subject.length:,}"),
        ("Generations", _of(generations, effort.n).rstrip(",")),
        ("Chains that settled", f"{chains:,}"),
        *rows,
        ("Reverse steps", f"{effort.steps:,}"),
        ("Seed of the noise", str(effort.seed)),
        ("Time", duration(seconds)),
        ("attractor version", code_version()),
    )


def _of(done: int, wanted: int) -> str:
    return f"{done:,}" if done == wanted else f"{done:,} of {wanted:,}, as many as fit,"

"""`attractor extract`: which training passages come back, from how little; one page and its
numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attractor.audits.attack import (
    TRAIN,
    Attack,
    aims,
    aims_at_spans,
    check_attack,
    measure_extraction,
    prey,
)
from attractor.audits.brought import as_numbers, brought_back, spans_back, tried, tried_of
from attractor.audits.extracted import Found
from attractor.audits.extraction_page import render
from attractor.audits.spans import Spans, read_spans
from attractor.audits.subject import Audited
from attractor.data.multiplicity import multiplicity
from attractor.machine.files import atomic_directory
from attractor.machine.units import duration
from attractor.measurements.subject import marked
from attractor.process.registry import process_name
from attractor.results.tables import code_version, read_arrays, write_tokens
from attractor.types import AttractorError

PAGE, NUMBERS = "extraction.html", "extraction.json"
HOME = Path("extractions")
"""Folder of extractions that were not told where to go."""


def extract(
    subject: Audited,
    out: Path,
    attack: Attack = Attack(),  # noqa: B008
    spans: Path | None = None,
    watch: Callable[[str], None] = lambda doing: None,
) -> Found:
    """Try to get training text out of a model, and write what came back into `out`.

    Args:
        subject: model and texts; without unseen rows nothing stands beside the training rows.
        out: a folder; an earlier extraction in it is replaced, all at once, when this one is done.
        attack: how much is tried.
        spans: a file of spans that are wanted back, see `read_spans`.
        watch: told what is being done.

    Raises:
        AttractorError: for settings out of range, a folder that holds something else, spans outside
            the text, or no text.
    """
    check_attack(attack)
    texts, model, begun = subject.texts, subject.denoiser, time.monotonic()
    if texts is None:
        raise AttractorError("extraction needs the text that the model was trained on: --train")
    out = Path(out)
    if out.is_dir() and any(out.iterdir()) and not (out / NUMBERS).is_file():
        raise AttractorError(f"'{out}' is not empty and holds no {NUMBERS}; choose another folder")
    corpus = np.asarray(texts.corpus)
    unseen = np.concatenate([texts.test, texts.other_test])
    known = multiplicity(corpus)
    there = prey(known, unseen, attack.rows)
    named = Spans(()) if spans is None else read_spans(spans, corpus, subject.tokenizer)
    wanted = [
        *aims_at_spans(model, named.found, corpus, unseen, attack),
        *aims(model, there, attack),
    ]
    with atomic_directory(out) as partial:
        blocks = measure_extraction(model, wanted, attack, watch)
        write_tokens(partial, (marked(model.process, block) for block in blocks))
        arrays = read_arrays(partial)
        pieces = subject.tokenizer.pieces if subject.tokenizer else as_numbers
        shares = tried(arrays, wanted, attack.seed)
        rows = tried_of(shares)
        found = Found(
            model=subject.name,
            place=subject.place,
            noise=process_name(model.process),
            attack=attack,
            rows=rows,
            tried=shares,
            passages=brought_back(arrays, wanted, there, model, pieces, attack),
            spans=spans_back(arrays, wanted, named.found, known, model, pieces, attack),
            named=len(named.found),
            missing=named.missing,
            facts=_facts(subject, attack, rows, len(known.rows), time.monotonic() - begun),
        )
        text = json.dumps(found.plain(), indent=1, ensure_ascii=False)
        (partial / NUMBERS).write_text(text, encoding="utf-8")
        (partial / PAGE).write_text(render(found), encoding="utf-8")
    return found


def _facts(
    subject: Audited, attack: Attack, rows: dict[str, int], there: int, seconds: float
) -> tuple[tuple[str, str], ...]:
    process = subject.denoiser.process
    return (
        ("Noise", process_name(process)),
        ("Vocabulary size V", f"{process.vocab_size:,}"),
        ("Sequence length L", f"{subject.length:,}"),
        ("Different training rows", f"{there:,}, {rows[TRAIN]:,} tried"),
        *((f"Rows of kind {kind}", f"{n:,}") for kind, n in rows.items() if kind != TRAIN),
        ("Falls from each part", f"{attack.falls:,}"),
        ("Reverse steps", ", ".join(f"{steps:,}" for steps in sorted(attack.steps))),
        ("Seed of the noise", str(attack.seed)),
        ("Time", duration(seconds)),
        ("attractor version", code_version()),
    )

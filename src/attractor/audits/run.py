"""`attractor audit`: one model, one page, one verdict; with its data, with fresh text, or with
neither."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from attractor.audits.against import measure_against
from attractor.audits.assembly import assembled
from attractor.audits.folders import CARD, NUMBERS, PAGE
from attractor.audits.found import Audit
from attractor.audits.measure import (
    Effort,
    check_effort,
    measure_fresh,
    measure_own,
    measure_settled,
)
from attractor.audits.page import card, render
from attractor.audits.reference import read_reference
from attractor.audits.subject import Audited
from attractor.data.multiplicity import multiplicity
from attractor.machine.files import atomic_directory
from attractor.measurements.subject import marked, padding_of
from attractor.results.tables import Block, read_arrays, write_tokens
from attractor.types import AttractorError


def audit(
    subject: Audited,
    out: Path,
    effort: Effort = Effort(),  # noqa: B008
    reference: Path | None = None,
    watch: Callable[[str], None] = lambda doing: None,
) -> Audit:
    """Measure, judge, and write the page, its numbers, a paragraph for a model card and the arrays
    into `out`.

    Args:
        subject: model and, if they are known, its texts.
        out: a folder; an earlier audit in it is replaced, all at once, when this one is done.
        effort: how much is measured.
        reference: a file of reference curves, of models of the same kind and text, on which the
            page shows the model; no verdict is read from them.
        watch: told what is being done.

    Raises:
        AttractorError: for settings out of range, a folder that holds something else, or texts that
            do not fit.
    """
    check_effort(effort)
    out = Path(out)
    if out.is_dir() and any(out.iterdir()) and not (out / NUMBERS).is_file():
        raise AttractorError(f"'{out}' is not empty and holds no {NUMBERS}; choose another folder")
    curves = read_reference(reference) if reference else None
    started = time.monotonic()
    with atomic_directory(out) as partial:
        blocks = _blocks(subject, effort, watch)
        write_tokens(partial, (marked(subject.denoiser.process, each) for each in blocks))
        found = assembled(subject, effort, curves, read_arrays(partial), time.monotonic() - started)
        (partial / NUMBERS).write_text(json.dumps(found.plain(), indent=1, ensure_ascii=False))
        (partial / CARD).write_text(card(found), encoding="utf-8")
        (partial / PAGE).write_text(render(found), encoding="utf-8")
    return found


def _blocks(subject: Audited, effort: Effort, watch: Callable[[str], None]) -> Iterator[Block]:
    """Everything that is measured. What needs data begins once there are generations, which it
    compares with training text."""
    model, own = subject.denoiser, None
    for block in measure_own(model, subject.length, effort, watch, _shown(subject)):
        own = block.original if block.measurement == "echoes" else own
        yield block
    assert own is not None, "there are generations"
    yield from measure_settled(model, own, effort, watch)
    yield from measure_fresh(model, subject.fresh, effort, watch)
    if subject.texts is not None:
        copies = multiplicity(np.asarray(subject.texts.corpus))
        yield from measure_against(model, own, subject.texts, copies, effort, watch, subject.base)


def _shown(subject: Audited) -> np.ndarray | None:
    """Rows whose frames and lengths generations are to have: none where rows have no padding, or
    none are known."""
    known = [*([] if subject.texts is None else [subject.texts.train]), *subject.fresh.values()]
    if not known or padding_of(subject.denoiser.process) is None:
        return None
    return np.asarray(known[0], dtype=np.int64)

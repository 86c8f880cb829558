"""`attractor audit`: one model, one page, one verdict; with its data or without."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attractor import adapters
from attractor.analysis.statistics import clopper_pearson, mean_interval
from attractor.audits import evidence
from attractor.audits.measure import (
    EXTRACTION,
    NOISE,
    Effort,
    check_effort,
    measure_against,
    measure_alone,
    measure_basins,
)
from attractor.audits.page import Audit, Extraction, VerbatimPassage, card, render
from attractor.audits.reference import (
    Reference,
    ReferenceModel,
    check_spans,
    nearest,
    read_reference,
    shipped,
)
from attractor.audits.verdict import verdict_alone, verdict_with_data
from attractor.config.identity import run_config_from_dict
from attractor.data.dataset import read_rows
from attractor.data.packing import prefix
from attractor.data.tokenizer import FILE_NAMES, Tokenizer
from attractor.machine.files import atomic_directory, write_atomically
from attractor.machine.units import duration
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.process.registry import process_name
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, code_version, read_arrays, write_tokens
from attractor.runs.folder import CONFIG, data_of, is_finished, read_json
from attractor.runs.measure import parameter_count
from attractor.types import AttractorError

PAGE, NUMBERS, CARD = "audit.html", "audit.json", "card.md"
LEAST_TOKENS = 0.9
"""Size of the model's tokenizer in sizes of its vocabulary, which may hold a mask and be rounded
up."""
SHOWN = 8
"""Passages and generations on the page."""


class Audited(NamedTuple):
    """What is audited."""

    name: str
    denoiser: Denoiser
    length: int
    """tokens of a sequence"""
    tokenizer: Tokenizer | None = None
    texts: Texts | None = None


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
        out: a folder; an earlier audit in it is replaced.
        effort: how much is measured.
        reference: reference curves of one's own; the nearest of those shipped unless given.
        watch: told what is being done.

    Raises:
        AttractorError: for settings out of range, a folder that holds something else, or texts that
            do not fit.
    """
    check_effort(effort)
    out = Path(out)
    if out.is_dir() and any(out.iterdir()) and not (out / NUMBERS).is_file():
        raise AttractorError(f"'{out}' is not empty and holds no {NUMBERS}; choose another folder")
    process, vocab_size = (
        process_name(subject.denoiser.process),
        subject.denoiser.process.vocab_size,
    )
    known = [read_reference(reference)] if reference else shipped()
    curves = nearest(known, process, vocab_size, subject.length, effort.steps, NOISE)
    started = time.monotonic()
    with atomic_directory(out) as partial:
        write_tokens(partial, _blocks(subject, effort, watch))
        found = _judged(subject, effort, curves, read_arrays(partial), time.monotonic() - started)
        (partial / NUMBERS).write_text(json.dumps(found.plain(), indent=1, ensure_ascii=False))
        (partial / CARD).write_text(card(found), encoding="utf-8")
        (partial / PAGE).write_text(render(found), encoding="utf-8")
    return found


def _blocks(subject: Audited, effort: Effort, watch: Callable[[str], None]) -> Iterator[Block]:
    for block in measure_alone(subject.denoiser, subject.length, effort, watch):
        own = block.original if block.measurement == "echoes" else None
        yield block
        if own is not None and subject.texts is not None:
            yield from measure_against(subject.denoiser, own, subject.texts, effort, watch)


def _judged(
    subject: Audited, effort: Effort, curves: Reference, arrays: Arrays, seconds: float
) -> Audit:
    process = subject.denoiser.process
    numbers = evidence.alone(arrays, effort.seed)
    misfit = curves.misfit(
        process_name(process), process.vocab_size, subject.length, effort.steps, NOISE
    )
    alone = verdict_alone(numbers, curves, misfit)
    texts, with_data, against = subject.texts, None, {}
    if texts is not None:
        against = evidence.against_data(arrays, effort.seed)
        with_data = verdict_with_data({**numbers, **against})
    own = arrays.array("original", "echoes", "generated")[0]
    return Audit(
        model=subject.name,
        alone=alone,
        with_data=with_data,
        numbers=numbers,
        against=against,
        store=evidence.store(arrays),
        generations=len(own),
        reference=curves,
        misfit=misfit,
        rates=_rates(arrays) if texts else (),
        membership=evidence.membership(arrays) if texts else {},
        extraction=_extraction(arrays) if texts else (),
        passages=_passages(arrays, subject.tokenizer) if texts else (),
        samples=tuple(_text(row, subject.tokenizer) for row in own[:SHOWN]),
        facts=_facts(subject, effort, len(own), seconds),
    )


def _rates(arrays: Arrays) -> tuple[tuple[float, Estimate, Estimate, Estimate], ...]:
    """At each time: recovery of training and of unseen text, and the advantage of the former."""
    found = []
    for t, _ in arrays.places("recovery"):
        train, test = (arrays.outcomes(split, t).rate_per_sequence() for split in ("train", "test"))
        means = [mean_interval(rate, share=True, missing=True) for rate in (train, test)]
        found.append((t, means[0], means[1], evidence.advantage(train, test)))
    return tuple(found)


def _extraction(arrays: Arrays) -> tuple[Extraction, ...]:
    def share(split: str, t: float) -> Estimate:
        back = evidence.verbatim(arrays, split, t)
        return clopper_pearson(int(back.sum()), len(back))

    return tuple(Extraction(t, share("train", t), share("test", t)) for t in EXTRACTION)


def _passages(arrays: Arrays, tokenizer: Tokenizer | None) -> tuple[VerbatimPassage, ...]:
    """The training passages that came back verbatim from the fewest tokens."""
    least: dict[int, tuple[int, float]] = {}
    for t in EXTRACTION:
        kept = evidence.kept(arrays, "train", t)
        for row in np.flatnonzero(evidence.verbatim(arrays, "train", t)).tolist():
            least[row] = min(least.get(row, (10**9, 0.0)), (int(kept[row]), t))
    found = []
    for row, (left, t) in sorted(least.items(), key=lambda item: (item[1], item[0]))[:SHOWN]:
        original, corrupted = (
            arrays.array(column, "extraction", "train", t)[0, row] for column in _COLUMNS
        )
        pieces = (
            tokenizer.pieces(original.tolist())
            if tokenizer
            else [f"{i} " for i in original.tolist()]
        )
        stayed = (original == corrupted).tolist()
        found.append(
            VerbatimPassage(row, left, len(stayed), tuple(zip(pieces, stayed, strict=True)))
        )
    return tuple(found)


_COLUMNS = ("original", "corrupted")


def _text(row: np.ndarray, tokenizer: Tokenizer | None) -> str:
    return tokenizer.decode(row.tolist()) if tokenizer else " ".join(map(str, row.tolist()))


def _facts(
    subject: Audited, effort: Effort, generations: int, seconds: float
) -> tuple[tuple[str, str], ...]:
    process, texts = subject.denoiser.process, subject.texts
    counts = f"{generations:,}" + (
        f" of {effort.n:,}, as many as fit" if generations < effort.n else ""
    )
    rows = () if texts is None else (
        ("Training rows", f"{len(texts.corpus):,}, {len(texts.train):,} probed"),
        ("Unseen rows", f"{len(texts.test) + len(texts.other_test):,}, {len(texts.test):,} probed"),
    )  # fmt: skip
    return (
        ("Noise", process_name(process)), ("Vocabulary size V", f"{process.vocab_size:,}"),
        ("Sequence length L", f"{subject.length:,}"), ("Generations", counts), *rows,
        ("Reverse steps", f"{effort.steps:,}"), ("Seed of the noise", str(effort.seed)),
        ("Time", duration(seconds)), ("attractor version", code_version()),
    )  # fmt: skip


def tokenizer_beside(model: str, named: Path | None) -> Tokenizer | None:
    """The tokenizer that was named, or that lies in the folder of a model; None where there is
    none."""
    if named is not None:
        return Tokenizer.load(named)
    folder = Path(model).expanduser()
    return Tokenizer.load(folder) if any((folder / name).is_file() for name in FILE_NAMES) else None


def texts_from_files(
    train: Path,
    test: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    rows: int,
) -> Texts:
    """Training and unseen text of an audit; unseen rows that are also training rows are left out.

    Raises:
        AttractorError: for files that cannot be read or do not fit the model, a tokenizer of
            another size, and if too few rows are left.
    """
    if (
        tokenizer is not None
        and not LEAST_TOKENS * vocab_size <= tokenizer.vocab_size <= vocab_size
    ):
        raise AttractorError(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens, and the model knows "
            f"{vocab_size:,}: it is not the model's"
        )
    known, others = (_rows(path, column, tokenizer, length, vocab_size) for path in (train, test))
    seen = {row.tobytes() for row in known}
    unseen = others[[row.tobytes() not in seen for row in others]]
    for name, left, which in ((train, known, ""), (test, unseen, " that are no training rows")):
        if len(left) < 2:
            raise AttractorError(
                f"'{name}' gives {len(left)} rows of {length} tokens{which}: at least 2 are needed"
            )
    return _texts(known, unseen, tokenizer, rows)


def texts_of_run(run: Path, rows: int) -> Texts:
    """The rows a run was trained on, and unseen ones.

    Raises:
        AttractorError: if its data are not beside it.
    """
    data = data_of(run)
    config = run_config_from_dict(read_json(run / CONFIG))
    return _texts(
        np.asarray(prefix(data.train, config.n_train)), np.asarray(data.test), data.tokenizer, rows
    )


def _texts(known: np.ndarray, unseen: np.ndarray, tokenizer: Tokenizer | None, rows: int) -> Texts:
    probed = [part[:rows] for part in (known, unseen)]
    decode = tokenizer.decode if tokenizer else lambda ids: " ".join(map(str, ids))
    return Texts(
        probed[0], probed[1], known, known[len(probed[0]) :], unseen[len(probed[1]) :], decode
    )


def _rows(
    path: Path, column: str, tokenizer: Tokenizer | None, length: int, vocab_size: int
) -> np.ndarray:
    rows = read_rows(path, column, tokenizer, length)
    if rows.min() < 0 or rows.max() >= vocab_size:
        raise AttractorError(
            f"'{path}' has token {rows.max() if rows.min() >= 0 else rows.min()}, but the model "
            f"knows {vocab_size:,}: the tokenizer is not the model's"
        )
    return rows


def write_reference_of(
    sweep: Path, out: Path, name: str, effort: Effort, watch: Callable[[str], None]
) -> Reference:
    """Audit every finished run of a sweep with its data, and write the reference curves that this
    gives.

    Raises:
        AttractorError: if the sweep is not finished, is of several kinds of models, or does not go
            from memorizing to generalizing.
    """
    runs = sorted(path for path in sweep.iterdir() if is_finished(path)) if sweep.is_dir() else []
    if not runs:
        raise AttractorError(
            f"'{sweep}' holds no finished run: references are made of a finished sweep"
        )
    configs = [run_config_from_dict(read_json(run / CONFIG)) for run in runs]
    if len({(config.model, config.process) for config in configs}) > 1:
        raise AttractorError(
            f"'{sweep}' is of several models or kinds of noise: references are made of one"
        )
    points = []
    for run, config in zip(runs, configs, strict=True):
        denoiser, texts = adapters.load(run), texts_of_run(run, effort.rows)
        process, length = denoiser.process, texts.train.shape[1]
        watch(f"n = {config.n_train:,}")
        blocks = itertools.chain(
            measure_alone(denoiser, length, effort, lambda doing: None),
            measure_basins(denoiser, texts, effort),
        )
        with tempfile.TemporaryDirectory() as folder:
            write_tokens(Path(folder), blocks)
            arrays = read_arrays(Path(folder))
        gap = evidence.against_data(arrays, effort.seed)["advantage"]
        points.append(
            ReferenceModel(
                n_train=config.n_train, advantage=gap, numbers=evidence.alone(arrays, effort.seed)
            )
        )
    made = Reference(
        name=name, process=process_name(process), vocab_size=process.vocab_size, seq_len=length,
        parameters=parameter_count(config, process.text_size), steps=effort.steps, t=NOISE,
        points=tuple(sorted(points, key=lambda point: point.n_train)),
    )  # fmt: skip
    check_spans(made, sweep)
    write_atomically(out, made.text())
    return made

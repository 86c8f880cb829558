"""`attractor audit`: one model, one page, one verdict; with its data, with fresh text, or with
neither."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from attractor import adapters
from attractor.adapters.sweep_folder import is_run, no_sweep
from attractor.analysis.advantage import advantage
from attractor.analysis.statistics import clopper_pearson, mean_interval
from attractor.audits import evidence
from attractor.audits.against import EXTRACTION, measure_against, measure_basins, prey_of
from attractor.audits.attack import Prey, aims, in_audit
from attractor.audits.brought import BroughtBack, Tried, as_numbers, brought_back, tried
from attractor.audits.found import Audit, Extraction, Pattern, StandingOut, VerbatimPassage
from attractor.audits.measure import (
    NOISE,
    Effort,
    check_effort,
    measure_fresh,
    measure_own,
    measure_settled,
)
from attractor.audits.page import card, render
from attractor.audits.reference import (
    Reference,
    ReferenceModel,
    check_spans,
    read_reference,
)
from attractor.audits.verdict import verdict_alone, verdict_with_data, verdict_with_fresh
from attractor.config.identity import run_config_from_dict
from attractor.data.dataset import read_rows
from attractor.data.ids import among
from attractor.data.multiplicity import multiplicity
from attractor.data.replicas import ordered, training_set
from attractor.data.tokenizer import FILE_NAMES, Tokenizer
from attractor.machine.files import atomic_directory, make_directory, write_atomically
from attractor.machine.units import duration
from attractor.measurements.subject import marked, padding_of
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.process.registry import process_name
from attractor.results.estimate import Estimate
from attractor.results.tables import Arrays, Block, code_version, read_arrays, write_tokens
from attractor.runs.folder import CONFIG, data_of, is_finished, read_json
from attractor.runs.measure import parameter_count
from attractor.types import AttractorError

PAGE, NUMBERS, CARD = "audit.html", "audit.json", "card.md"
HOME = Path("audits")
"""Folder of audits that were not told where to go."""
LEAST_TOKENS = 0.9
"""Share of the model's vocabulary that its tokenizer fills at least. A vocabulary may also hold a
mask and be rounded up, but a tokenizer that leaves more of it empty is another model's."""
SHOWN = 8
"""Passages and generations on the page, of each at most."""
LISTED = 200
"""Training rows that stand out, in the files at most."""


class Audited(NamedTuple):
    """The model that is audited, and what is known of its text."""

    name: str
    denoiser: Denoiser
    length: int
    """tokens of a sequence"""
    tokenizer: Tokenizer | None = None
    texts: Texts | None = None
    place: str = ""
    """which model it is, see `place_of`"""
    fresh: Mapping[str, np.ndarray] = MappingProxyType({})
    """texts that the model has not seen, by their names, (N, L) each"""
    base: Denoiser | None = None
    """a model of the same tokenizer that did not see the training text"""
    base_name: str = ""


def place_of(model: str, weights: str, revision: str | None) -> str:
    """Twelve hexadecimal digits that tell models of the same name apart: of where a model lies, and
    which of its weights are meant."""
    here = Path(model).expanduser()
    told = [str(here.resolve()) if here.exists() else model, weights, revision]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def default_folder(name: str, place: str, home: Path = HOME, numbers: str = NUMBERS) -> Path:
    """Where the audit of a model goes: a folder of its name, or, where that holds the audit of
    another model of this name, one that its place is added to."""
    folder = home / name.replace("/", "--")
    if not (folder / numbers).is_file():
        return folder
    try:
        whose = read_json(folder / numbers).get("place")
    except AttractorError:
        whose = None
    return folder if whose == place else folder.with_name(f"{folder.name}-{place[:6]}")


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
        found = _judged(subject, effort, curves, read_arrays(partial), time.monotonic() - started)
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


def _judged(
    subject: Audited, effort: Effort, curves: Reference | None, arrays: Arrays, seconds: float
) -> Audit:
    process, texts, seed = subject.denoiser.process, subject.texts, effort.seed
    numbers = {**evidence.alone(arrays, seed), **evidence.settled_numbers(arrays, seed)}
    patterns = evidence.patterns(arrays)
    fresh = evidence.fresh_numbers(arrays, list(subject.fresh), seed)
    against, membership, rows, with_data = {}, {}, None, None
    targeted: tuple[Tried, ...] = ()
    back: tuple[BroughtBack, ...] = ()
    if texts is not None:
        copies = multiplicity(np.asarray(texts.corpus))
        against, membership = evidence.against_data(arrays, seed), evidence.membership(arrays)
        rows = evidence.every_row(arrays)
        told = {**numbers, **against}
        with_data = verdict_with_data(told, membership, rows, len(copies.rows))
        targeted, back = _targeted(subject, effort, arrays, prey_of(texts, copies))
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
        rates=_rates(arrays) if texts else (),
        membership=membership,
        rows=rows,
        standing_out=_standing_out(arrays, rows, subject.tokenizer) if texts else (),
        extraction=_extraction(arrays) if texts else (),
        passages=_passages(arrays, subject.tokenizer) if texts else (),
        targeted=targeted,
        brought_back=back,
        samples=tuple(_text(row, subject.tokenizer) for row in own[:SHOWN]),
        facts=_facts(subject, effort, arrays, len(own), seconds),
    )


def _targeted(
    subject: Audited, effort: Effort, arrays: Arrays, rows: Prey
) -> tuple[tuple[Tried, ...], tuple[BroughtBack, ...]]:
    """What came back from parts of rows, and the passages."""
    attack = in_audit(effort.steps, effort.seed, effort.minutes / 8)
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


def _rates(arrays: Arrays) -> tuple[tuple[float, Estimate, Estimate, Estimate], ...]:
    """At each time: recovery of training and of unseen text, and the advantage of the former."""
    found = []
    for t, _ in arrays.places("recovery"):
        train, test = (arrays.outcomes(split, t).rate_per_sequence() for split in ("train", "test"))
        means = [mean_interval(rate, share=True, missing=True) for rate in (train, test)]
        found.append((t, means[0], means[1], advantage(train, test)))
    return tuple(found)


def _extraction(arrays: Arrays) -> tuple[Extraction, ...]:
    def share(split: str, t: float) -> Estimate:
        back = evidence.verbatim(arrays, split, t)
        return clopper_pearson(int(back.sum()), len(back))

    return tuple(Extraction(t, share("train", t), share("test", t)) for t in EXTRACTION)


def _passages(arrays: Arrays, tokenizer: Tokenizer | None) -> tuple[VerbatimPassage, ...]:
    """The training passages that came back verbatim from the fewest tokens."""
    # Of each row: from how few tokens, and at which time, it came back at best.
    best: dict[int, tuple[int, float]] = {}
    for t in EXTRACTION:
        kept = evidence.kept(arrays, "train", t)
        for row in np.flatnonzero(evidence.verbatim(arrays, "train", t)).tolist():
            here = (int(kept[row]), t)
            best[row] = min(here, best.get(row, here))
    found = []
    for row, (left, t) in sorted(best.items(), key=lambda item: (item[1], item[0]))[:SHOWN]:
        original, corrupted = (
            arrays.array(column, "extraction", "train", t)[0, row]
            for column in ("original", "corrupted")
        )
        ids, shown = original.tolist(), (original == corrupted).tolist()
        pieces = tokenizer.pieces(ids) if tokenizer else [f"{i} " for i in ids]
        tokens = tuple(zip(pieces, shown, strict=True))
        found.append(VerbatimPassage(row, left, len(ids), tokens))
    return tuple(found)


def _text(row: np.ndarray, tokenizer: Tokenizer | None) -> str:
    return tokenizer.decode(row.tolist()) if tokenizer else " ".join(map(str, row.tolist()))


def _facts(
    subject: Audited, effort: Effort, arrays: Arrays, generations: int, seconds: float
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
        there = len(multiplicity(np.asarray(texts.corpus)).rows)
        rows += [("Different training rows", _of(looked, there) + " looked at once")]
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


def tokenizer_beside(
    model: str, named: Path | None, markers: tuple[str, str] | None = None
) -> Tokenizer | None:
    """The tokenizer that was named, or that lies in the folder of a model; None where there is
    none. `markers` are its tokens for BOS and EOS, where it has no known ones."""
    if named is not None:
        return Tokenizer.load(named, markers)
    folder = Path(model).expanduser()
    there = any((folder / name).is_file() for name in FILE_NAMES)
    return Tokenizer.load(folder, markers) if there else None


def texts_from_files(
    train: Path,
    test: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    rows: int,
    pad_id: int | None = None,
) -> Texts:
    """Training and unseen text of an audit; unseen rows and documents that are also training rows
    and documents are left out.

    Args:
        train: a file of training text.
        test: a file of text that the model has not seen.
        column: which column of the files holds the text.
        tokenizer: the model's; without one the files must hold rows of token ids.
        length: tokens of a row.
        vocab_size: of the model.
        rows: how many of each kind are probed at most.
        pad_id: makes a row of each document, with this id behind it; packed unless given.

    Raises:
        AttractorError: for files that cannot be read or do not fit the model, a tokenizer of
            another size, and if too few rows are left.
    """
    _require_tokenizer_of(tokenizer, vocab_size)
    known = _rows(train, column, tokenizer, length, vocab_size, pad_id=pad_id)
    others = _rows(test, column, tokenizer, length, vocab_size, train, pad_id)
    unseen = others[~among(others, known)]
    # Where rows of both files are dropped on one side only, what is left there is the rarer text,
    # and returns less often for that reason: so they are the last to be probed as training rows.
    shared = among(known, others)
    known = np.concatenate([known[~shared], known[shared]])
    for name, left, which in ((train, known, ""), (test, unseen, " that are no training rows")):
        if len(left) < 2:
            raise AttractorError(
                f"'{name}' gives {len(left)} rows of {length} tokens{which}: at least 2 are needed"
            )
    return _texts(known, unseen, tokenizer, rows)


def training_from_file(
    train: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    pad_id: int | None = None,
) -> Texts:
    """Training text with nothing beside it; arguments and errors are those of
    `texts_from_files`."""
    ((_, rows),) = fresh_from_files([train], column, tokenizer, length, vocab_size, pad_id).items()
    return _texts(rows, rows[:0], tokenizer, len(rows))


def fresh_from_files(
    paths: Sequence[Path],
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    pad_id: int | None = None,
) -> dict[str, np.ndarray]:
    """Fresh texts by their names: rows of each file; arguments and errors are those of
    `texts_from_files`."""
    _require_tokenizer_of(tokenizer, vocab_size)
    found: dict[str, np.ndarray] = {}
    for path in paths:
        name = path.name if path.name not in found else str(path)
        found[name] = _rows(path, column, tokenizer, length, vocab_size, pad_id=pad_id)
        if len(found[name]) < 2:
            raise AttractorError(
                f"'{path}' gives {len(found[name])} row of {length} tokens: at least 2 are needed"
            )
    return found


def texts_of_run(run: Path, rows: int) -> Texts:
    """The rows a run was trained on, and unseen ones.

    Raises:
        AttractorError: if its data are not beside it.
    """
    data = data_of(run)
    config = run_config_from_dict(read_json(run / CONFIG), run / CONFIG)
    text = config.data
    rows_in_order = ordered(data, text.order).train
    known = np.asarray(training_set(rows_in_order, config.n_train, text.repeat, text.repeat_rows))
    return _texts(known, np.asarray(data.test), data.tokenizer, rows)


def _texts(known: np.ndarray, unseen: np.ndarray, tokenizer: Tokenizer | None, rows: int) -> Texts:
    """The first rows of each kind are probed; a bag of words learns from the others."""
    decode = tokenizer.decode if tokenizer else lambda ids: " ".join(map(str, ids))
    return Texts(known[:rows], unseen[:rows], known, known[rows:], unseen[rows:], decode)


def _require_tokenizer_of(tokenizer: Tokenizer | None, vocab_size: int) -> None:
    size = vocab_size if tokenizer is None else tokenizer.vocab_size
    if not LEAST_TOKENS * vocab_size <= size <= vocab_size:
        raise AttractorError(
            f"the tokenizer has {size:,} tokens, and the model knows {vocab_size:,}: it is not the "
            "model's"
        )


def _rows(
    path: Path,
    column: str,
    tokenizer: Tokenizer | None,
    length: int,
    vocab_size: int,
    apart_from: Path | None = None,
    pad_id: int | None = None,
) -> np.ndarray:
    rows = read_rows(path, column, tokenizer, length, apart_from, pad_id)
    least, most = rows.min(), rows.max()
    if least < 0 or most >= vocab_size:
        raise AttractorError(
            f"'{path}' has token {least if least < 0 else most}, but the model knows "
            f"{vocab_size:,}: the tokenizer is not the model's"
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
    if is_run(sweep):
        raise no_sweep(sweep)
    runs = sorted(path for path in sweep.iterdir() if is_finished(path)) if sweep.is_dir() else []
    if not runs:
        raise AttractorError(
            f"'{sweep}' holds no finished run: references are made of a finished sweep"
        )
    configs = [run_config_from_dict(read_json(run / CONFIG), run / CONFIG) for run in runs]
    if len({(config.model, config.process) for config in configs}) > 1:
        raise AttractorError(
            f"'{sweep}' is of several models or kinds of noise: references are made of one"
        )
    points = []
    for run, config in zip(runs, configs, strict=True):
        denoiser, texts = adapters.load(run), texts_of_run(run, effort.rows)
        watch(f"n = {config.n_train:,}")
        points.append(_reference_model(config.n_train, denoiser, texts, effort))
    # They are of one kind, so that the last of them can speak for all.
    process, length = denoiser.process, texts.train.shape[1]
    made = Reference(
        name=name,
        process=process_name(process),
        vocab_size=process.vocab_size,
        seq_len=length,
        parameters=parameter_count(config, process.text_size),
        steps=effort.steps,
        t=NOISE,
        points=tuple(sorted(points, key=lambda point: point.n_train)),
    )
    check_spans(made, sweep)
    make_directory(out.absolute().parent)
    write_atomically(out, made.text())
    return made


def _reference_model(
    n_train: int, denoiser: Denoiser, texts: Texts, effort: Effort
) -> ReferenceModel:
    """Measure of one model its own text, as `audit` does, and its basins."""
    blocks = itertools.chain(
        measure_own(denoiser, texts.train.shape[1], effort, lambda doing: None),
        measure_basins(denoiser, texts, effort),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_tokens(Path(folder), blocks)
        arrays = read_arrays(Path(folder))
    return ReferenceModel(
        n_train=n_train,
        advantage=evidence.against_data(arrays, effort.seed)["advantage"],
        numbers=evidence.alone(arrays, effort.seed),
    )

"""Audits from Python: a verdict on one model, and what it rests on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from rich.console import Console

from attractor import adapters
from attractor.adapters.family import Weights
from attractor.adapters.sweep_folder import require_no_run_named, resolved
from attractor.api.given import Given, as_files
from attractor.api.progress import console_of, doing
from attractor.api.run import Run
from attractor.audits.base import require_base
from attractor.audits.folders import CARD, NUMBERS, PAGE, default_folder, place_of
from attractor.audits.found import Audit
from attractor.audits.measure import Effort, check_effort
from attractor.audits.page import TITLES
from attractor.audits.run import audit as make_audit
from attractor.audits.subject import Audited
from attractor.audits.texts import (
    fresh_from_files,
    texts_from_files,
    texts_of_run,
    tokenizer_beside,
)
from attractor.data.tokenizer import Tokenizer
from attractor.machine.paths import expanded, require_writable
from attractor.model.denoiser import Denoiser
from attractor.notebook import table_html
from attractor.report import words
from attractor.results.estimate import Estimate
from attractor.runs.folder import read_json
from attractor.types import AttractorError, did_you_mean


@dataclass(frozen=True, repr=False)
class AuditResult:
    """An audit in its folder."""

    folder: Path

    @functools.cached_property
    def numbers(self) -> dict[str, Any]:
        """The content of audit.json.

        Raises:
            AttractorError: if it is damaged, or of an earlier version.
        """
        return read_numbers(self.folder / NUMBERS, "model", "verdict", "exit_code", "numbers")

    @property
    def verdict(self) -> str:
        """memorizing, in transition, generalizing, or undecided"""
        return str(self.numbers["verdict"])

    @property
    def exit_code(self) -> int:
        """The code by which `attractor audit --gate` tells the verdict."""
        return int(self.numbers["exit_code"])

    @property
    def evidence(self) -> dict[str, Estimate]:
        """Each number that was read, by its name."""
        return {name: read_estimate(e) for name, e in self.numbers["numbers"].items()}

    @property
    def page(self) -> Path:
        """The page that tells all of it."""
        return self.folder / PAGE

    @property
    def card(self) -> str:
        """A paragraph for a model card, Markdown."""
        return (self.folder / CARD).read_text(encoding="utf-8").strip()

    def to_pandas(self) -> pd.DataFrame:
        """The evidence, a row each: name, what it is, value, low, high, sequences."""
        rows = [(name, TITLES.get(name, name), *e[:4]) for name, e in self.evidence.items()]
        return pd.DataFrame(rows, columns=["name", "what", "value", "low", "high", "sequences"])

    def __repr__(self) -> str:
        return f"<Audit of {self.numbers['model']}: {self.verdict}; {self.page}>"

    def _repr_html_(self) -> str:
        rows = [
            (TITLES.get(name, name), words.with_interval(e, words.nats))
            for name, e in self.evidence.items()
        ]
        head = ("evidence", "value and 95% interval")
        title = f"{self.numbers['model']}: {self.verdict}"
        return table_html(title, head, rows, [self.card.replace("**", ""), str(self.page)])


def read_numbers(path: Path, *needed: str) -> dict[str, Any]:
    """A file of numbers, with what is asked of it.

    Raises:
        AttractorError: if it is damaged, or of an earlier version that did not write all of that.
    """
    found = read_json(path)
    missing = [name for name in needed if name not in found]
    if missing:
        raise AttractorError(
            f"'{path}' has no {', '.join(missing)}: an earlier version wrote it, or it is damaged; "
            "make it again"
        )
    return found


def read_estimate(e: Mapping[str, Any]) -> Estimate:
    """A number as the files of audits and extractions hold it."""
    return Estimate(e["value"], e["ci"][0], e["ci"][1], e["sequences"])


def audit(
    model: str | Path | Denoiser | Run,
    *,
    train: Given | None = None,
    test: Given | tuple[Given, ...] | None = None,
    own_data: bool = False,
    base: str | Path | Denoiser | Run | None = None,
    column: str = "text",
    row: Literal["packed", "document"] = "packed",
    tokenizer: str | Path | None = None,
    markers: tuple[str, str] | None = None,
    reference: str | Path | None = None,
    out: str | Path | None = None,
    weights: Weights = "ema",
    revision: str | None = None,
    family: str | None = None,
    settings: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device_map: str | None = None,
    progress: bool | Console = True,
    **effort: Any,
) -> AuditResult:
    """Find out whether a model memorizes or generalizes, with its data or without.

    Args:
        model: what `attractor.load` takes, a Denoiser, or a run of a sweep.
        train: text that the model was trained on: a file or folder, a list of texts, or rows of
            token ids; given together with `test`.
        test: text that it has not seen: of the kind of the training text where that is given, else
            fresh text, of which there may be several, in a tuple.
        own_data: take a run's own rows as its data.
        base: a model of the same tokenizer that has not seen the training text, such as the one
            before fine-tuning, beside which membership is looked at.
        column: of the text in .jsonl and .parquet files.
        row: what a row of text is: "packed", documents one after the other, or "document", each
            padded to the length of a row, for models that know padding.
        tokenizer: of the model, where none lies beside it.
        markers: its tokens for BOS and EOS, where it has none of the usual ones.
        reference: a file of reference curves to show the model beside.
        out: folder of the audit, which replaces an earlier one there; audits/ and the model's name
            unless given.
        weights: "ema" or "raw".
        revision: of a model of the Hub.
        family: kind of checkpoint, where it cannot be told.
        settings: what the checkpoint does not tell, by name.
        dtype: precision of the weights of a large network, as for `attractor.load`.
        device_map: how such a network is spread over devices.
        progress: whether what is being done is shown; a console of rich to show it there.
        effort: how much is measured: n, minutes, steps, rows, seed, as for `attractor audit`.

    Raises:
        AttractorError: for settings out of range, a model that cannot be loaded, or texts that do
            not fit.
    """
    folder, _ = run_audit(
        model,
        train=train,
        test=test,
        own_data=own_data,
        base=base,
        column=column,
        row=row,
        tokenizer=tokenizer,
        markers=markers,
        reference=reference,
        out=out,
        weights=weights,
        revision=revision,
        family=family,
        settings=settings,
        dtype=dtype,
        device_map=device_map,
        console=console_of(progress),
        effort=_effort(effort),
    )
    return AuditResult(folder)


def run_audit(
    model: str | Path | Denoiser | Run,
    *,
    train: Given | None,
    test: Given | tuple[Given, ...] | None,
    own_data: bool,
    base: str | Path | Denoiser | Run | None,
    column: str,
    row: Literal["packed", "document"],
    reference: str | Path | None,
    out: str | Path | None,
    console: Console | None,
    effort: Effort,
    **loading: Any,
) -> tuple[Path, Audit]:
    """The same, returning the folder and all that was found; `loading` is for `audited`."""
    check_effort(effort)
    unseen = test if isinstance(test, tuple) else () if test is None else (test,)
    if own_data and (train is not None or unseen):
        raise AttractorError("own_data takes the rows of the run: give it without train and test")
    if train is not None and not unseen:
        raise AttractorError("train and test are compared with each other: give both")
    if train is not None and len(unseen) > 1:
        raise AttractorError(f"train is compared with one text as test, not {len(unseen)}")
    subject, where = audited(model, **loading)
    if base is not None:
        if train is None and not own_data:
            raise AttractorError(
                "base is compared on training and unseen text: give train and test"
            )
        same = {name: loading[name] for name in ("settings", "dtype", "device_map")}
        subject = _beside(subject, base, **same)
    folder = expanded(out) if out else default_folder(subject.name, subject.place)
    require_no_run_named(folder)
    require_writable(folder)
    if own_data:
        subject = subject._replace(texts=texts_of_run(own_run(where), effort.rows))
    else:
        subject = with_texts(subject, train, unseen, column, row, effort.rows)
    curves = None if reference is None else expanded(reference)
    with doing("auditing", console) as watch:
        made = make_audit(subject, folder, effort, curves, watch)
    return folder, made


def audited(
    model: str | Path | Denoiser | Run,
    *,
    tokenizer: str | Path | None,
    markers: tuple[str, str] | None,
    weights: Weights,
    revision: str | None,
    family: str | None,
    settings: Mapping[str, Any] | None,
    dtype: str | None,
    device_map: str | None,
) -> tuple[Audited, str | None]:
    """A model without its texts, and where it lies; None for one that Python holds."""
    if isinstance(model, Denoiser):
        name, denoiser = type(model).__name__, model
        text = model.tokenizer if isinstance(model.tokenizer, Tokenizer) else None
        found = text if tokenizer is None else Tokenizer.load(expanded(tokenizer), markers)
        return Audited(name, denoiser, length_of(denoiser, name, HELD), found), None
    where = where_of(model)
    name, place = name_of(where), place_of(where, weights, revision)
    denoiser = adapters.load(
        where,
        weights,
        family=family,
        revision=revision,
        dtype=dtype,
        device_map=device_map,
        **(settings or {}),
    )
    named = None if tokenizer is None else expanded(tokenizer)
    found = tokenizer_beside(where, named, markers)
    return Audited(name, denoiser, length_of(denoiser, name), found, None, place), where


def _beside(subject: Audited, base: str | Path | Denoiser | Run, **loading: Any) -> Audited:
    """A model and the base model beside it."""
    other, _ = audited(
        base,
        tokenizer=None,
        markers=None,
        weights="ema",
        revision=None,
        family=None,
        **loading,
    )
    tokenizers = (subject.tokenizer, other.tokenizer)
    require_base(subject.denoiser, other.denoiser, subject.length, tokenizers)
    return subject._replace(base=other.denoiser, base_name=other.name)


def own_run(where: str | None) -> Path:
    """The run whose own rows are asked for.

    Raises:
        AttractorError: for a model that Python holds, which has none.
    """
    if where is None:
        raise AttractorError("own_data is for a run, which has its data beside it")
    return Path(where)


def where_of(model: str | Path | Run) -> str:
    """Where a model lies: the folder of a run that was named as one of a sweep, and what is not
    here as it is."""
    named = str(model.folder if isinstance(model, Run) else model)
    here = resolved(named)
    return str(here) if here.exists() else named


def name_of(where: str) -> str:
    """What the audit calls it: the name of its folder, or owner/name on the Hub."""
    here = resolved(where)
    return here.resolve().name if here.exists() else where


def _effort(given: Mapping[str, Any]) -> Effort:
    for name in given:
        if name not in Effort._fields:
            meant = did_you_mean(name, Effort._fields)
            raise AttractorError(f"an audit has no setting {name}{meant}")
    return Effort(**given)


NAMED, HELD = "--settings seq_len=...", "set its seq_len"
"""How a model that was named, or that Python holds, is told its length."""


def length_of(denoiser: Denoiser, name: str, remedy: str = NAMED) -> int:
    """Tokens of a sequence.

    Raises:
        AttractorError: if the model does not tell, with the remedy.
    """
    if denoiser.seq_len is None:
        raise AttractorError(f"'{name}' does not tell how long its sequences are: {remedy}")
    return denoiser.seq_len


def padding_of(subject: Audited, row: str) -> int | None:
    """What documents are padded with, where each is a row.

    Raises:
        AttractorError: if there is no such token, or the model takes it for text.
    """
    if row == "packed":
        return None
    pad_id = None if subject.tokenizer is None else subject.tokenizer.pad_id
    if pad_id is None or not subject.denoiser.process.is_fixed(torch.tensor(pad_id)):
        raise AttractorError(
            f"row = 'document' needs a token for padding that is no text to '{subject.name}', and "
            f"its tokenizer has {'none' if pad_id is None else f'only id {pad_id}'}: use packed"
        )
    return pad_id


def with_texts(
    subject: Audited,
    train: Given | None,
    unseen: tuple[Given, ...],
    column: str,
    row: str,
    rows: int,
) -> Audited:
    """Texts from files; what is given in memory becomes one, so that all are read by one code."""
    vocab_size = subject.denoiser.process.vocab_size
    told = column, subject.tokenizer, subject.length, vocab_size
    pad_id = padding_of(subject, row)
    if train is None and not unseen:
        return subject
    names = ["test"] if len(unseen) == 1 else [f"test-{i}" for i in range(len(unseen))]
    given = dict(zip(names, unseen, strict=True))
    with as_files(given if train is None else {**given, "train": train}) as files:
        others = [files[name] for name in names]
        if train is None:
            return subject._replace(fresh=fresh_from_files(others, *told, pad_id))
        texts = texts_from_files(files["train"], others[0], *told, rows, pad_id)
        return subject._replace(texts=texts)

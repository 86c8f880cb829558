"""Extraction from Python: which training passages a model gives back, from how little."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.console import Console

from attractor.adapters.family import Weights
from attractor.adapters.sweep_folder import require_no_run_named
from attractor.api.audits import (
    audited,
    own_run,
    padding_of,
    read_estimate,
    read_numbers,
    with_texts,
)
from attractor.api.given import Given, as_files
from attractor.api.progress import console_of, doing
from attractor.api.run import Run
from attractor.audits.attack import TRAIN, UNSEEN, Attack, check_attack
from attractor.audits.extracted import Found
from attractor.audits.extraction import HOME, NUMBERS, PAGE
from attractor.audits.extraction import extract as make_extraction
from attractor.audits.extraction_page import GIVEN
from attractor.audits.folders import default_folder
from attractor.audits.subject import Audited
from attractor.audits.texts import texts_of_run, training_from_file
from attractor.machine.paths import expanded, require_writable
from attractor.model.denoiser import Denoiser
from attractor.notebook import table_html
from attractor.report import words
from attractor.types import AttractorError, did_you_mean


@dataclass(frozen=True, repr=False)
class ExtractionResult:
    """An extraction in its folder."""

    folder: Path

    @functools.cached_property
    def numbers(self) -> dict[str, Any]:
        """The content of extraction.json.

        Raises:
            AttractorError: if it is damaged, or of an earlier version.
        """
        return read_numbers(self.folder / NUMBERS, "model", "headline", "tried", "passages")

    @property
    def headline(self) -> str:
        """What came back, in a sentence."""
        return str(self.numbers["headline"])

    @property
    def page(self) -> Path:
        """The page that tells all of it."""
        return self.folder / PAGE

    def to_pandas(self) -> pd.DataFrame:
        """The training passages that came back, a row each, those that needed the least first."""
        rows = [
            {**p, "falls_needed": p["falls_needed"]["value"], "wanted": " ... ".join(p["wanted"])}
            for p in [*self.numbers["spans"], *self.numbers["passages"]]
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"<Extraction from {self.numbers['model']}: {self.headline} {self.page}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{GIVEN[each['geometry']]}{'' if (g := each['given']) is None else f', {g:.0%}'}",
                words.count(each["steps"]),
                *(_share(each["ever"].get(kind)) for kind in (TRAIN, UNSEEN)),
            )
            for each in self.numbers["tried"]
        ]
        falls = self.numbers["attack"]["falls"]
        head = ("given", "steps", f"training rows back in {falls} falls", "unseen rows")
        title = f"Extraction from {self.numbers['model']}"
        return table_html(title, head, rows, [self.headline, str(self.page)])


def _share(e: dict[str, Any] | None) -> str:
    """A share with its interval, as the file holds it; nothing where it was not tried."""
    return "" if e is None else words.with_interval(read_estimate(e), words.percent)


def extract(
    model: str | Path | Denoiser | Run,
    *,
    train: Given | None = None,
    test: Given | None = None,
    own_data: bool = False,
    spans: str | Path | None = None,
    column: str = "text",
    row: Literal["packed", "document"] = "packed",
    tokenizer: str | Path | None = None,
    markers: tuple[str, str] | None = None,
    out: str | Path | None = None,
    weights: Weights = "ema",
    revision: str | None = None,
    family: str | None = None,
    settings: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device_map: str | None = None,
    progress: bool | Console = True,
    **attack: Any,
) -> ExtractionResult:
    """Try to get training text out of a model: parts of rows are given, the rest is wanted back.

    Args:
        model: what `attractor.load` takes, a Denoiser, or a run of a sweep.
        train: text that the model was trained on, as for `attractor.audit`.
        test: text of the same kind that it has not seen, which stands beside it.
        own_data: take a run's own rows as its data.
        spans: a file of what is wanted back: lines of text, or JSON lines of row, start and end.
        column: of the text in .jsonl and .parquet files.
        row: what a row of text is, "packed" or "document".
        tokenizer: of the model, where none lies beside it.
        markers: its tokens for BOS and EOS, where it has none of the usual ones.
        out: folder, which replaces an earlier extraction there; extractions/ and the model's name
            unless given.
        weights: "ema" or "raw".
        revision: of a model of the Hub.
        family: kind of checkpoint, where it cannot be told.
        settings: what the checkpoint does not tell, by name.
        dtype: precision of the weights of a large network, as for `attractor.load`.
        device_map: how such a network is spread over devices.
        progress: whether what is being done is shown; a console of rich to show it there.
        attack: how much is tried: given, falls, steps, probability, rows, minutes, seed, as for
            `attractor extract`.

    Raises:
        AttractorError: for settings out of range, a model that cannot be loaded, texts that do not
            fit, or spans outside them.
    """
    for name in attack:
        if name not in Attack._fields:
            meant = did_you_mean(name, Attack._fields)
            raise AttractorError(f"an extraction has no setting {name}{meant}")
    folder, _ = run_extraction(
        model,
        train=train,
        test=test,
        own_data=own_data,
        spans=spans,
        column=column,
        row=row,
        out=out,
        console=console_of(progress),
        attack=Attack(**attack),
        tokenizer=tokenizer,
        markers=markers,
        weights=weights,
        revision=revision,
        family=family,
        settings=settings,
        dtype=dtype,
        device_map=device_map,
    )
    return ExtractionResult(folder)


def run_extraction(
    model: str | Path | Denoiser | Run,
    *,
    train: Given | None,
    test: Given | None,
    own_data: bool,
    spans: str | Path | None,
    column: str,
    row: Literal["packed", "document"],
    out: str | Path | None,
    console: Console | None,
    attack: Attack,
    **loading: Any,
) -> tuple[Path, Found]:
    """The same, returning the folder and all that was found; `loading` is for `audited`."""
    check_attack(attack)
    if own_data and (train is not None or test is not None):
        raise AttractorError("own_data takes the rows of the run: give it without train and test")
    if not own_data and train is None:
        raise AttractorError("what is to come back has to be known: give train, or own_data")
    subject, where = audited(model, **loading)
    named = default_folder(subject.name, subject.place, HOME, NUMBERS)
    folder = expanded(out) if out else named
    require_no_run_named(folder)
    require_writable(folder)
    if own_data:
        subject = subject._replace(texts=texts_of_run(own_run(where), attack.rows))
    elif test is not None:
        subject = with_texts(subject, train, (test,), column, row, attack.rows)
    else:
        subject = _alone(subject, train, column, row)
    with doing("extracting", console) as watch:
        file = None if spans is None else expanded(spans)
        found = make_extraction(subject, folder, attack, file, watch)
    return folder, found


def _alone(subject: Audited, train: Given | None, column: str, row: str) -> Audited:
    """Training text with nothing beside it."""
    assert train is not None, "it was asked for"
    with as_files({"train": train}) as files:
        texts = training_from_file(
            files["train"],
            column,
            subject.tokenizer,
            subject.length,
            subject.denoiser.process.vocab_size,
            padding_of(subject, row),
        )
    return subject._replace(texts=texts)

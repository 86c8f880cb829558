"""What `attractor extract` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attractor.api.audits import name_of, where_of
from attractor.api.extractions import run_extraction
from attractor.audits.attack import Attack
from attractor.audits.extracted import Found
from attractor.audits.extraction import HOME, NUMBERS, PAGE
from attractor.audits.extraction_page import needed, standfirst
from attractor.audits.folders import default_folder, place_of
from attractor.cli.audit import values_of
from attractor.cli.terminal import out, say
from attractor.types import AttractorError

SAID = 5
"""Passages that are printed at most, of each kind."""


def run_extract(
    model: str, attack: Attack, *, into: Path | None, settings: tuple[str, ...], **given: Any
) -> Found:
    """Try it, and say what came back and where the page is."""
    if given["own_data"] and (given["train"] or given["test"]):
        raise AttractorError(
            "--own-data takes the rows of the run: give it without --train and --test"
        )
    if not given["own_data"] and given["train"] is None:
        raise AttractorError(
            "--train is needed, or --own-data for a run: what is to come back has to be known"
        )
    told = values_of(settings)
    folder, found = run_extraction(
        model, out=into, settings=told, attack=attack, console=out, **given
    )
    say("\n".join([found.headline, *standfirst(found)]))
    for p in (*found.spans[:SAID], *found.passages[:SAID]):
        text = "".join(piece if shown else f"[{piece}]" for piece, shown in p.tokens)
        whose = p.name or f"{p.given} of {p.length} tokens, {p.geometry}"
        say(f"row {p.row}  {whose}, falls {needed(p)}  {text.replace('][', '')}")
    say(f"page  {folder / PAGE}")
    return found


def folder_of(model: str, weights: Any, revision: str | None) -> Path:
    """Where the extraction from a model goes."""
    where = where_of(model)
    return default_folder(name_of(where), place_of(where, weights, revision), HOME, NUMBERS)

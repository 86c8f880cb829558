"""What `attractor audit` and `attractor reference` do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attractor.adapters.family import Weights
from attractor.api.audits import name_of, where_of
from attractor.api.audits import run_audit as audit
from attractor.audits.measure import Effort
from attractor.audits.page import Audit, headline, standfirst
from attractor.audits.run import PAGE, default_folder, place_of, write_reference_of
from attractor.cli.terminal import out, say
from attractor.types import AttractorError


def run_audit(
    *, into: Path | None, model: str, settings: tuple[str, ...], effort: Effort, **given: Any
) -> Audit:
    """Audit a model and say where the page is."""
    _require_both_or_none(given["train"], given["test"], given["own_data"])
    told = _values_of(settings)
    folder, made = audit(model, out=into, settings=told, effort=effort, console=out, **given)
    say("\n".join([headline(made.verdict), *standfirst(made)]))
    say(f"page  {folder / PAGE}")
    return made


def folder_of(model: str, weights: Weights, revision: str | None) -> Path:
    """Where the audit of a model goes."""
    where = where_of(model)
    return default_folder(name_of(where), place_of(where, weights, revision))


def run_reference(sweep: Path, target: Path, name: str, n: int) -> None:
    """Write reference curves of a finished sweep."""
    with out.status("auditing") as status:
        effort = Effort(n=n, minutes=0)  # 0 is no limit: curves are made once
        made = write_reference_of(sweep, target, name, effort, status.update)
    for point in made.points:
        numbers = "  ".join(f"{key} {e.value:.3f}" for key, e in point.numbers.items())
        say(f"n = {point.n_train:,}  advantage {point.advantage.value:.3f}  {numbers}")
    say(f"reference  {target}")


def _require_both_or_none(train: Path | None, test: Path | None, own_data: bool) -> None:
    if own_data and (train or test):
        raise AttractorError(
            "--own-data takes the rows of the run: give it without --train and --test"
        )
    if train and not test:
        raise AttractorError(
            "--train needs --test beside it: text of the same kind that the model has not seen, "
            "without which memorized text cannot be told from easy text; an audit without data "
            "needs neither"
        )
    if test and not train:
        raise AttractorError(
            "--test is compared with --train: give both; an audit without data needs neither"
        )


def _values_of(given: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON where it can be read as such, else text."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise AttractorError(f"--settings takes name=value, not {pair!r}")
        try:
            # True and False, as Python and checkpoints' own settings write them, are not JSON's.
            found[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except (ValueError, RecursionError):
            found[name] = value
    return found

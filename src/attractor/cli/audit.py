"""What `attractor audit` and `attractor reference` do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attractor import adapters
from attractor.adapters.family import Weights
from attractor.api.audits import length_of, name_of, where_of
from attractor.api.audits import run_audit as audit
from attractor.audits.folders import PAGE, default_folder, place_of
from attractor.audits.found import Audit
from attractor.audits.measure import Effort, check_effort
from attractor.audits.page import headline, standfirst
from attractor.audits.plan import lines, plan_audit
from attractor.audits.reference_sweep import write_reference_of
from attractor.cli.terminal import out, say
from attractor.types import AttractorError


def run_audit(
    *, into: Path | None, model: str, settings: tuple[str, ...], effort: Effort, **given: Any
) -> Audit:
    """Audit a model and say where the page is."""
    _require_sense(given["train"], given["test"], given["own_data"])
    if given["base"] and not (given["train"] or given["own_data"]):
        raise AttractorError(
            "--base is compared on training and unseen text: give --train and --test, or --own-data"
        )
    told = values_of(settings)
    folder, made = audit(model, out=into, settings=told, effort=effort, console=out, **given)
    say("\n".join([headline(made), *standfirst(made)]))
    say(f"page  {folder / PAGE}")
    return made


def say_audit_plan(
    model: str,
    effort: Effort,
    settings: tuple[str, ...],
    *,
    weights: Weights,
    family: str | None,
    revision: str | None,
    dtype: str | None,
) -> None:
    """Say what an audit takes, without reading a weight where the family allows that."""
    check_effort(effort)
    where = where_of(model)
    placed = adapters.family_of(where, family, revision).placed
    denoiser = adapters.load(
        where,
        weights,
        "meta" if placed else "auto",
        family=family,
        revision=revision,
        dtype=dtype,
        **values_of(settings),
    )
    say("\n".join(lines(plan_audit(denoiser, length_of(denoiser, model), effort))))


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


def _require_sense(train: Path | None, test: tuple[Path, ...], own_data: bool) -> None:
    if own_data and (train or test):
        raise AttractorError(
            "--own-data takes the rows of the run: give it without --train and --test"
        )
    if train and not test:
        raise AttractorError(
            "--train needs --test beside it: text of the same kind that the model has not seen, "
            "without which memorized text cannot be told from easy text; an audit without data "
            "needs neither, and --test alone is fresh text"
        )
    if train and len(test) > 1:
        raise AttractorError(
            f"--train with {len(test)} files of --test: training text is compared with one"
        )


def values_of(given: tuple[str, ...]) -> dict[str, Any]:
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

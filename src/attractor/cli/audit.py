"""What `attractor audit` and `attractor reference` do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attractor import adapters
from attractor.adapters.sweep_folder import resolved
from attractor.audits.found import Audit
from attractor.audits.measure import Effort, check_effort
from attractor.audits.page import headline, standfirst
from attractor.audits.plan import lines, plan_audit
from attractor.audits.run import (
    PAGE,
    Audited,
    audit,
    default_folder,
    fresh_from_files,
    place_of,
    texts_from_files,
    texts_of_run,
    tokenizer_beside,
    write_reference_of,
)
from attractor.cli.terminal import out, say
from attractor.types import AttractorError


def run_audit(
    *,
    model: str,
    train: Path | None,
    test: tuple[Path, ...],
    own_data: bool,
    column: str,
    tokenizer: Path | None,
    markers: tuple[str, str] | None,
    reference: Path | None,
    into: Path | None,
    weights: adapters.Weights,
    revision: str | None,
    family: str | None,
    settings: tuple[str, ...],
    dtype: str | None,
    device_map: str | None,
    dry_run: bool,
    **effort: Any,
) -> Audit | None:
    """Audit a model and say where the page is; or, in a dry run, what that would take."""
    _require_sense(train, test, own_data)
    amount = Effort(**effort)
    check_effort(amount)
    told = _values_of(settings)
    if dry_run:
        say("\n".join(_planned(model, weights, family, revision, dtype, told, amount)))
        return None
    told |= {"dtype": dtype, "device_map": device_map}
    here = resolved(model)
    if here.exists():
        model = str(here)  # the folder, where the run of a sweep was named
    denoiser = adapters.load(model, weights, family=family, revision=revision, **told)
    if denoiser.seq_len is None:
        raise AttractorError(
            f"'{model}' does not tell how long its sequences are: --settings seq_len=..."
        )
    found, length = tokenizer_beside(model, tokenizer, markers), denoiser.seq_len
    texts, fresh = None, {}
    vocab_size = denoiser.process.vocab_size
    if own_data:
        texts = texts_of_run(Path(model), amount.rows)
    elif train:
        texts = texts_from_files(train, test[0], column, found, length, vocab_size, amount.rows)
    elif test:
        fresh = fresh_from_files(test, column, found, length, vocab_size)
    name, place = _name_of(model), place_of(model, weights, revision)
    folder = into or folder_of(model, weights, revision)
    with out.status("auditing") as status:
        audited = Audited(name, denoiser, length, found, texts, place, fresh)
        made = audit(audited, folder, amount, reference, status.update)
    say("\n".join([headline(made), *standfirst(made)]))
    say(f"page  {folder / PAGE}")
    return made


def _planned(
    model: str,
    weights: adapters.Weights,
    family: str | None,
    revision: str | None,
    dtype: str | None,
    told: dict[str, Any],
    effort: Effort,
) -> list[str]:
    """What an audit takes, without reading a weight where the family allows that."""
    here = resolved(model)
    path = str(here) if here.exists() else model
    given = {"family": family, "revision": revision, **told}
    chosen = adapters.family_of(path, family, revision)
    if chosen.placed:
        denoiser = adapters.load(path, weights, "meta", dtype=dtype, **given)
    else:
        denoiser = adapters.load(path, weights, dtype=dtype, **given)
    if denoiser.seq_len is None:
        raise AttractorError(
            f"'{model}' does not tell how long its sequences are: --settings seq_len=..."
        )
    return lines(plan_audit(denoiser, denoiser.seq_len, effort))


def folder_of(model: str, weights: adapters.Weights, revision: str | None) -> Path:
    """Where the audit of a model goes."""
    here = resolved(model)
    told = str(here) if here.exists() else model
    return default_folder(_name_of(model), place_of(told, weights, revision))


def _name_of(model: str) -> str:
    here = resolved(model)
    return here.resolve().name if here.exists() else model  # otherwise owner/name on the Hub


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

"""Commands that judge somebody's model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from attractor.cli.paths import Folder
from attractor.cli.reading import READING, Reading

Reads = Annotated[Reading, tyro.conf.arg(name="")]


@dataclass(frozen=True, kw_only=True)
class AuditCommand:
    """Find out whether a model memorizes or generalizes, with or without data, and write a page,
    its numbers and a paragraph for a model card."""

    model: tyro.conf.Positional[str]
    """The model: the folder of a run; a run of a sweep, such as runs/demo:n=32; a checkpoint of
    another code base; or owner/name of a model of the Hugging Face Hub."""
    train: Path | None = None
    """Text that the model was trained on: a .txt, .jsonl or .parquet file, a folder of those, or
    rows of token ids as an .npy or .json matrix or as lists in .jsonl; given together with unseen
    text."""
    test: tuple[Path, ...] = ()
    """Text that the model has not seen, in one of the same formats: of the kind of the training
    text where that is given; without it, fresh text, written after the model, of the kind it was
    trained on, by which a model is judged without its training text. Of several such texts the
    best calibrated counts."""
    own_data: bool = False
    """Take a run's own training rows and unseen rows as its data."""
    base: str | None = None
    """A model of the same tokenizer that has not seen the training text, such as the one before
    fine-tuning; membership is then looked at beside it too."""
    reading: Reads = READING
    n: int = 2000
    """Largest number of sequences that the model writes, at least 2."""
    minutes: float = 4.0
    """Minutes for everything that needs no data, and as many again for what needs data; where they
    run out, fewer sequences are measured. 0 is no limit."""
    steps: int = 32
    """Steps of the reverse process from t = 1, nothing but noise, to text at t = 0; at least 2."""
    rows: int = 1000
    """Largest number of training sequences and of unseen sequences that are measured, at least
    2."""
    seed: int = 0
    """Seed of the noise."""
    reference: Path | None = None
    """Reference curves to show the model beside: a file of `attractor reference`, of models of the
    same text. No verdict is read from them."""
    out: Path | None = None
    """Folder of the audit, which replaces an earlier one there; unless given it is audits/ and the
    name of the model, with a digest behind it where another model of this name was audited."""
    gate: bool = False
    """Let the exit code tell the verdict: 0 for generalizing, 1 for memorizing, 3 for anything
    between or undecided; 2 is no verdict. Without it the code is 0 for every verdict."""
    positions: int | None = None
    """At how many positions texts are read behind masks, where each costs a pass; 16 unless
    given."""
    dry_run: bool = False
    """Say what the audit would take, memory, passes and minutes on some GPUs, and stop. Of a large
    network no weight is read."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written: the new folder takes the place of the old one."""
        if self.dry_run:
            return ()
        from attractor.cli.audit import folder_of

        folder = self.out or folder_of(self.model, self.reading.weights, self.reading.revision)
        return folder, folder.absolute().parent

    def __call__(self) -> int:  # noqa: D102
        from attractor.audits.measure import Effort
        from attractor.cli.audit import run_audit, say_audit_plan

        given = _given(self)
        gate, into = given.pop("gate"), given.pop("out")
        effort = Effort(**{name: given.pop(name) for name in Effort._fields})
        if given.pop("dry_run"):
            say_audit_plan(
                self.model,
                effort,
                self.reading.settings,
                weights=self.reading.weights,
                family=self.reading.family,
                revision=self.reading.revision,
                dtype=self.reading.dtype,
            )
            return 0
        found = run_audit(into=into, effort=effort, **given)
        return found.verdict.exit_code if gate else 0


@dataclass(frozen=True, kw_only=True)
class ExtractCommand:
    """Try to get training text out of a model: parts of rows are given, the rest is wanted back.
    Writes which passages come back, from how little and in how many attempts, beside unseen
    text."""

    model: tyro.conf.Positional[str]
    """The model, as for `attractor audit`."""
    train: Path | None = None
    """Text that the model was trained on, in a format of `attractor audit`."""
    test: Path | None = None
    """Text of the same kind that it has not seen, which is tried in the same way and stands beside
    it: without it easy text cannot be told from what is known by heart."""
    own_data: bool = False
    """Take a run's own training rows and unseen rows as its data."""
    spans: Path | None = None
    """What is wanted back, everything else given: lines of text, such as e-mail addresses or
    canaries, each looked for in the training text; or, in a .jsonl file, lines like {"row": 0,
    "start": 3, "end": 9}, of the tokens from start up to end, which is not one of them."""
    reading: Reads = READING
    given: tuple[float, ...] = (0.5, 0.25, 0.1)
    """Shares of a row that are given, each at least 0 and below 1: its beginning, its end, both
    ends, its middle, and random places."""
    falls: int = 16
    """Independent runs of the reverse process from each part of a row, at least 1."""
    steps: tuple[int, ...] = (8, 32, 128)
    """Numbers of steps of the reverse process; all shares are tried with the largest, the first one
    with the others as well. More steps bring back more."""
    probability: float = 0.9
    """Probability with which a passage is to come back in the number of falls that is said of it,
    between 0 and 1."""
    rows: int = 100
    """Largest number of rows of each kind that are tried, at least 2: training rows, those that the
    training text repeats, unseen rows."""
    minutes: float = 10.0
    """Minutes after which no more rows are begun; 0 is no limit."""
    seed: int = 0
    """Seed of the noise."""
    out: Path | None = None
    """Folder of the extraction, which replaces an earlier one there; unless given it is
    extractions/ and the name of the model."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written: the new folder takes the place of the old one."""
        from attractor.cli.extract import folder_of

        folder = self.out or folder_of(self.model, self.reading.weights, self.reading.revision)
        return folder, folder.absolute().parent

    def __call__(self) -> None:  # noqa: D102
        from attractor.audits.attack import Attack
        from attractor.cli.extract import run_extract

        given = _given(self)
        attack = Attack(**{name: given.pop(name) for name in Attack._fields})
        run_extract(given.pop("model"), attack, into=given.pop("out"), **given)


@dataclass(frozen=True, kw_only=True)
class ReferenceCommand:
    """Make reference curves for audits of a finished sweep whose models go from memorizing to
    generalizing."""

    sweep: Folder
    """Folder of a sweep."""
    out: Path
    """JSON file to write the curves to."""
    name: str
    """What the sweep is, in words that an audit shows beside its curves."""
    n: int = 500
    """Number of sequences that each model writes, at least 2."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return (self.out,)

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.audit import run_reference

        run_reference(self.sweep, self.out, self.name, self.n)


def _given(command: AuditCommand | ExtractCommand) -> dict[str, Any]:
    """All options of a command by their names."""
    given = {field.name: getattr(command, field.name) for field in dataclasses.fields(command)}
    return given | vars(given.pop("reading"))

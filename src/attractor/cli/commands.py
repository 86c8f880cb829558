"""The commands: their options, each default written once, and a call for each.

What a call needs is imported inside it, because the options alone have to be there in an instant:
torch takes seconds to load, and `--help` does not need it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from attractor.cli.net import NOTHING_KEPT
from attractor.cli.reading import READING, Reading
from attractor.config.presets import preset
from attractor.config.settings import DataConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.types import AttractorError

Folder = tyro.conf.Positional[Path]
Reads = Annotated[Reading, tyro.conf.arg(name="")]
DEMO = "demo"
WATTS = 100.0
"""Power of this machine in watts, unless stated."""
GOES_ON = "the same command again goes on from here"


@dataclass(frozen=True, kw_only=True)
class SweepCommand:
    """Train models over nested training sets, measure them, find the transition, write a report."""

    config: Annotated[SweepConfig, tyro.conf.arg(name="")]
    out: Path
    """Folder of the sweep; an unfinished sweep in it is taken up again."""
    preset: str = DEMO
    """Settings to start from, which the other options change: "demo"; "tiny", "small" or "medium",
    the paper's models and sizes; or "paper", those three in one sweep on the paper's text, rows and
    curriculum."""
    workers: int | None = None
    """How many models are trained side by side on this machine; by default one for each core, or
    one where there is a GPU."""
    force: bool = False
    """Begin anew and throw away the sweep that the folder holds."""
    dry_run: bool = False
    """Print the plan, and the time, energy and disk it will take, and stop; for that this machine
    is timed for a few seconds."""
    watts: float = WATTS
    """Power of this machine in watts, above 0, from which the plan computes the energy."""
    status: bool = False
    """Print which models of the folder are done, running, failed and waiting, and stop."""
    adaptive: bool = False
    """Choose training-set sizes one after another, between the smallest and the largest, until the
    size of the transition, n*, is known as precisely as asked for."""
    precision: float = 1.5
    """How precisely an adaptive sweep locates n*: the largest ratio, above 1, of the upper to the
    lower end of its interval, and of the two sizes between which it lies."""
    at_once: int = 1
    """How many sizes of each model an adaptive sweep chooses at a time, at least 1; more of them
    take less time and more models."""
    executor: Literal["local", "ray"] = "local"
    """Where models are trained: "local", in processes of this machine; or "ray", as tasks of a Ray
    cluster whose nodes all see the folder."""
    address: str = "auto"
    """Address of the Ray cluster: "auto" for the one this machine belongs to; host:port of its
    head, with [ ] around an IPv6 host; or ray://host:port."""
    cpus: float = 1.0
    """CPU cores of each Ray task, a whole number or a share of one; the task computes with as many
    threads."""
    gpus: float | None = None
    """GPUs of each Ray task, a whole number or a share of one; by default 1 if any node has one,
    and otherwise none."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return () if self.dry_run or self.status else (self.out,)

    @property
    def kept(self) -> str:
        """What an interruption leaves."""
        return _begun(*self.written, force=self.force)

    def __call__(self) -> None:  # noqa: D102
        precision = self.precision if self.adaptive else None
        if self.status:
            from attractor.cli.tables import show_status

            show_status(self.out)
        elif self.dry_run:
            from attractor.cli.plan import plan_sweep

            plan_sweep(
                self.config,
                self.out,
                self.workers,
                self.watts,
                precision=precision,
                at_once=self.at_once,
                force=self.force,
            )
        else:
            from attractor.cli.run import run_sweep
            from attractor.sweeps.executor import check_workers

            check_workers(self.workers)
            with self._executor() as executor:
                run_sweep(
                    self.config,
                    self.out,
                    executor,
                    precision=precision,
                    at_once=self.at_once,
                    force=self.force,
                )

    def _executor(self) -> contextlib.AbstractContextManager[Any]:
        if self.executor == "local":
            from attractor.sweeps.executor import execute

            return contextlib.nullcontext(functools.partial(execute, workers=self.workers))
        from attractor.sweeps.cluster import ray_executor

        return ray_executor(self.address, self.cpus, self.gpus)


@dataclass(frozen=True, kw_only=True)
class DemoCommand:
    """The whole story on a laptop in minutes: six small models on the World English Bible."""

    out: Path = Path("runs/demo")
    """Folder of the sweep; an unfinished demo in it is taken up again."""
    workers: int | None = None
    """How many models are trained side by side; by default one for each core, or one where there is
    a GPU."""
    force: bool = False
    """Begin anew and throw away the demo that the folder holds."""
    dry_run: bool = False
    """Print the plan, and the time, energy and disk it will take, and stop."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return self._sweep.written

    @property
    def kept(self) -> str:
        """What an interruption leaves."""
        return self._sweep.kept

    @property
    def _sweep(self) -> SweepCommand:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return SweepCommand(config=preset(DEMO), **given)

    def __call__(self) -> None:  # noqa: D102
        self._sweep()


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Train one model on the first rows of a corpus and measure it."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    out: Path
    """Folder of the run; an unfinished run in it is taken up again."""
    preset: str = DEMO
    """Settings to start from, which the other options change: "demo"; "tiny", "small" or "medium",
    the paper's models."""
    force: bool = False
    """Begin anew and throw away the run that the folder holds."""
    dry_run: bool = False
    """Print the plan, and the time, energy and disk it will take, and stop."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return () if self.dry_run else (self.out,)

    @property
    def kept(self) -> str:
        """What an interruption leaves."""
        return _begun(*self.written, force=self.force)

    def __call__(self) -> None:  # noqa: D102
        if self.dry_run:
            from attractor.cli.plan import plan_run

            plan_run(self.config, self.out, WATTS, force=self.force)
        else:
            from attractor.cli.run import run_training

            run_training(self.config, self.out, self.force)


@dataclass(frozen=True, kw_only=True)
class ProbeCommand:
    """Measure a finished run again, with other times, rows or noise, or on text of your own."""

    run: Folder
    """Folder of a run, or a run of a sweep, such as runs/demo:n=32,seed=1."""
    config: Annotated[ProbeConfig, tyro.conf.arg(name="")]
    text: Path | None = None
    """Text to measure as unseen text: a .txt, .jsonl or .parquet file, or a folder of those; by
    default the unseen rows of the run's own corpus."""
    column: str = "text"
    """Name of the column that holds the text in .jsonl and .parquet files."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return (self.run,)

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_probe

        run_probe(self.run, self.config, self.text, self.column)


@dataclass(frozen=True, kw_only=True)
class MeasureCommand:
    """Add measurements to a sweep: what its models lack of them is made, and nothing is trained."""

    sweep: Folder
    """Folder of a sweep, or one run of it, such as runs/demo:n=32; or, with --sizes-from-names, a
    pattern of checkpoints, such as 'owner/models/tiny/*.ckpt'."""
    config: Annotated[ProbeConfig, tyro.conf.arg(name="")]
    workers: int | None = None
    """How many models are measured side by side; by default one for each core, or one where there
    is a GPU."""
    sizes_from_names: bool = False
    """Measure checkpoints that somebody else has trained as a sweep: the number at the end of each
    name is the size of its training set, in rows or, up to 1, as a fraction of them."""
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    """The text such checkpoints were trained on."""
    out: Path | None = None
    """Folder of the sweep that is made of them; unless given, runs/ and the name of the folder that
    the checkpoints are in."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        if self.sizes_from_names:
            return (self.family_folder,)
        return (self.sweep,) if self.sweep.exists() else ()

    @property
    def family_folder(self) -> Path:
        """Folder of the sweep that is made of checkpoints."""
        return self.out or Path("runs") / (self.sweep.parent.name or "checkpoints")

    kept = GOES_ON

    def __call__(self) -> None:  # noqa: D102
        from attractor.adapters.sweep_folder import is_run
        from attractor.cli.run import run_family, run_measure, run_probe

        if self.sizes_from_names:
            run_family(str(self.sweep), self.data, self.config, self.family_folder)
        elif self.out is not None or self.data != DataConfig():
            raise AttractorError(
                "--data and --out are for checkpoints of other people: give --sizes-from-names too"
            )
        elif is_run(self.sweep):
            run_probe(self.sweep, self.config, None, "text")
        else:
            run_measure(self.sweep, self.config, self.workers)


@dataclass(frozen=True, kw_only=True)
class GenerateCommand:
    """Let the model of a run write, and print the text."""

    run: Folder
    """Folder of a run, or a run of a sweep, such as runs/demo:n=32,seed=1."""
    n: int = 5
    """How many sequences the model writes."""
    steps: int = 1000
    """Steps of the reverse process, from nothing but noise to text; at least 1."""
    temperature: float = 1.0
    """Log-probabilities are divided by this number above 0; below 1 it makes the model surer of
    each token than it is, and 1 changes nothing."""
    top_p: float = 1.0
    """Draw each token only from the likeliest ones that together reach this probability, above 0
    and at most 1; 1 keeps all tokens."""
    seed: int = 0
    """Seed of the noise."""
    weights: Literal["ema", "raw"] = "ema"
    """Which weights of the model: "ema", averaged over training, or "raw", those of the last
    step."""

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_generate

        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        run_generate(given.pop("run"), **given)


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


@dataclass(frozen=True, kw_only=True)
class PushCommand:
    """Publish a run on the Hugging Face Hub, with its tokenizer and a model card that tells what
    was measured."""

    run: Folder
    """Folder of a run, or a run of a sweep, such as runs/demo:n=32,seed=1."""
    hub_id: tyro.conf.Positional[str]
    """Name of the model on the Hub, owner/name."""
    weights: Literal["ema", "raw"] = "ema"
    """Which weights of the model: "ema", averaged over training, or "raw", those of the last
    step."""
    private: bool = False
    """Let only its owner see the model, if it is new on the Hub."""
    dry_run: Path | None = None
    """Write what would be published into this folder, which must be empty or new, and stop."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written on this machine."""
        return () if self.dry_run is None else (self.dry_run, self.dry_run.absolute().parent)

    def __call__(self) -> None:  # noqa: D102
        from attractor import publish
        from attractor.cli.terminal import say

        publish.require_hub_id(self.hub_id)
        if self.dry_run is not None:
            say(publish.export(self.run, self.dry_run, self.weights, self.hub_id))
        else:
            say(publish.push(self.run, self.hub_id, self.weights, self.private))


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write the summary and the report of a sweep again, and its figures and tables for a paper."""

    sweep: Folder
    """Folder of a sweep."""
    figures: Literal["pdf", "svg", "eps", "png"] | None = None
    """Write figures as files of this format too."""
    set: Literal["page", "paper"] = "page"
    """Which figures: page, each of the report; paper, those that a paper about a transition shows
    (transition, histograms, trajectories, passages)."""
    only: tuple[str, ...] = ()
    """Names of the figures that are wanted, such as recovery or, of the paper's, transition."""
    row: int | None = None
    """Row of training and of unseen text that the passages show, from 0; by default a typical
    one."""
    tables: Literal["csv", "tex"] | None = None
    """Write tables as files of this format too; in tex also the passages."""
    out: Path | None = None
    """Folder for these files; by default figures and tables beside the report."""
    dpi: int = 300
    """Dots per inch of png."""
    style: Path | None = None
    """Style file of matplotlib for these figures."""
    tagger: Literal["nltk"] | None = None
    """Name the word class of each micro-attractor, a token of unseen text of which the model is
    certain, with this tagger; it needs the package nltk."""
    beside: tuple[Folder, ...] = ()
    """Folders of finished sweeps to show in the same figures, such as one of another noise."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        found = (self.sweep,) if self.sweep.exists() else ()
        return found if self.out is None else (*found, self.out)

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.terminal import say
        from attractor.report.extras import Extras, write_extras
        from attractor.report.page import write_report
        from attractor.report.sweep_files import read_report
        from attractor.sweeps.run import summarize
        from attractor.sweeps.summary import add_word_classes

        extras = Extras(
            figures=self.figures,
            tables=self.tables,
            set=self.set,
            only=self.only,
            out=self.out,
            style=self.style,
            dpi=self.dpi,
        )
        pages = summarize(self.sweep, self.row)
        for page in pages:
            if self.tagger is not None:
                add_word_classes(page.parent, self.tagger)
            if self.tagger is not None or self.beside:
                write_report(page.parent, self.beside)
            for notice in read_report(page.parent).notices:
                print(f"attractor: {notice}", file=sys.stderr)
            say(page)
        for path in write_extras([page.parent for page in pages], extras, self.beside):
            say(path)


@dataclass(frozen=True, kw_only=True)
class TwinsCommand:
    """Add the two-model test to a finished sweep: a second model at each size, on rows the first
    never saw."""

    sweep: Folder
    """Folder of a sweep."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return (self.sweep,) if self.sweep.exists() else ()

    kept = GOES_ON

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_twins

        run_twins(self.sweep)


@dataclass(frozen=True, kw_only=True)
class TheoryCommand:
    """Measure spin memories and exactly solvable denoisers, whose answers are known, and write a
    page about them."""

    out: Path = Path("runs/theory")
    """Folder of the page."""
    n: int = 500
    """Number of spins of each memory, at least 10."""
    loads: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    """Loads at which memories are measured, in stored patterns per spin: each at least 1/n and at
    most 2."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the stored patterns; intervals are over them."""
    markov: bool = False
    """Train a network on text of the Markov source too, at several numbers of sequences."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        return (self.out,)

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.terminal import say
        from attractor.theory_page.write import write_theory_report

        page = write_theory_report(
            self.out,
            n=self.n,
            loads=self.loads,
            seeds=self.seeds,
            markov=self.markov,
            on_progress=say,
        )
        say(page)


@dataclass(frozen=True, kw_only=True)
class ExploreCommand:
    """Write a page on which anyone can let sentences fall into the basins of a sweep's models: one
    file that needs no network."""

    sweep: tyro.conf.Positional[Path | None] = None
    """Folder of a sweep; the reference models that ship with the package unless given."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """File to write; unless given explorer.html, in the folder of the sweep, or here without
    one."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Where something will be written."""
        if self.out is not None:
            return (self.out,)
        return () if self.sweep is None or not self.sweep.exists() else (self.sweep,)

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.terminal import say
        from attractor.explore import write_explorer

        say(write_explorer(self.sweep, self.out, on_progress=say))


def _given(command: AuditCommand | ExtractCommand) -> dict[str, Any]:
    """All options of a command by their names."""
    given = {field.name: getattr(command, field.name) for field in dataclasses.fields(command)}
    return given | vars(given.pop("reading"))


def _begun(*folders: Path, force: bool) -> str:
    """What an interrupted command leaves in its folder, which vanishes if nothing was begun."""
    for folder in folders:
        packing = folder.absolute().parent.glob(f".{glob.escape(folder.name)}.packing-*")
        if folder.exists() or any(packing):
            return GOES_ON.replace("again", "without --force") if force else GOES_ON
    return NOTHING_KEPT

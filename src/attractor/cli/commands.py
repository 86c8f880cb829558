"""The commands: their options, each default written once, and a call for each.

What a call needs is imported inside it, because the options alone have to be there in an instant:
torch takes seconds to load, and `--help` does not need it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import tyro

from attractor.config.presets import preset
from attractor.config.settings import ProbeConfig, RunConfig, SweepConfig

Folder = tyro.conf.Positional[Path]
DEMO = "demo"
WATTS = 100.0
"""Power of this machine unless stated."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train models over nested training sets, measure them, find the transition, write a report."""

    config: Annotated[SweepConfig, tyro.conf.arg(name="")]
    out: Path
    """directory of the sweep; an unfinished one is taken up again"""
    preset: str = DEMO
    """settings to start from: demo; tiny, small, medium (the paper's models and sizes); paper
    (those three in one)"""
    workers: int | None = None
    """models trained side by side; by default one for each core, or one on a GPU"""
    force: bool = False
    """throw away what the directory holds"""
    dry_run: bool = False
    """print the plan and what it takes: this machine is timed for a few seconds; then stop"""
    watts: float = WATTS
    """power of this machine, for the energy in the plan"""
    status: bool = False
    """print what is done, running, failed and left in the directory, and stop"""
    adaptive: bool = False
    """choose sizes one after another, between the smallest and the largest, until n* is known"""
    precision: float = 1.5
    """of an adaptive sweep: largest ratio of the ends of the interval of n*"""
    at_once: int = 1
    """of an adaptive sweep: sizes of each model that are trained side by side"""
    executor: Literal["local", "ray"] = "local"
    """processes of this machine, or tasks of a Ray cluster whose nodes see the directory"""
    address: str = "auto"
    """of the Ray cluster: auto (the one this machine belongs to), [IPv6]:port or host:port of its
    head, or ray://..."""
    cpus: float = 1.0
    """of each Ray task, which computes with as many threads"""
    gpus: float | None = None
    """of each Ray task; by default 1 if any node has one"""

    def __call__(self) -> None:  # noqa: D102
        precision = self.precision if self.adaptive else None
        if self.status:
            from attractor.cli.tables import show_status

            show_status(self.out)
        elif self.dry_run:
            from attractor.cli.plan import show_plan

            show_plan(
                self.config, self.workers, self.watts, precision=precision, at_once=self.at_once
            )
        else:
            from attractor.cli.run import run_sweep

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
class Demo:
    """The whole story on a laptop in minutes: six small models on the World English Bible."""

    out: Path = Path("runs/demo")
    """directory of the sweep"""
    workers: int | None = None
    """models trained side by side; by default one for each core"""
    force: bool = False
    """train again even if the demo is finished"""
    dry_run: bool = False
    """print the plan and stop"""

    def __call__(self) -> None:  # noqa: D102
        config = preset(DEMO)
        Sweep(
            config=config,
            out=self.out,
            workers=self.workers,
            force=self.force,
            dry_run=self.dry_run,
        )()


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one model on the first rows of a corpus and measure it."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    out: Path
    """directory of the run"""
    preset: str = DEMO
    """settings to start from: demo, tiny, small, medium"""
    force: bool = False
    """replace a finished run"""
    dry_run: bool = False
    """print the plan and stop"""

    def __call__(self) -> None:  # noqa: D102
        if self.dry_run:
            from attractor.cli.plan import show_plan

            shared = {
                f.name: getattr(self.config, f.name)
                for f in dataclasses.fields(self.config)
                if f.name not in ("n_train", "seed")
            }
            show_plan(SweepConfig(sizes=(self.config.n_train,), **shared), None, WATTS)
        else:
            from attractor.cli.run import run_training

            run_training(self.config, self.out, self.force)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Measure a finished run again, with other times, rows or noise, or on text of your own."""

    run: Folder
    """a run directory"""
    config: Annotated[ProbeConfig, tyro.conf.arg(name="")]
    text: Path | None = None
    """measure this file as unseen text: .txt, .jsonl, .parquet or a folder; by default the run's
    own test rows"""
    column: str = "text"
    """text column of .jsonl and .parquet files"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_probe

        run_probe(self.run, self.config, self.text, self.column)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Add measurements to a sweep: what its models lack of them is made, and nothing is trained."""

    sweep: Folder
    """a sweep directory"""
    config: Annotated[ProbeConfig, tyro.conf.arg(name="")]
    workers: int | None = None
    """models measured side by side; by default one for each core, or one on a GPU"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_measure

        run_measure(self.sweep, self.config, self.workers)


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Let a model write."""

    run: Folder
    """a run directory"""
    n: int = 5
    """how many sequences"""
    steps: int = 1000
    """steps of the reverse process"""
    temperature: float = 1.0
    """below 1 makes the distributions surer than they are"""
    top_p: float = 1.0
    """of each distribution keep the likeliest tokens that reach this probability together"""
    seed: int = 0
    """of the noise"""
    weights: str = "ema"
    """ema (averaged weights) or raw"""

    def __call__(self) -> None:  # noqa: D102
        from attractor import adapters
        from attractor.cli.run import run_generate
        from attractor.model.sharpened import Sharpened

        denoiser = adapters.load(self.run, cast(adapters.Weights, self.weights))
        run_generate(
            self.run,
            Sharpened(denoiser, self.temperature, self.top_p),
            self.n,
            self.steps,
            self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Does a model memorize or generalize? A page, its numbers and a paragraph for a model card;
    data are optional."""

    model: tyro.conf.Positional[str]
    """a run, somebody's checkpoint, or a Hub id"""
    train: Path | None = None
    """text the model was trained on: .txt, .jsonl, .parquet, a folder of those, or an .npy matrix
    of token rows"""
    test: Path | None = None
    """text it has not seen"""
    own_data: bool = False
    """of a run: use the rows it was trained on, and its unseen ones"""
    column: str = "text"
    """text column of .jsonl and .parquet files"""
    tokenizer: Path | None = None
    """the model's tokenizer, where none lies beside it"""
    n: int = 2000
    """generations at most"""
    minutes: float = 4.0
    """time for what needs no data, and again for what does, after which fewer sequences must do; 0
    is no limit"""
    steps: int = 32
    """of the reverse process"""
    rows: int = 1000
    """training and unseen sequences at most"""
    seed: int = 0
    """of the noise"""
    reference: Path | None = None
    """reference curves of your own, see `attractor reference`"""
    out: Path | None = None
    """folder of the audit, replaced if it holds one; audits/<model> unless given"""
    gate: bool = False
    """exit with 0 for generalizing, 1 for memorizing, 3 for anything between or undecided"""
    weights: Literal["ema", "raw"] = "ema"
    """averaged or last weights"""
    revision: str | None = None
    """of a Hub model"""
    family: str | None = None
    """which layout of checkpoints it is, where it cannot be told"""
    settings: tuple[str, ...] = ()
    """what the checkpoint does not tell, such as n_heads=12 seq_len=1024"""

    def __call__(self) -> int:  # noqa: D102
        from attractor.cli.audit import run_audit

        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        gate, into = given.pop("gate"), given.pop("out")
        found = run_audit(into=into, **given)
        return found.verdict.exit_code if gate else 0


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Make reference curves for audits of a finished sweep whose models go from memorizing to
    generalizing."""

    sweep: Folder
    """a sweep directory"""
    out: Path
    """the JSON file to write"""
    name: str
    """what the sweep is, in words"""
    n: int = 500
    """generations of each model"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.audit import run_reference

        run_reference(self.sweep, self.out, self.name, self.n)


@dataclass(frozen=True, kw_only=True)
class Push:
    """Publish a run on the Hugging Face Hub, with its tokenizer and a model card that tells what
    was measured."""

    run: Folder
    """a run directory"""
    hub_id: tyro.conf.Positional[str]
    """owner/name"""
    weights: Literal["ema", "raw"] = "ema"
    """averaged or last weights"""
    private: bool = False
    """if the model is new: only for its owner"""
    dry_run: Path | None = None
    """write what would be published into this folder, and stop"""

    def __call__(self) -> None:  # noqa: D102
        from attractor import publish

        if self.dry_run is not None:
            print(publish.export(self.run, self.dry_run, self.weights, self.hub_id))
        else:
            print(publish.push(self.run, self.hub_id, self.weights, self.private))


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the summary and the report of a sweep again, and its figures and tables for a paper."""

    sweep: Folder
    """a sweep directory"""
    figures: Literal["pdf", "svg", "eps", "png"] | None = None
    """also write each figure to <sweep>/figures"""
    tables: Literal["csv", "tex"] | None = None
    """also write each table to <sweep>/tables"""
    style: Path | None = None
    """matplotlib style file of the figures"""
    tagger: Literal["nltk"] | None = None
    """name the word class of each micro-attractor"""
    beside: tuple[Folder, ...] = ()
    """finished sweeps to compare with, such as one of another noise"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.report.page import write_extras, write_report
        from attractor.report.sweep_files import read_report
        from attractor.sweeps.run import summarize
        from attractor.sweeps.summary import add_word_classes

        for page in summarize(self.sweep):
            if self.tagger is not None:
                add_word_classes(page.parent, self.tagger)
            if self.tagger is not None or self.beside:
                write_report(page.parent, self.beside)
            for notice in read_report(page.parent).notices:
                print(f"attractor: {notice}", file=sys.stderr)
            print(page)
            for path in write_extras(
                page.parent, self.figures, self.tables, self.style, self.beside
            ):
                print(path)


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Add the two-model test to a finished sweep: a second model at each size, on rows the first
    never saw."""

    sweep: Folder
    """a sweep directory"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.cli.run import run_twins

        run_twins(self.sweep)


@dataclass(frozen=True, kw_only=True)
class Theory:
    """Measure spin memories and exactly solvable denoisers, whose answers are known, and write a
    page about them."""

    out: Path = Path("runs/theory")
    """directory of the page"""
    n: int = 500
    """spins of each memory, at least 10"""
    loads: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    """patterns per spin"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of the patterns; intervals are over them"""
    markov: bool = False
    """also train a network on data of the Markov source, at several numbers of sequences"""

    def __call__(self) -> None:  # noqa: D102
        from attractor.theory_page.write import write_theory_report

        page = write_theory_report(
            self.out,
            n=self.n,
            loads=self.loads,
            seeds=self.seeds,
            markov=self.markov,
            on_progress=print,
        )
        print(page)

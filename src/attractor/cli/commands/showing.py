"""Commands that show or publish what was found."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attractor.cli.paths import Folder


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

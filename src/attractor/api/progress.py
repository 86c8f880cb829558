"""What is shown while models train: a bar for each in a terminal and in a notebook, and lines where
a notebook lacks the widgets that bars need."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from attractor.data.stream import Packed
from attractor.machine.units import size
from attractor.sweeps.follow import RunEvent, Watcher
from attractor.train.state import Progress as Line

WIDGETS = "ipywidgets"
"""Draws what changes in a notebook."""


class Watched(NamedTuple):
    """Who hears of what while models train."""

    runs: Watcher
    """of each model"""
    packing: Callable[[Packed], None]
    """of a corpus that is streamed"""


@contextlib.contextmanager
def shown(steps: int, console: Console | None) -> Iterator[Watched]:
    """Show how models train for so many steps, on a console; nothing without one."""
    if console is None:
        yield Watched(lambda event: None, lambda packed: None)
    elif console.is_jupyter and not _has_widgets():
        yield Watched(_Lines(console), lambda packed: None)
    else:
        with progress_bars(console) as bars:
            yield Watched(ModelBars(bars, steps), packing_bar(bars))


class WatchedRun(NamedTuple):
    """Who hears of what while one model trains."""

    line: Callable[[Line], None]
    """of each line of its metrics"""
    packing: Callable[[Packed], None]
    """of a corpus that is streamed"""


@contextlib.contextmanager
def training(title: str, steps: int, console: Console | None) -> Iterator[WatchedRun]:
    """Show how one model trains for so many steps, on a console; nothing without one."""
    if console is None:
        yield WatchedRun(lambda line: None, lambda packed: None)
    elif console.is_jupyter and not _has_widgets():
        yield WatchedRun(_Tenths(console, title, steps), lambda packed: None)
    else:
        with progress_bars(console) as bars:
            yield WatchedRun(training_bar(bars, title, steps), packing_bar(bars))


@contextlib.contextmanager
def doing(what: str, console: Console | None) -> Iterator[Callable[[str], None]]:
    """Show what is being done, on a console; yields what hears of the next thing."""
    if console is None or (console.is_jupyter and not _has_widgets()):
        yield lambda doing: None
    else:
        with console.status(what) as status:
            yield status.update


def console_of(progress: bool | Console) -> Console | None:
    """Where progress is shown, None for nowhere."""
    return progress if isinstance(progress, Console) else Console() if progress else None


def _has_widgets() -> bool:
    return importlib.util.find_spec(WIDGETS) is not None


class _Lines:
    """A line for each model that is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        console.print(f"a line for each model that is done (pip install {WIDGETS} shows bars)")

    def __call__(self, event: RunEvent) -> None:
        if event.progress is None:
            self.console.print(f"{event.run.title}: trained and measured", highlight=False)


class _Tenths:
    """A line for each tenth of a training."""

    def __init__(self, console: Console, title: str, steps: int) -> None:
        self.console, self.title, self.steps = console, title, steps
        self.said = 0
        console.print(f"a line for each tenth (pip install {WIDGETS} shows a bar)")

    def __call__(self, line: Line) -> None:
        tenth = 10 * line.step // self.steps
        if tenth > self.said:
            self.said = tenth
            where = f"{self.title}: step {line.step:,} of {self.steps:,}, {_note(line)}"
            self.console.print(where, highlight=False, markup=False)


class _Bars(Progress):
    """Bars that are drawn from the first one on: an error that comes before is to stand alone."""

    def start(self) -> None:
        """Draw, if there is something to be drawn."""
        if self.tasks:
            super().start()

    def add_task(self, description: str, *args: Any, **kwargs: Any) -> TaskID:
        """Add a bar, and begin to draw with the first one."""
        task = super().add_task(description, *args, **kwargs)
        self.start()
        return task

    def stop(self) -> None:
        """Draw no more, if anything was drawn."""
        if self.live.is_started:
            super().stop()


def progress_bars(console: Console) -> Progress:
    """The frame that bars are added to; it is drawn while it is entered, from the first bar on."""
    return _Bars(
        TextColumn("{task.description:>12}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


class ModelBars:
    """One bar for each model, from its first report to its last."""

    def __init__(self, bars: Progress, steps: int) -> None:
        self.bars, self.steps = bars, steps
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: RunEvent) -> None:  # noqa: D102
        run = event.run
        if run.run_id not in self.tasks:
            self.tasks[run.run_id] = self.bars.add_task(run.title, total=self.steps, note="")
        task = self.tasks[run.run_id]
        if event.progress is None:
            self.bars.update(task, note="measured")
        else:
            advance(self.bars, task, event.progress)


def training_bar(bars: Progress, title: str, steps: int) -> Callable[[Line], None]:
    """A bar for one model, from its first line of metrics on."""
    tasks: list[TaskID] = []

    def show(line: Line) -> None:
        if not tasks:
            tasks.append(bars.add_task(title, total=steps, note=""))
        advance(bars, tasks[0], line)

    return show


def advance(bars: Progress, task: TaskID, line: Line) -> None:
    """Move a model's bar to the step of a line of its metrics, and say what the line says."""
    bars.update(task, completed=line.step, note=_note(line))


def _note(line: Line) -> str:
    loss = "not finite" if line.loss is None else f"{line.loss:.3f} nats"
    note = f"loss {loss}  {line.tokens_per_s:,.0f} tokens/s"
    if line.validation_nelbo is not None:
        note += f"  unseen {line.validation_nelbo:.3f} nats"
    if line.check is not None:
        note += f"  recovery {line.check.recovery_train:.2f}, {line.check.recovery_test:.2f} unseen"
    return note


def packing_bar(bars: Progress) -> Callable[[Packed], None]:
    """A bar, without an end, for a corpus that is streamed."""
    tasks: list[TaskID] = []

    def show(packed: Packed) -> None:
        if not tasks:  # no bar before there is something to pack: most corpora are not streamed
            tasks.append(bars.add_task("packing", total=None, note=""))
        read = f"{packed.documents:,} documents, {size(packed.characters)}, {packed.rows:,} rows"
        bars.update(tasks[0], note=read)

    return show

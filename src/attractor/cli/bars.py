"""Progress bars, one for each model that is trained and one for text that is packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from attractor.cli.terminal import out
from attractor.data.stream import Packed
from attractor.machine.units import size
from attractor.sweeps.follow import RunEvent
from attractor.train.state import Progress as Line


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


def progress_bars() -> Progress:
    """The frame that bars are added to; it is drawn while it is entered, from the first bar on."""
    return _Bars(
        TextColumn("{task.description:>12}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=out,
    )


class Watcher:
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
    loss = "not finite" if line.loss is None else f"{line.loss:.3f}"
    note = f"loss {loss}  {line.tokens_per_s:,.0f} tok/s"
    if line.validation_nelbo is not None:
        note += f"  validation {line.validation_nelbo:.3f}"
    if line.check is not None:
        note += f"  recovery {line.check.recovery_train:.2f}, {line.check.recovery_test:.2f} unseen"
    bars.update(task, completed=line.step, note=note)


def packing_bar(bars: Progress) -> Callable[[Packed], None]:
    """A bar, without an end, for a corpus that is streamed."""
    tasks: list[TaskID] = []

    def show(packed: Packed) -> None:
        if not tasks:  # no bar before there is something to pack: most corpora are not streamed
            tasks.append(bars.add_task("packing", total=None, note=""))
        read = f"{packed.documents:,} documents, {size(packed.characters)}, {packed.rows:,} rows"
        bars.update(tasks[0], note=read)

    return show

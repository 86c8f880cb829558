"""Commands that train: the demo, sweeps and single runs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from attractor.cli.net import GOES_ON, NOTHING_KEPT
from attractor.config.presets import preset
from attractor.config.settings import RunConfig, SweepConfig

DEMO = "demo"
WATTS = 100.0
"""Power of this machine in watts, unless stated."""


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


def _begun(*folders: Path, force: bool) -> str:
    """What an interrupted command leaves in its folder, which vanishes if nothing was begun."""
    for folder in folders:
        packing = folder.absolute().parent.glob(f".{glob.escape(folder.name)}.packing-*")
        if folder.exists() or any(packing):
            return GOES_ON.replace("again", "without --force") if force else GOES_ON
    return NOTHING_KEPT

"""Sweeps from Python: models over nested training sets of one's own text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from attractor.api.inputs import folder_of, text_settings
from attractor.api.progress import console_of, shown
from attractor.api.settings import sweep_settings
from attractor.api.sweeps import Sweep
from attractor.config.presets import preset as named
from attractor.config.settings import ProbeConfig, SweepConfig
from attractor.data.subsets import SplitCounts
from attractor.sweeps.executor import Executor
from attractor.sweeps.run import sweep as run_sweep

Note = Callable[[SplitCounts, int, ProbeConfig], None]


def sweep(
    out: str | Path,
    *,
    text: str | Path | Iterable[str] | None = None,
    sizes: Sequence[float] | None = None,
    preset: str = "demo",
    workers: int | None = None,
    precision: float | None = None,
    force: bool = False,
    progress: bool | Console = True,
    **settings: Any,
) -> Sweep:
    """Train models over nested training sets, measure them, and locate the transition.

    Called again, it goes on where it was interrupted; a finished sweep is opened, and measurements
    that are asked for in addition are made.

    Args:
        out: folder of the sweep.
        text: a file or folder, a name such as "bible", a data set of the Hub, or a list of texts,
            which is kept beside the folder; that of the preset unless given.
        sizes: training-set sizes, as numbers of rows or as fractions of all, where 1 is all.
        preset: settings to start from: "demo", "reference", "tiny", "small", "medium", "paper".
        workers: models trained side by side; one for each core, or one where there is a GPU,
            unless given.
        precision: choose sizes one after another until n* is known to this factor.
        force: throw away what the folder holds.
        progress: whether to show how far it is; a console of rich to show it there.
        settings: any other setting by its name, such as `seq_len=64` or `seeds=(0, 1)`; where
            several sections have one of this name, inside its section: `train={"steps": 500}`.

    Raises:
        AttractorError: for bad input, before anything is trained; if a model failed; if the folder
            holds another sweep, or somebody works on it.
    """
    out = folder_of(out)
    given = dict(settings)
    if sizes is not None:
        given["sizes"] = sizes
    config = sweep_settings(named(preset), given)
    config = sweep_settings(config, text_settings(text, out, force))
    return train_sweep(
        config, out, workers=workers, precision=precision, force=force, console=console_of(progress)
    )


def train_sweep(
    config: SweepConfig,
    out: Path,
    *,
    console: Console | None,
    workers: int | None = None,
    executor: Executor | None = None,
    precision: float | None = None,
    at_once: int = 1,
    force: bool = False,
    note: Note = lambda counts, rows, probe: None,
) -> Sweep:
    """The same for settings that are complete; see `sweeps.run.sweep`."""
    with shown(config.train.steps, console) as watched:
        run_sweep(
            config,
            out,
            watched.runs,
            workers=workers,
            executor=executor,
            precision=precision,
            at_once=at_once,
            force=force,
            note=note,
            on_packing=watched.packing,
        )
    return Sweep(out)

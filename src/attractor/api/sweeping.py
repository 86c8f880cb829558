"""Sweeps from Python: models over nested training sets of one's own text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from attractor.adapters.sweep_folder import require_no_run_named
from attractor.api.documents import COLUMN, same_documents, write_documents
from attractor.api.progress import console_of, shown
from attractor.api.settings import sweep_settings
from attractor.api.sweeps import Sweep
from attractor.config.presets import preset as named
from attractor.config.settings import ProbeConfig, SweepConfig
from attractor.data.subsets import SplitCounts
from attractor.machine.paths import expanded, require_writable
from attractor.sweeps.executor import Executor
from attractor.sweeps.run import sweep as run_sweep
from attractor.types import AttractorError

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
    out = _folder(out)
    given = dict(settings)
    if sizes is not None:
        given["sizes"] = sizes
    base = named(preset)
    config = sweep_settings(base, given)
    if text is not None:
        config = sweep_settings(config, {"source": _source(text, out, force)})
        if not isinstance(text, str | Path):
            config = sweep_settings(config, {"column": COLUMN})
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


def _folder(out: str | Path) -> Path:
    if not isinstance(out, str | Path) or not str(out):
        raise AttractorError(f"out = {out!r:.80}: the path of a folder is wanted")
    folder = expanded(out)
    require_no_run_named(folder)
    require_writable(folder)
    return folder


def _source(text: str | Path | Iterable[str], out: Path, force: bool) -> str:
    """The text as settings name it. What is given in memory is kept beside the sweep: its folder
    holds nothing of others, and the text must be there when the sweep goes on."""
    if isinstance(text, str | Path):
        if "\n" in str(text):
            raise AttractorError(
                f"text = {str(text)[:40]!r}... is no path: a text itself is given in a list, "
                "text=[...], each of its documents by itself"
            )
        return str(expanded(text))
    documents = text if hasattr(text, "read") else list(text)
    file = out.with_name(f"{out.name}.text.jsonl")
    if file.exists() and not force and not hasattr(text, "read"):
        if not same_documents(documents, file):
            raise AttractorError(
                f"'{file}' holds the text of an earlier sweep, which is another one: choose "
                "another folder, or force=True"
            )
        return str(file)
    return str(write_documents(documents, file))

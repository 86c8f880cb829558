"""One model from Python: trained on the first rows of a text, then measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from attractor.api.inputs import folder_of, text_settings
from attractor.api.progress import console_of, training
from attractor.api.run import Run
from attractor.api.settings import run_settings
from attractor.config.presets import preset as named
from attractor.config.presets import single
from attractor.config.settings import RunConfig
from attractor.runs.measure import results_of
from attractor.runs.run import FinishedError, run_alone


def train_model(
    out: str | Path,
    *,
    text: str | Path | Iterable[str] | None = None,
    n_train: int | None = None,
    preset: str = "demo",
    force: bool = False,
    progress: bool | Console = True,
    **settings: Any,
) -> Run:
    """Train one model on the first rows of a text, and measure it.

    Called again, it goes on where it was interrupted; a trained model is opened, and measurements
    that are asked for in addition are made.

    Args:
        out: folder of the run.
        text: a file or folder, a name such as "bible", a data set of the Hub, or a list of texts,
            which is kept beside the folder; that of the preset unless given.
        n_train: rows of its training set; 1,000 unless given.
        preset: settings to start from: "demo", "reference", "tiny", "small", "medium".
        force: throw away what the folder holds.
        progress: whether to show how far it is; a console of rich to show it there.
        settings: any other setting by its name, as for `attractor.sweep`.

    Raises:
        AttractorError: for bad input, before anything is trained; if training diverges; if the
            folder holds something else, or somebody works on it.
    """
    folder = folder_of(out)
    given = settings if n_train is None else {**settings, "n_train": n_train}
    config = run_settings(single(named(preset)), given)
    config = run_settings(config, text_settings(text, folder, force))
    try:
        return train_one(config, folder, console_of(progress), force)
    except FinishedError:
        return Run(folder, results_of(folder, config.probe))


def train_one(config: RunConfig, folder: Path, console: Console | None, force: bool) -> Run:
    """The same for settings that are complete; see `runs.run.run_alone`."""
    with training(f"n = {config.n_train:,}", config.train.steps, console) as watched:
        run_alone(config, folder, watched.line, force, watched.packing)
    return Run(folder, results_of(folder, config.probe))

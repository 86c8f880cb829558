"""Commands that ask more of models that are there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attractor.cli.net import GOES_ON
from attractor.cli.paths import Folder
from attractor.config.settings import DataConfig, ProbeConfig
from attractor.types import AttractorError


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

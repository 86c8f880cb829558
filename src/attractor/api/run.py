"""One trained model and what was measured on it, read from its folder when it is asked for."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from attractor import adapters
from attractor.adapters.family import Weights
from attractor.api import tables
from attractor.api.headline import HEAD, headline
from attractor.config.identity import run_config_from_dict
from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset
from attractor.data.replicas import ordered, training_set
from attractor.model.denoiser import Denoiser
from attractor.notebook import table_html
from attractor.results.tables import RunResults, read_results
from attractor.runs.folder import CONFIG, data_of, is_finished, read_json
from attractor.train.logbook import METRICS
from attractor.types import AttractorError


@dataclass(frozen=True, repr=False)
class Run:
    """A model of a sweep, or one that was trained by itself."""

    folder: Path
    measured: Path | None = None
    """folder of the measurements that are shown; its own unless given"""

    @functools.cached_property
    def config(self) -> RunConfig:
        """Every setting it was trained with."""
        return run_config_from_dict(read_json(self.folder / CONFIG), self.folder / CONFIG)

    @property
    def n_train(self) -> int:
        """Rows of its training set."""
        return self.config.n_train

    @property
    def seed(self) -> int:
        """Seed of its training."""
        return self.config.seed

    @property
    def data_seed(self) -> int:
        """Order of its training rows."""
        return self.config.data.order

    @property
    def finished(self) -> bool:
        """Whether it was trained and measured."""
        return is_finished(self.measured or self.folder)

    @functools.cached_property
    def results(self) -> RunResults:
        """Its numbers, and the arrays behind them: a value for every token.

        Raises:
            AttractorError: if it is not measured yet.
        """
        return read_results(self.measured or self.folder)

    def load(self, weights: Weights = "ema", device: str = "auto") -> Denoiser:
        """The trained model with its tokenizer; errors as `attractor.load`."""
        return adapters.load(self.folder, weights, device)

    def train_rows(self, n: int | None = None) -> Int[np.ndarray, "n L"]:
        """The first rows that it was trained on; all unless a number is given.

        Raises:
            AttractorError: if its data are gone.
        """
        config, data = self.config, self._data
        rows = ordered(data, config.data.order).train
        known = training_set(rows, config.n_train, config.data.repeat, config.data.repeat_rows)
        return np.array(known[:n])

    def unseen_rows(self, n: int | None = None) -> Int[np.ndarray, "n L"]:
        """The first rows that were held out; all unless a number is given.

        Raises:
            AttractorError: if its data are gone.
        """
        return np.array(self._data.test[:n])

    @functools.cached_property
    def _data(self) -> Dataset:
        return data_of(self.folder)

    def to_pandas(self) -> pd.DataFrame:
        """Its numbers, a row each; `attractor.api.tables.COLUMNS` says what the columns hold."""
        return tables.of_run(self.results)

    def metrics(self) -> pd.DataFrame:
        """What was logged while it trained, a row for each logged step; losses in nats per token.

        Raises:
            AttractorError: if it has not begun.
        """
        file = self.folder / METRICS
        if not file.is_file():
            raise AttractorError(f"'{self.folder}' has no {METRICS}: its training has not begun")
        return pd.DataFrame([json.loads(line) for line in file.read_text().splitlines()])

    def __repr__(self) -> str:
        said = f"n = {self.n_train:,}, seed {self.seed}"
        said += f", data seed {self.data_seed}" if self.data_seed else ""
        return f"<Run '{self.folder}': {said}{'' if self.finished else ', not finished'}>"

    def _repr_html_(self) -> str:
        return table_html(repr(self)[1:-1], HEAD, headline(self.results) if self.finished else [])

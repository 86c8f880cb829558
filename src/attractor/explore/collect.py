"""What the page shows: the models of a sweep by the size of their training sets, their tokenizer,
and rows of training and of unseen text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from attractor import adapters, reference
from attractor.adapters.sweep_folder import SWEEP, Member, members_of, no_sweep
from attractor.config.identity import run_config_from_dict
from attractor.config.settings import DataConfig, RunConfig
from attractor.data.replicas import ordered
from attractor.data.tokenizer import Tokenizer
from attractor.machine.files import read_json
from attractor.model.denoiser import Denoiser
from attractor.runs.folder import CONFIG, data_of
from attractor.train.checkpoints import checkpoint_paths
from attractor.types import AttractorError

SENTENCES = 24
"""Rows of either kind that can be chosen on the page."""
STORED = 4096
"""Training rows, at most, among which the nearest to a generation is looked for."""
REFERENCE_ROWS = Path(__file__).parent / "reference_rows.npz"
"""The first training and unseen rows of the reference models, whose data folder is not shipped."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Models of one recipe, and text."""

    name: str
    corpus: str
    """where the text comes from, in words"""
    models: dict[int, Denoiser]
    """by training rows, rising"""
    tokenizer: Tokenizer
    stored: Int[np.ndarray, "S L"]
    """training rows in the order in which training sets take them"""
    unseen: Int[np.ndarray, "U L"]
    note: str = ""
    """what of the sweep is not shown"""

    @property
    def learned(self) -> Int[np.ndarray, "K L"]:
        """Training rows to choose from: every model has seen them."""
        return self.stored[: min(SENTENCES, min(self.models))]

    @property
    def characters(self) -> bool:
        """Whether a token is a letter."""
        pieces = self.tokenizer.pieces(sorted(set(self.stored[:64, 1:-1].ravel().tolist())))
        return all(len(piece) == 1 for piece in pieces if piece[:1] + piece[-1:] != "[]")


def of_reference() -> Collection:
    """The models that ship with the package."""
    models = {n: adapters.load(f"{reference.PREFIX}n={n}") for n in reference.sizes()}
    rows = np.load(REFERENCE_ROWS, allow_pickle=False)
    return Collection(
        name="reference sweep",
        corpus=_corpus(DataConfig()),
        models=models,
        tokenizer=Tokenizer.load(reference.folder(f"{reference.PREFIX}n={reference.sizes()[0]}")),
        stored=rows["train"].astype(np.int64),
        unseen=rows["test"].astype(np.int64)[:SENTENCES],
    )


def of_sweep(folder: Path) -> Collection:
    """The trained models of a sweep: of several of one size the first seed, of several shapes the
    one of which most are trained.

    Raises:
        AttractorError: if there is no sweep, or none of its models is trained yet.
    """
    folder = Path(folder)
    if not (folder / SWEEP).is_file():
        raise no_sweep(folder)
    trained = [run for run in members_of(folder) if checkpoint_paths(run.folder)]
    if not trained:
        raise AttractorError(
            f"no model of '{folder}' has a checkpoint, so there is nothing to explore: train them "
            "with `attractor sweep`, or take back the folders checkpoint/ of its runs"
        )
    chosen = _chosen(trained)
    configs = {n: _config(run) for n, run in chosen.items()}
    first = chosen[min(chosen)]
    data = ordered(data_of(first.folder), configs[min(chosen)].data.order)
    left = len(trained) - len(chosen)
    return Collection(
        name=folder.resolve().name,
        corpus=_corpus(configs[min(chosen)].data),
        models={n: adapters.load(run.folder) for n, run in chosen.items()},
        tokenizer=data.tokenizer,
        stored=np.array(data.train[: min(STORED, max(chosen))]),
        unseen=np.array(data.test[:SENTENCES]),
        note=f"{left} other models of this sweep are not shown." if left else "",
    )


def _chosen(trained: list[Member]) -> dict[int, Member]:
    shapes = [run.values["model"] for run in trained]
    shape = max(dict.fromkeys(shapes), key=shapes.count)
    chosen: dict[int, Member] = {}
    for run in sorted(trained, key=_replicate):
        if run.values["model"] == shape:
            chosen.setdefault(int(run.values["n"]), run)
    return dict(sorted(chosen.items()))


def _replicate(run: Member) -> tuple[int, int]:
    config = _config(run)
    return config.data.order, config.seed


def _config(run: Member) -> RunConfig:
    return run_config_from_dict(read_json(run.folder / CONFIG), run.folder / CONFIG)


def _corpus(data: DataConfig) -> str:
    if data.source == dataclasses.fields(DataConfig)[0].default:
        return "the World English Bible"
    return Path(data.source).name or data.source

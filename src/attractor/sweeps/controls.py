"""Models whose behaviour is known, under the same probes: what a sweep must tell apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from attractor.config.identity import config_hash, to_dict
from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset
from attractor.machine.files import clear_up
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.process.registry import make_process
from attractor.results.tables import RunResults, read_results
from attractor.runs.folder import is_finished
from attractor.runs.measure import provenance, texts_of, write_measurements
from attractor.runs.train import process_of, untrained
from attractor.theory import EmpiricalDenoiser, bigram_source, random_source

CONTROLS = ("untrained", "memorizer", "generalizer")
ROWS = 100
"""Rows at most on which a control is measured; what it must show is far from subtle."""
BIGRAM_VOCABULARY = 512
"""Tokens up to which the exact generalizer has the corpus's own law of pairs; above it a table of
pairs is too large, and it is a small random source."""


def controlled(runs: list[RunConfig]) -> RunConfig:
    """The run of a sweep whose training set the controls see: the smallest that leaves them rows
    enough."""
    enough = min(ROWS, max(run.probe.rows for run in runs))
    return min(
        (run for run in runs if run.probe.rows >= enough),
        key=lambda run: (run.n_train, run.data.order, run.seed),
    )


def measure_controls(config: RunConfig, data: Dataset, folder: Path) -> dict[str, RunResults]:
    """Measure the controls of a sweep on the text of one of its runs, see `controlled`; what is
    there already of that run is read.

    The untrained network and the exact memorizer of that training set see the sweep's own rows; the
    exact generalizer, a Markov source with known law, sees its own text on both sides.
    """
    has_noise = config.process != "autoregressive"
    located = "recovery" if has_noise else "prefix_extraction"
    probe = dataclasses.replace(
        config.probe,
        measure=("entropy", "calibration", located, "likelihood", "membership"),
        t=config.probe.t[:1],
        repeats=1,
        rows=min(config.probe.rows, ROWS),
        test_rows=min(config.probe.test_rows, ROWS),
        nelbo_draws=4,
    )
    control = dataclasses.replace(config, probe=probe)
    stamp = provenance(control, data.tokenizer)
    if data.digest:  # the same settings may name another text
        told = {**to_dict(control), "rows": data.digest}
        stamp = dataclasses.replace(stamp, config_hash=config_hash(told))
    found = {}
    for name in CONTROLS if has_noise else CONTROLS[:1]:  # the others are exact under noise alone
        target = folder / name
        # Its hash is that of everything on which a control depends, the run included: with another
        # size in the sweep, or measured in another way, controls are made anew.
        there = read_results(target).provenance.config_hash if is_finished(target) else None
        if there != stamp.config_hash:
            target.mkdir(parents=True, exist_ok=True)
            clear_up(target)
            write_measurements(target, *_control(name, control, data), probe, stamp)
        found[name] = read_results(target)
    return found


def _control(name: str, config: RunConfig, data: Dataset) -> tuple[Denoiser, Texts]:
    texts = texts_of(data, config.n_train, config.probe, text=config.data)
    if name == "untrained":
        process = process_of(config, data.tokenizer)
        return NetworkDenoiser(untrained(config, process.vocab_size), process), texts
    vocab = data.tokenizer.vocab_size
    if name == "memorizer":
        store = EmpiricalDenoiser(torch.from_numpy(np.array(texts.corpus)).long(), vocab)
        # Of the text that the models have: padding is none.
        pad_id = data.tokenizer.pad_id if config.data.rows == "document" else None
        store.process = make_process("uniform", vocab, config.uniform_share, pad_id)
        return store, texts
    if vocab <= BIGRAM_VOCABULARY:
        source = bigram_source(torch.from_numpy(np.array(data.train[:20_000])).long(), vocab)
    else:
        source = random_source(24)
    length, rows, unseen = data.train.shape[1], len(texts.train), len(texts.test)
    # More than is probed: from the rest the bag of words learns what can be told without a model.
    text = source.sample(10 * (rows + unseen), length, seed=1).numpy()
    train, test = np.split(text, 2)
    return source, Texts(
        train[:rows], test[:unseen], train[:rows], train[rows:], test[unseen:], str
    )

"""A sweep of checkpoints that somebody else has trained on nested training sets: measured and
summarized like any other, and nothing is trained."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import itertools
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast

from attractor import adapters
from attractor.config.identity import to_json
from attractor.config.settings import DataConfig, ModelConfig, ProbeConfig, RunConfig, SweepConfig
from attractor.data.dataset import Dataset
from attractor.data.replicas import ordered
from attractor.machine.files import write_atomically
from attractor.machine.hub import first_line
from attractor.measurements.sets import for_process, recognised
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.process.registry import process_name
from attractor.runs.folder import DATA, claimed, held, prepare
from attractor.runs.measure import is_complete, measure_run, texts_of
from attractor.sweeps.plan import plan, sizes_of
from attractor.sweeps.run import SWEEP, require_locating, resolve
from attractor.sweeps.summary import write_summary
from attractor.types import AttractorError

SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?(?:e-?\d+)?)$")
"""The number at the end of a name."""


class Checkpoint(NamedTuple):
    """One of a family."""

    path: str
    """for `attractor.load`"""
    size: float
    """of its training set: a number of rows, or a fraction of all up to 1"""


def find_checkpoints(pattern: str) -> list[Checkpoint]:
    """The checkpoints of a pattern, by the sizes in their names, ascending.

    Args:
        pattern: of files or folders here, or of a model of the Hub, such as
            "owner/models/tiny/*.ckpt". The size is the number at the end of each name, such as that
            of lm1b-tiny-0.01.ckpt: above 1 a number of rows, else a fraction of them.

    Raises:
        AttractorError: if nothing matches, a name ends in no number, two in the same, or the Hub
            cannot be reached.
    """
    paths = sorted(glob.glob(str(Path(pattern).expanduser()))) or _on_hub(pattern)
    if not paths:
        raise AttractorError(f"'{pattern}' matches no checkpoint")
    found = [Checkpoint(path, _size(path)) for path in paths]
    found.sort(key=lambda checkpoint: checkpoint.size)
    for one, other in itertools.pairwise(found):
        if one.size == other.size:
            raise AttractorError(
                f"'{one.path}' and '{other.path}' are both of size {one.size:g}: a family has one "
                "checkpoint of each"
            )
    return found


def measure_checkpoints(
    checkpoints: list[Checkpoint],
    data: DataConfig,
    probe: ProbeConfig,
    out: Path,
    weights: adapters.Weights = "ema",
    say: Callable[[str], None] = lambda doing: None,
) -> list[Path]:
    """Measure each checkpoint as a run of a sweep and write its transition.json and its report.

    Args:
        checkpoints: as found by `find_checkpoints`.
        data: the text they were trained on, whose first rows are each training set; its rows get
            the length that the checkpoints have.
        probe: what is measured.
        out: folder of the sweep. What is there of the same family is kept.
        weights: which weights of each.
        say: hears of progress.

    Returns:
        the path of the report.

    Raises:
        AttractorError: for bad input, a checkpoint of another shape or noise than the first, or a
            tokenizer that is not theirs.
    """
    first = _load(checkpoints[0], weights)
    process = process_name(first.process)
    require_locating(probe, process)
    probe = for_process(probe, process)
    config = _config(checkpoints, first, data, recognised(probe))
    with claimed(out, SWEEP, config, force=False) as lock:
        prepared = prepare(config.data, out / DATA)
        _require_tokenizer(prepared, first)
        resolved = resolve(config, prepared, out)
        files = _by_rows(checkpoints, config, prepared)
        write_atomically(out / SWEEP, to_json(config))
        kept = lock.pop_all()
    with kept:
        runs = plan(resolved, len(prepared.train), out)
        for run in runs:
            folder, checkpoint = out / run.run_id, files[run.config.n_train]
            if is_complete(folder, run.config.probe):
                continue
            say(f"{run.title}, {checkpoint.path}")
            denoiser = _load(checkpoint, weights)
            _require_alike(checkpoint, denoiser, first)
            _measure(denoiser, run.config, prepared, folder)
        return write_summary(resolved, runs, prepared, out, None)


def _measure(denoiser: Denoiser, config: RunConfig, data: Dataset, folder: Path) -> None:
    rows = ordered(data, config.data.order)
    texts = texts_of(rows, config.n_train, config.probe, text=config.data)
    with held(folder, config):
        measure_run(folder, config, texts, data.tokenizer, denoiser=denoiser)


def _config(
    checkpoints: list[Checkpoint], first: NetworkDenoiser, data: DataConfig, probe: ProbeConfig
) -> SweepConfig:
    if first.seq_len is None:
        raise AttractorError(f"'{checkpoints[0].path}' does not tell how long its sequences are")
    network = first.network
    model = ModelConfig(
        hidden_size=network.vocab_embed.embedding.shape[1],
        n_blocks=len(network.blocks),
        n_heads=cast(int, network.blocks[0].n_heads),
        cond_dim=cast(int, network.sigma_map.mlp[0].out_features),
    )
    return SweepConfig(
        sizes=tuple(checkpoint.size for checkpoint in checkpoints),
        process=process_name(first.process),
        data=dataclasses.replace(data, seq_len=first.seq_len),
        model=model,
        probe=probe,
    )


def _by_rows(
    checkpoints: list[Checkpoint], config: SweepConfig, data: Dataset
) -> dict[int, Checkpoint]:
    """Each checkpoint by the rows of its training set."""
    found: dict[int, Checkpoint] = {}
    for checkpoint in checkpoints:
        alone = dataclasses.replace(config, sizes=(checkpoint.size,))
        (rows,) = sizes_of(alone, len(data.train))
        if rows in found:
            raise AttractorError(
                f"'{checkpoint.path}' and '{found[rows].path}' are both of {rows} rows of this text"
            )
        found[rows] = checkpoint
    return found


def _load(checkpoint: Checkpoint, weights: adapters.Weights) -> NetworkDenoiser:
    denoiser = adapters.load(checkpoint.path, weights)
    if not isinstance(denoiser, NetworkDenoiser):
        raise AttractorError(
            f"'{checkpoint.path}' is no diffusion transformer: families of others are not measured"
        )
    return denoiser


def _require_alike(
    checkpoint: Checkpoint, denoiser: NetworkDenoiser, first: NetworkDenoiser
) -> None:
    def shape(one: NetworkDenoiser) -> list[object]:
        parameters = [(name, p.shape) for name, p in one.network.named_parameters()]
        return [process_name(one.process), one.process.vocab_size, one.seq_len, parameters]

    if shape(denoiser) != shape(first):
        raise AttractorError(
            f"'{checkpoint.path}' is of another shape, noise or length than the first of its family"
        )


def _require_tokenizer(data: Dataset, first: NetworkDenoiser) -> None:
    size, known = data.tokenizer.vocab_size, first.process.text_size
    if size > first.process.vocab_size or size < known // 2:
        raise AttractorError(
            f"the tokenizer has {size:,} tokens, and the checkpoints know {known:,}: it is not "
            "theirs; --data.tokenizer names it"
        )


def _size(path: str) -> float:
    name = PurePosixPath(path).name
    stem = name.removesuffix(PurePosixPath(name).suffix) if name.endswith(_ENDINGS) else name
    found = SIZE.search(stem)
    if found is None or not float(found[1]) > 0:
        raise AttractorError(
            f"'{path}' does not end in the size of a training set, as lm1b-tiny-0.01.ckpt does"
        )
    return float(found[1])


_ENDINGS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")


def _on_hub(pattern: str) -> list[str]:
    """Files of a repository whose names match, as `attractor.load` takes them."""
    owner, _, rest = pattern.partition("/")
    name, _, file = rest.partition("/")
    if not file or any(letter in owner + name for letter in "*?[~") or Path(owner).exists():
        return []
    from huggingface_hub import HfApi

    try:
        files = HfApi().list_repo_files(f"{owner}/{name}")
    except Exception as error:  # the client raises its own, its HTTP library's and the system's
        raise AttractorError(
            f"'{pattern}' matches no file here, and '{owner}/{name}' cannot be looked into on the "
            f"Hub ({first_line(error):.200})"
        ) from None
    return sorted(f"{owner}/{name}/{found}" for found in files if fnmatch.fnmatch(found, file))

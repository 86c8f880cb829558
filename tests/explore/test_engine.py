"""The JavaScript engine agrees with torch, draws Python's noise and follows the enumerated law."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exact import STATES, Exact, joint_law
from scipy import stats
from torch import Tensor

from attractor import Denoiser, probes
from attractor.data.tokenizer import Tokenizer
from attractor.explore.collect import Collection, of_reference
from attractor.explore.content import Content, content
from attractor.explore.quantise import ALLOWED, difference, packed_in, unpacked
from attractor.explore.spelling import spelling
from attractor.explore.write import JS
from attractor.model.network import NetworkDenoiser
from attractor.process.noise import CountedNoise
from attractor.process.reverse import time_grid

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    NODE is None, reason="install the Debian package nodejs, 18 or newer"
)
DRAWS = 2000
TEXTS = ("In the beginning", "", " two  spaces", 'He said, "I\'m 40!"', "naïve – ünknown ☃ 文")


def run_node(folder: Path, cases: dict[str, Any], *names: str) -> None:
    (folder / "cases.json").write_text(json.dumps(cases))
    pattern = [f"--test-name-pattern={name}" for name in names]
    script = Path(__file__).with_name("engine.test.mjs")
    done = subprocess.run(
        [str(NODE), "--test", *pattern, str(script)],
        env=os.environ | {"EXPLORER_CASES": str(folder), "EXPLORER_JS": str(JS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def model_cases(found: Collection, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What torch says of the very weights that the page holds, on random rows at random times."""
    made = content(found)
    packed = [
        (f"n{said['n']}", found.models[said["n"]], said["shape"], made.weights[str(said["n"])])
        for said in made.said["models"]
    ]
    # The smallest once more in 8 bits, whatever that changes: they are to be read as Python does.
    _, denoiser, shape, _ = packed[0]
    weights, tensors = packed_in(denoiser, 8)
    packed.append(("eight", denoiser, shape | {"tensors": tensors}, weights))
    generator = torch.Generator().manual_seed(0)
    models, short = [], {}
    for name, denoiser, shape, weights in packed:
        (folder / name).write_bytes(weights)
        network = unpacked(denoiser, weights, shape["tensors"])
        times = [1e-5, 1.0, *torch.rand(4, generator=generator).tolist()]
        size = (len(times), shape["length"])
        tokens = torch.randint(0, shape["vocabulary"], size, generator=generator)
        # One row of text among noise: there the network is sure, where errors could be large.
        tokens[2] = torch.as_tensor(found.learned[0]).long()
        law = network.log_probs(tokens, torch.tensor(times)).exp()
        rows = [
            {"tokens": x.tolist(), "t": t, "probs": p.tolist()}
            for x, t, p in zip(tokens, times, law, strict=True)
        ]
        models.append({"name": name, "shape": shape, "rows": rows})
        few = tokens[:1, :9]
        probs = network.log_probs(few, torch.tensor([0.3])).exp()[0].tolist()
        short[name] = {"tokens": few[0].tolist(), "probs": probs}
    return models, short


def fall_cases(found: Collection) -> list[dict[str, Any]]:
    cases = []
    for model, denoiser in enumerate(found.models.values()):
        row = torch.as_tensor(found.unseen[:1]).long()
        for t, seed in ((0.3, 0), (1.0, 7)):
            back = probes.recovery(denoiser, row, t, steps=32, seed=seed, repeats=2)
            for repeat in range(2):
                cases.append(
                    {
                        "model": model, "original": row[0].tolist(), "t": t, "steps": 32,
                        "seed": seed, "repeat": repeat,
                        "corrupted": back.corrupted[repeat, 0].tolist(),
                        "recovered": back.recovered[repeat, 0].tolist(),
                    }
                )  # fmt: skip
    return cases


def noise_cases() -> list[dict[str, Any]]:
    cases = []
    for seed, stream, t in ((0, "corrupt", 0.3), (12, "reverse", 1.0), (999999999, "prior", 0.05)):
        noise = CountedNoise(seed, stream, t)
        for position, step, repeat in ((0, 0, 0), (63, 64, 19), (7, 1, 2)):
            place = (torch.tensor([x]) for x in (repeat << 32, position, step))
            cases.append(
                {
                    "seed": seed, "stream": stream, "t": t, "key": noise.key, "position": position,
                    "step": step, "repeat": repeat, "uniforms": noise.uniform(*place)[0].tolist(),
                }
            )  # fmt: skip
    return cases


def dense_law(denoiser: Denoiser, grid: Tensor) -> tuple[Tensor, list[Any]]:
    """The exact matrix from x at grid[0] to x_0, (9, 9), by dense posteriors; and the denoiser's
    distributions at each time."""
    alpha = torch.cat([denoiser.process.schedule.alpha(grid), torch.ones(1, dtype=torch.float64)])
    total, tables = torch.eye(9, dtype=torch.float64), []
    for k in range(len(grid)):
        p = denoiser.log_probs(STATES, grid[k].expand(9)).exp()
        tables.append(p.tolist())
        q = denoiser.process.posterior(STATES, p, alpha[k + 1].expand(9), alpha[k].expand(9))
        total = total @ (q[:, 0, STATES[:, 0]] * q[:, 1, STATES[:, 1]])
    return total, tables


def law_cases() -> list[dict[str, Any]]:
    cases = []
    for t, steps in ((1.0, 5), (0.4, 20)):
        grid = time_grid(t, steps)
        law, tables = dense_law(Exact(joint_law()), grid)
        cases.append(
            {
                "t": t, "steps": steps, "grid": grid.tolist(), "tables": tables,
                "law": law.tolist(), "draws": DRAWS, "critical": stats.chi2.isf(1e-4 / 9, 8),
            }
        )  # fmt: skip
    return cases


def typed_cases(found: Collection) -> list[dict[str, Any]]:
    words = Tokenizer.train_bpe(
        ["In the beginning he said to them, I'm 40 and they'll see"] * 3, 300
    )
    return [
        {"spelling": spelling(tokenizer), "text": text, "ids": tokenizer.encode([text])[0]}
        for tokenizer in (found.tokenizer, words)
        for text in TEXTS
    ]


def test_the_engine(collection: Collection, tmp_path: Path) -> None:
    models, short = model_cases(collection, tmp_path)
    halves = np.array([0, 1, -2.5, 6e-8, 65504, 1e-5], dtype="<f2")
    run_node(
        tmp_path,
        {
            "models": models, "short": short, "falls": fall_cases(collection),
            "noise": noise_cases(), "law": law_cases(), "typed": typed_cases(collection),
            "halves": [[int(h.view("<u2")), float(h)] for h in halves],
        },
    )  # fmt: skip


@pytest.mark.slow
def test_the_engine_agrees_with_torch_for_every_reference_model(tmp_path: Path) -> None:
    models, short = model_cases(of_reference(), tmp_path)
    cases = {"models": models, "short": short, "law": []}
    run_node(tmp_path, cases, "probabilities are torch's", "fewer tokens")


def test_weights_on_the_page_change_no_probability_by_more_than_is_said(
    collection: Collection, made: Content
) -> None:
    rows = torch.as_tensor(collection.unseen[:8]).long()
    for said in made.said["models"]:
        denoiser = collection.models[said["n"]]
        assert isinstance(denoiser, NetworkDenoiser)
        packed = unpacked(denoiser, made.weights[str(said["n"])], said["shape"]["tensors"])
        # Other noise than that on which it was looked at: the same order of magnitude.
        assert difference(denoiser, packed, rows) <= max(2 * said["changed"], 1e-6)
        assert said["bits"] == 16 or said["changed"] <= ALLOWED

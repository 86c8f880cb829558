"""Kills training processes of the demo's model at random moments: `python tests/runs/killed.py
FOLDER KILLS`.

A process of its own imports the package once and forks every attempt, so that an attempt costs no
import. Moments are uniform over as long as the run that is left alone took, so a run is killed a
few times until it is done.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo  # which optimizers import when one is made: once here, not in every attempt

import tiny
from attractor.config.presets import preset
from attractor.config.settings import RunConfig
from attractor.data.dataset import Dataset
from attractor.runs.folder import DATA, is_finished, prepare
from attractor.runs.run import run

STEPS = 60


def settings(folder: Path) -> RunConfig:
    """The demo's model, batch and rows of 32 characters, on made-up text; a checkpoint at every
    second line."""
    demo = preset("demo")
    train = dataclasses.replace(
        demo.train,
        steps=STEPS,
        warmup=10,
        log_every=3,
        validate_every=20,
        validation_rows=8,
        checkpoint_minutes=0.001,
    )
    probe = dataclasses.replace(
        demo.probe,
        rows=8,
        test_rows=8,
        repeats=1,
        steps=20,
        generated=4,
        nelbo_draws=1,
        measure=("entropy", "recovery"),
    )
    data = dataclasses.replace(demo.data, source=str(tiny.corpus(folder)))
    return RunConfig(n_train=256, data=data, model=demo.model, train=train, probe=probe)


def attempt(
    config: RunConfig, data: Dataset, folder: Path, seconds: float | None, kind: signal.Signals
) -> bool:
    """Train in a process of its own and kill it after so many seconds; whether the kill came before
    the end."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = 1
        try:
            run(config, data, folder)
            code = 0
        except (KeyboardInterrupt, SystemExit):
            code = 3
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, kind)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in ((0,) if seconds is None else (0, 3, -kind)), code
    return code != 0


def content(folder: Path) -> dict[str, bytes]:
    """All that must be the same: the last checkpoint, the metrics, the results."""
    last = max((folder / "checkpoint").glob("step-*"))
    names = ("metrics.jsonl", "results.parquet", "tokens.parquet", "config.json")
    return {
        p.name: p.read_bytes()
        for p in (*sorted(last.iterdir()), *(folder / name for name in names))
    }


def main(folder: Path, kills: int) -> None:
    torch.set_num_threads(1)
    config = settings(folder)
    data = prepare(config.data, folder / DATA)
    begun = time.monotonic()
    attempt(config, data, folder / "whole", None, signal.SIGKILL)
    longest = time.monotonic() - begun
    whole, chosen = content(folder / "whole"), random.Random(0)
    done = runs = resumed = 0
    while done < kills:
        killed = folder / f"killed {runs}"
        runs += 1
        while not is_finished(killed):
            kind = chosen.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            resumed += (killed / "checkpoint").exists() and any(
                (killed / "checkpoint").glob("step-*")
            )
            seconds = chosen.uniform(0, longest) if done < kills else None
            done += attempt(config, data, killed, seconds, kind)
        assert content(killed) == whole, killed
    print(
        f"{done} kills in {runs} runs, {resumed} attempts went on from a checkpoint, "
        "all bit-identical"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Are there spurious states between memory and language?

    python -m benchmarks.spurious SWEEP [--n 64 128 256] [--generated 512]

An associative memory that holds too many patterns has stable states that were never stored, and to
which several falls lead. Of each size this prints how many generations are copies of a training row
and how many are near another generation and near no training row: as they are written, and after
they were corrupted at t = 0.15 and restored 12 times. Beside them stands the same of as many unseen
rows, which is what language that repeats itself gives by chance.
"""

from __future__ import annotations

import argparse

import numpy as np

import attractor
from attractor.analysis.statistics import clopper_pearson
from attractor.probes.novelty import novelty
from attractor.probes.settling import settled
from attractor.results.estimate import Estimate
from attractor.results.thresholds import NEAR

STEPS, ROUNDS = 64, 12


def shares(texts: np.ndarray, train: np.ndarray) -> tuple[Estimate, Estimate]:
    """Of texts, (G, L), the share of copies of training rows, and of those near each other only."""
    found = novelty(texts, train)
    copied = found.nearest <= NEAR * texts.shape[1]
    echoed = ~copied & (found.own <= NEAR * texts.shape[1])
    copies, spurious = (clopper_pearson(int(each.sum()), len(texts)) for each in (copied, echoed))
    return copies, spurious


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sweep")
    parser.add_argument("--n", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--generated", type=int, default=512)
    given = parser.parse_args()
    sweep = attractor.open(given.sweep)
    print("    n  of                 copies                  spurious")
    for n in given.n:
        run = sweep.runs[n]
        model, train, unseen = run.load(), run.train_rows(), run.unseen_rows()
        rows = np.asarray(attractor.sample(model, given.generated, steps=STEPS))
        kinds = {
            "generations": rows,
            "settled": np.asarray(settled(model, rows, ROUNDS)),
            "unseen rows": np.random.default_rng(0).permutation(unseen)[: given.generated],
        }
        for kind, texts in kinds.items():
            parts = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in shares(texts, train)]
            print(f"{n:5}  {kind:12} {'   '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()

"""Does a model write words?

    python -m benchmarks.words MODEL SWEEP [--generated 200]

MODEL is what `attractor.load` takes, such as reference:n=57813, and SWEEP a finished sweep of the
same text, of whose rows the words are known. Of the words that the model writes, runs of letters
and apostrophes with something else on either side, since a row begins and ends anywhere, this
prints the share that occurs in a training row in the same letters; and, as a null, the same of
unseen rows. Intervals are 95% over rows.
"""

from __future__ import annotations

import argparse
import re

import numpy as np

import attractor
from attractor.analysis.statistics import ratio_interval
from attractor.results.estimate import Estimate
from attractor.runs.folder import data_of

WORD = re.compile(r"(?<=[^A-Za-z'])[A-Za-z']+(?=[^A-Za-z'])")


def share_known(texts: list[str], known: set[str]) -> Estimate:
    """Of the words of texts, those that are known."""
    words = [WORD.findall(text) for text in texts]
    hits = np.array([sum(word in known for word in row) for row in words], dtype=np.float64)
    return ratio_interval(hits, np.array([len(row) for row in words], dtype=np.float64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("sweep")
    parser.add_argument("--generated", type=int, default=200)
    given = parser.parse_args()
    sweep = attractor.open(given.sweep)
    data = data_of(next(iter(sweep.runs.values())).folder)
    decode = data.tokenizer.decode
    known = {word for row in np.asarray(data.train) for word in WORD.findall(decode(row.tolist()))}
    rows = attractor.sample(attractor.load(given.model), given.generated, steps=250)
    unseen = np.random.default_rng(0).permutation(np.asarray(data.test))[: given.generated]
    for kind, texts in (("generations", rows), ("unseen rows", unseen)):
        found = share_known([decode(row) for row in np.asarray(texts).tolist()], known)
        print(f"{kind}: {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")


if __name__ == "__main__":
    main()

"""Are the verdicts of an audit right? Models of known state are audited in all three ways.

Run `python -m benchmarks.verdicts --folder DIR`; the table that it prints is in
docs/measurements/verdict.md. What was measured is kept in DIR, so that a second run only judges:
networks are trained there once, a few minutes in all, and every audit is made once.

The edges in `audits.thresholds` were chosen on the models of the first half. The second half, every
other model of each family, was kept aside for checking.
"""

from __future__ import annotations

import argparse
import pickle
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from attractor.analysis.statistics import clopper_pearson
from attractor.audits import attack, measure
from attractor.audits.measure import Effort
from attractor.audits.run import audit
from attractor.audits.subject import Audited
from attractor.audits.verdict import (
    GENERALIZING,
    IN_BULK,
    MEMORIZING,
    UNDECIDED,
    verdict_alone,
    verdict_with_data,
    verdict_with_fresh,
)
from benchmarks.known import BULK, Known, everything

KEPT = "numbers", "fresh", "patterns", "against", "membership", "rows"
"""Fields of an audit that verdicts read; what else its page shows may change."""
EFFORT = Effort(n=48, minutes=0)
WITH_DATA = "training data"
MODES = ("no text", "fresh text", WITH_DATA)
OPPOSITE = {MEMORIZING: (GENERALIZING, IN_BULK), GENERALIZING: (MEMORIZING,), BULK: (MEMORIZING,)}
"""What a model of some state must never be called."""


class Judged(NamedTuple):
    """A model and its three verdicts."""

    known: Known
    words: tuple[str, str, str]
    objections: tuple[str, str, str]
    aside: bool
    """whether it was kept aside when edges were chosen"""


def place(known: Known, folder: Path) -> Path:
    """Where the audit of a model is kept."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{known.family} {known.name}").strip("-")
    return folder / "audits" / f"{name}.pickle"


def measured(known: Known, folder: Path) -> dict[str, Any]:
    """What verdicts read of the audit of a model, made once."""
    path = place(known, folder)
    if path.is_file():
        kept: dict[str, Any] = pickle.loads(path.read_bytes())
        return kept
    start = time.monotonic()
    material = known.make()
    subject = Audited(
        known.name,
        material.model,
        material.train.shape[1],
        None,
        material.texts(known.rows),
        fresh=material.fresh(),
    )
    found = audit(subject, folder / "pages" / path.stem, EFFORT._replace(rows=known.rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: getattr(found, name) for name in KEPT}
    path.write_bytes(pickle.dumps(kept))
    print(f"# {known.name}: {time.monotonic() - start:.0f} s", flush=True)
    return kept


def judged(known: Known, found: dict[str, Any], aside: bool) -> Judged:
    """The verdicts of what was measured, by the edges as they are now."""
    there = found["rows"].looked if found["rows"] else 0
    data = {**found["numbers"], **found["against"]}
    verdicts = (
        verdict_alone(found["numbers"], found["patterns"]),
        verdict_with_fresh(found["numbers"], found["patterns"], found["fresh"]),
        verdict_with_data(data, found["membership"], found["rows"], there),
    )
    words, objections = zip(*((v.word, v.objection) for v in verdicts), strict=True)
    return Judged(known, words, objections, aside)


def bench(folder: Path, only: str, made: bool) -> Iterator[Judged]:
    """Every model whose family or name has a pattern, or those of them that were measured."""
    counts: dict[str, int] = {}
    chosen: list[tuple[int, Known]] = []
    for known in everything(folder / "networks"):
        counts[known.family] = counts.get(known.family, -1) + 1
        if made and not place(known, folder).is_file():
            continue
        if re.search(only, f"{known.family} {known.name}"):
            chosen.append((counts[known.family], known))
    # In turn of each family, so that a bench that is stopped has some of all.
    for _, known in sorted(chosen, key=lambda each: each[0]):
        measured(known, folder)
    for turn, known in chosen:
        yield judged(known, measured(known, folder), turn % 2 == 1)


def is_wrong(state: str, word: str, mode: str) -> bool:
    """Whether a model of a state was called what it is the opposite of, or passed with its training
    data though rows of them are known by heart."""
    passed = (state, word, mode) == (BULK, GENERALIZING, WITH_DATA)
    return passed or word in OPPOSITE.get(state, ())


def table(found: list[Judged]) -> Iterator[str]:
    """The lines of the documentation."""
    yield "| family | state | models | no text | fresh text | training data |"
    yield "|---|---|---|---|---|---|"
    kinds = list(dict.fromkeys((j.known.family, j.known.state) for j in found))
    for family, state in kinds:
        these = [j for j in found if (j.known.family, j.known.state) == (family, state)]
        cells = [_counts([j.words[i] for j in these]) for i in range(3)]
        yield f"| {family} | {state} | {len(these)} | {' | '.join(cells)} |"
    yield ""
    yield "| | models | no text | fresh text | training data |"
    yield "|---|---|---|---|---|"
    for name, some in (
        ("edges chosen on", [j for j in found if not j.aside]),
        ("kept aside", [j for j in found if j.aside]),
        ("all", found),
    ):
        decided = [sum(j.words[i] != UNDECIDED for j in some) for i in range(3)]
        yield f"| a verdict, {name} | {len(some)} | {' | '.join(map(str, decided))} |"
        # Where every word may be right, none can be wrong: such models would only dilute the rate.
        clear = [j for j in some if j.known.state in OPPOSITE]
        wrong = [
            sum(is_wrong(j.known.state, j.words[i], mode) for j in clear)
            for i, mode in enumerate(MODES)
        ]
        ends = [clopper_pearson(k, max(1, len(clear)), 0.9).ends()[1] for k in wrong]
        cells = [f"{k} (at most {end:.1%})" for k, end in zip(wrong, ends, strict=True)]
        yield f"| wrong, {name}, of a clear state | {len(clear)} | {' | '.join(cells)} |"


def _counts(words: list[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def every_model(found: list[Judged]) -> Iterator[str]:
    """One line a model, with what is in doubt."""
    for j in found:
        mark = " WRONG" if any(map(is_wrong, [j.known.state] * 3, j.words, MODES)) else ""
        yield f"{j.known.family}; {j.known.name}; {j.known.state}; {'; '.join(j.words)}{mark}"
        for mode, word, why in zip(MODES, j.words, j.objections, strict=True):
            if word in (UNDECIDED, IN_BULK) and why:
                yield f"    {mode}: {why}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="keeps networks and audits")
    parser.add_argument("--only", default="", help="models whose family or name has this pattern")
    parser.add_argument("--made", action="store_true", help="only models that DIR has already")
    parser.add_argument("--models", action="store_true", help="one line for each model too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    # No verdict reads these, and extraction is the longest of all that is measured.
    attack.IN_AUDIT = attack.IN_AUDIT._replace(rows=4)
    measure.PAIRS = 4
    found = list(bench(given.folder, given.only, given.made))
    for line in every_model(found) if given.models else ():
        print(line)
    for line in table(found):
        print(line)


if __name__ == "__main__":
    main()

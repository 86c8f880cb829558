"""The measurements, one file each, in the order in which a page shows them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attractor.analysis.groups import require_groups
from attractor.config.settings import ProbeConfig
from attractor.measurements.ablation import ABLATION
from attractor.measurements.basin import BASIN
from attractor.measurements.calibration import CALIBRATION, OWN_CALIBRATION
from attractor.measurements.entropy import ENTROPY
from attractor.measurements.entropy_by_outcome import ENTROPY_BY_OUTCOME
from attractor.measurements.entropy_gap import ENTROPY_GAP
from attractor.measurements.exact_match import EXACT_MATCH
from attractor.measurements.fixed_points import FIXED_POINTS, PSEUDO_LIKELIHOOD_FIXED_POINTS
from attractor.measurements.generative_perplexity import GENERATIVE_PERPLEXITY
from attractor.measurements.likelihood import LIKELIHOOD
from attractor.measurements.measurement import Measurement, Quantity
from attractor.measurements.membership import MEMBERSHIP
from attractor.measurements.novelty import NOVELTY
from attractor.measurements.prefix_extraction import PREFIX_EXTRACTION
from attractor.measurements.recovery import RECOVERY
from attractor.measurements.repetition import REPETITION
from attractor.measurements.restored_entropy import RESTORED_ENTROPY
from attractor.measurements.texts import NGRAM, Texts
from attractor.measurements.trajectory import TRAJECTORY
from attractor.measurements.twins import TWINS
from attractor.process.refused import NEEDS_NOISE, NEEDS_ORDER
from attractor.results.estimate import Groups
from attractor.results.tables import Arrays, Block, Row
from attractor.types import AttractorError, did_you_mean

if TYPE_CHECKING:
    from attractor.model.denoiser import Denoiser

ALL: tuple[Measurement, ...] = (
    RECOVERY,
    EXACT_MATCH,
    BASIN,
    FIXED_POINTS,
    PSEUDO_LIKELIHOOD_FIXED_POINTS,
    PREFIX_EXTRACTION,
    ABLATION,
    ENTROPY,
    ENTROPY_BY_OUTCOME,
    RESTORED_ENTROPY,
    ENTROPY_GAP,
    CALIBRATION,
    OWN_CALIBRATION,
    LIKELIHOOD,
    TRAJECTORY,
    NOVELTY,
    GENERATIVE_PERPLEXITY,
    MEMBERSHIP,
    REPETITION,
    TWINS,
)
GROUPS = {
    "all": tuple(m.name for m in ALL if m.command is None and m.asks != "order"),
    "generations": tuple(m.name for m in ALL if m.on_generations),
}
"""Words of `--probe.measure` that stand for several measurements, of models with noise; for others
see `sets.for_process`."""
TRIED = 100
"""Unseen rows that a judge is tried on before it has to judge."""
_NAMED = {m.name: m for m in ALL}
_QUANTITIES = {quantity.name: quantity for m in ALL for quantity in m.quantities}


def wanted(names: Iterable[str]) -> tuple[Measurement, ...]:
    """The measurements that these words ask for, in the order of `ALL`; without a word, those that
    are on by default.

    What a measurement needs comes with it, and what is made of arrays that will be there anyway
    costs nothing, so that it comes too.

    Raises:
        AttractorError: for a word that names no measurement, or one that has a command of its own.
    """
    asked = set(names) or {m.name for m in ALL if m.default and m.asks != "order"}
    for name, members in GROUPS.items():
        if name in asked:
            asked = (asked - {name}) | set(members)
    for name in sorted(asked):
        require_measurable(name)
    while missing := {need for name in asked for need in _NAMED[name].needs} - asked:
        asked |= missing  # which may need others in turn
    derived = {m.name for m in ALL if m.run is None and m.command is None and asked >= {*m.needs}}
    return tuple(m for m in ALL if m.name in asked | derived)


def require_measurable(name: str) -> None:
    """Raise AttractorError unless `--probe.measure` takes this word."""
    if name in GROUPS:
        return
    if name not in _NAMED:
        allowed = [m.name for m in ALL if m.command is None]
        raise AttractorError(
            f"measure = {name!r}: allowed are {', '.join([*allowed, *GROUPS])}"
            f"{did_you_mean(name, [*allowed, *GROUPS])}"
        )
    if command := _NAMED[name].command:
        raise AttractorError(f"measure = {name!r} is no probe of one model: {command}")


def require_defined(name: str, corrupts: bool) -> None:
    """Raise AttractorError unless a measurement is defined of models with noise, or without."""
    if _NAMED[name].asks == ("order" if corrupts else "noise"):
        raise AttractorError(f"measure = {name!r}: {NEEDS_ORDER if corrupts else NEEDS_NOISE}")


def known(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the words that name something; a file of another version may hold others."""
    return tuple(name for name in names if name in _NAMED or name in GROUPS)


def quantity(name: str) -> Quantity:
    """What is known of a number in the files.

    Raises:
        AttractorError: if no measurement declares it.
    """
    if name not in _QUANTITIES:
        raise AttractorError(
            f"{name!r} is a quantity of no measurement that this version knows; there are "
            f"{', '.join(_QUANTITIES)}"
        )
    return _QUANTITIES[name]


def declares(name: str) -> bool:
    """Whether a measurement of this version gives a number of that name."""
    return name in _QUANTITIES


def measure(denoiser: Denoiser, texts: Texts, config: ProbeConfig) -> Iterator[Block]:
    """Run the measurements that a config names; each array is handed out as soon as it is there."""
    yield from measure_these(denoiser, texts, config, [(m, config) for m in wanted(config.measure)])


def measure_these(
    denoiser: Denoiser,
    texts: Texts,
    config: ProbeConfig,
    chosen: Iterable[tuple[Measurement, ProbeConfig]],
) -> Iterator[Block]:
    """Run some measurements, each with settings of its own where only a part of it is asked for."""
    from attractor.measurements.subject import Subject

    subject = Subject(denoiser, texts, config)
    for measurement, settings in chosen:
        require_defined(measurement.name, denoiser.process.corrupts)
        if measurement.run is not None:
            yield from map(subject.placed, measurement.run(subject, settings))


def rows_of(arrays: Arrays, seed: int = 0) -> list[Row]:
    """Every number that the arrays give, with its interval; `seed` is that of the resampling."""
    return list(itertools.chain.from_iterable(m.rows(arrays, seed) for m in ALL))


def require_possible(texts: Texts, config: ProbeConfig) -> None:
    """Refuse what would fail, or mean nothing, only after the training.

    Raises:
        AttractorError: if a measurement is unknown, if a corruption time is so small that there
            would be nothing to recover, if no unseen row is left for the built-in judge and the
            blind baseline to learn from, or if the judge is not there or does not know such text.
    """
    chosen = wanted(config.measure)
    for t in config.t:
        expected = t * texts.train.shape[1] * min(config.rows, config.test_rows)
        if expected < 10:
            raise AttractorError(
                f"t = {t} corrupts about {expected:.1g} tokens of all rows together: use a larger "
                "t or more rows"
            )
    if config.resample == "group":
        if "train" not in texts.origins:
            raise AttractorError(
                "resample = 'group': the data were packed by a version that did not keep the "
                "documents of rows; --force packs them anew"
            )
        for origin in texts.origins.values():
            require_groups(Groups.of_rows(origin, config.resample))
    if not len(texts.other_test):
        raise AttractorError(
            f"test_rows = {len(texts.test)} are all unseen rows: leave some that are not probed, "
            "from which the judge and the bag of words learn"
        )
    if GENERATIVE_PERPLEXITY in chosen and config.judge != NGRAM:
        from attractor.probes import require_judge

        some = [texts.decode(row) for row in texts.test[:TRIED].tolist()]
        require_judge(Path(config.judge), some)

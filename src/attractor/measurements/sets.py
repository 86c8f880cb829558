"""Sets of measurements of one model: what a set holds, what it lacks, and what must stand apart.

A set is described by the `ProbeConfig` it was made with. Measurements that were made under the same
conditions belong into one set, and more of them can be added to it at any time. A measurement of
the same name under other conditions (other rows, another seed, other steps) goes into a set of its
own beside the first: numbers of different conditions are never mixed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from attractor.config.settings import ProbeConfig, RunConfig, SweepConfig
from attractor.measurements import ALL, known, require_defined, require_measurable, wanted
from attractor.measurements.generative_perplexity import GENERATIVE_PERPLEXITY
from attractor.measurements.measurement import SHARED_SETTINGS, Measurement
from attractor.measurements.repetition import REPETITION
from attractor.measurements.texts import NGRAM
from attractor.types import ProcessName

WORDS = {"generations": ("entropy_gap", "trajectory", "novelty", "generative_perplexity")}
"""What a word stood for when earlier versions still wrote it into files. Whatever has joined the
group since then is not in their sets."""


def spelled_out(config: ProbeConfig) -> ProbeConfig:
    """The config with every measurement named that it asks for."""
    return dataclasses.replace(config, measure=tuple(m.name for m in wanted(config.measure)))


def for_process(config: ProbeConfig, process: ProcessName) -> ProbeConfig:
    """The config as it is meant for models of a process: without noise, its words stand for all
    that is defined of an autoregressive model, and every measurement is named.

    Raises:
        AttractorError: for a measurement that is not defined of such models.
    """
    corrupts = process != "autoregressive"
    names = set(config.measure)
    if not corrupts:
        defined = [m for m in ALL if m.command is None and m.asks != "noise"]
        words = {
            "all": {m.name for m in defined},
            "generations": {m.name for m in defined if m.on_generations},
        }
        names = set().union(*(words.get(name, {name}) for name in config.measure or ("all",)))
        config = dataclasses.replace(config, measure=tuple(sorted(names)))
    for name in sorted(names - {"all", "generations"}):
        require_measurable(name)
        require_defined(name, corrupts)
    return config if corrupts else spelled_out(config)


def asked_of(config: RunConfig | SweepConfig) -> ProbeConfig:
    """What a config asks to measure of its models, be it in as many words or not.

    Raises:
        AttractorError: for a measurement that is not defined of such models.
    """
    return with_repetition(for_process(config.probe, config.process), config.data.repeat)


def recognised(config: ProbeConfig) -> ProbeConfig:
    """The config with the digest of its judge, where that is a folder and is asked for: a folder of
    the same name may hold another model by now."""
    from attractor.data.fingerprint import folder_digest

    if config.judge == NGRAM or GENERATIVE_PERPLEXITY not in wanted(config.measure):
        return _with(config, {"judge_digest": ""})
    folder = Path(config.judge)
    # What is gone cannot be asked: then the digest it had says which one is meant.
    digest = folder_digest(folder) if folder.is_dir() else config.judge_digest
    return _with(config, {"judge_digest": digest})


def with_repetition(config: ProbeConfig, repeat: Sequence[int]) -> ProbeConfig:
    """The config with what is measured of repeated rows, where the data have some."""
    if not repeat:
        return config
    names = spelled_out(config).measure
    return spelled_out(dataclasses.replace(config, measure=(*names, REPETITION.name)))


def agree(made: ProbeConfig, asked: ProbeConfig) -> bool:
    """Whether what is asked for belongs into the set that was made.

    A set has one value of each setting, so every setting must agree on which something that is
    there and something that is asked for both depend, be they the same measurement or not.
    """
    shared = _settings(_held(made)) & _settings(wanted(asked.measure))
    names = shared | set(SHARED_SETTINGS)
    return all(_is_same(made, asked, name) for name in names)


def _is_same(made: ProbeConfig, asked: ProbeConfig, name: str) -> bool:
    # A judge is its content, wherever it lies; sets of earlier versions know its place alone.
    if name == "judge" and made.judge_digest and asked.judge_digest:
        return made.judge_digest == asked.judge_digest
    return bool(getattr(made, name) == getattr(asked, name))


def _settings(measurements: tuple[Measurement, ...]) -> set[str]:
    return {name for measurement in measurements for name in measurement.conditions}


def lacking(made: ProbeConfig, asked: ProbeConfig) -> list[tuple[Measurement, ProbeConfig]]:
    """What a set lacks to hold what is asked for as well: measurements, each with the settings to
    measure it with, which name only the missing values of an axis such as corruption times."""
    held, after, missing = set(_held(made)), joined(made, asked), []
    for measurement in wanted(after.measure):
        if measurement not in held or (measurement.at_smallest_t and min(after.t) < min(made.t)):
            missing.append((measurement, after))
        elif measurement.axis is not None:
            there = getattr(made, measurement.axis)
            new = tuple(value for value in getattr(after, measurement.axis) if value not in there)
            if new:
                missing.append((measurement, _with(after, {measurement.axis: new})))
    return missing


def superseded(
    made: ProbeConfig, arrays: Container[tuple[str, str]], asked: ProbeConfig
) -> list[tuple[Measurement, ProbeConfig]]:
    """What is asked for and in a set, but was measured by an earlier version's estimator, each with
    the settings to measure it anew with.

    Args:
        made: how the set was made.
        arrays: name and kind of text of those that it has.
        asked: what is asked for.
    """
    both = {*_held(made)} & {*wanted(asked.measure)}
    old = [m for m in wanted([m.name for m in both]) if m in both] if both else []
    after = joined(made, asked)
    return [(m, after) for m in old if m.mark is not None and m.mark not in arrays]


def joined(made: ProbeConfig, asked: ProbeConfig) -> ProbeConfig:
    """The config of a set to which what is asked for has been added; see `agree`."""
    held, chosen = _held(made), wanted(asked.measure)
    both = dict.fromkeys(m.name for m in (*held, *chosen))
    # Settings of what is there stay as they were; those of what is new come from what was asked.
    settings = dataclasses.asdict(asked)
    for m in held:
        settings |= {name: getattr(made, name) for name in m.conditions}
        if "judge" in m.conditions:
            settings["judge_digest"] = made.judge_digest
        if m.axis is not None:
            # Each value was measured by itself, so more of them change nothing that is there.
            more = getattr(asked, m.axis) if m in chosen else ()
            settings[m.axis] = tuple(sorted({*getattr(made, m.axis), *more}))
    return _with(asked, settings | {"measure": tuple(m.name for m in wanted(both))})


def _with(config: ProbeConfig, changes: dict[str, Any]) -> ProbeConfig:
    return dataclasses.replace(config, **changes)


def _held(made: ProbeConfig) -> tuple[Measurement, ...]:
    """The measurements of a set; those of another version, unknown here, are left alone."""
    words = [name for word in known(made.measure) for name in WORDS.get(word, (word,))]
    return wanted(words) if words else ()
